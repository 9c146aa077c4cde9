package qlog

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ofPaths are events of the kinds that tell which path they are about.
func ofPaths(id wire.PathID) []proto.TraceEvent {
	return []proto.TraceEvent{
		{Kind: proto.TracePacketSent, PacketType: wire.PacketOneRTT, Path: id},
		{Kind: proto.TracePacketReceived, PacketType: wire.PacketOneRTT, Path: id},
		{Kind: proto.TracePacketDropped, PacketType: wire.PacketOneRTT, Path: id},
		{Kind: proto.TracePacketLost, PacketType: wire.PacketOneRTT, Path: id},
		{Kind: proto.TraceMetricsUpdated, Path: id, Metrics: proto.Metrics{SRTT: 1}},
		{Kind: proto.TraceCongestionState, Path: id, Trigger: "slow_start"},
		{Kind: proto.TraceMTUUpdated, Path: id, Size: 1200},
		{Kind: proto.TraceECNState, Path: id, Trigger: "failed"},
		{Kind: proto.TraceMigrationState, Path: id, Trigger: "probing_started"},
	}
}

// Events say which path they are of once both sides are known to have multipath, and
// not where one has it alone.
func TestPathID(t *testing.T) {
	with, without := wire.DefaultTransportParameters(), wire.DefaultTransportParameters()
	with.HasMultipath = true
	set := func(p *wire.TransportParameters, byPeer bool) proto.TraceEvent {
		return proto.TraceEvent{Kind: proto.TraceParametersSet, Parameters: p, ByPeer: byPeer}
	}
	for _, tt := range []struct {
		name        string
		ours, peers *wire.TransportParameters
		want        bool
	}{{"both", &with, &with, true}, {"we alone", &with, &without, false}, {"the peer alone", &without, &with, false}} {
		t.Run(tt.name, func(t *testing.T) {
			for _, id := range []wire.PathID{0, 3} {
				field := map[wire.PathID]string{0: `"data":{"path_id":0`, 3: `"data":{"path_id":3`}[id]
				events := ofPaths(id)
				got := written(t, wire.Client, append([]proto.TraceEvent{set(tt.ours, false), set(tt.peers, true)}, events...)...)[2:]
				if len(got) != len(events) {
					t.Fatalf("%d events were written, want %d", len(got), len(events))
				}
				for _, text := range got {
					if strings.Contains(text, field) != tt.want || strings.Contains(text, "path_id") != tt.want {
						t.Errorf("path_id is there: want %v in\n%s", tt.want, text)
					}
				}
			}
		})
	}
}

// A path's life: opened with its addresses, late, dead, back, closed with the reason; what
// is no news and what is no state is left out, and nothing of it is kept.
func TestLifeOfAPath(t *testing.T) {
	local, remote := netip.MustParseAddrPort("192.0.2.9:9"), netip.MustParseAddrPort("198.51.100.1:443")
	var events []proto.TraceEvent
	for _, s := range []string{"validating", "active", "active", "suspect", "dead", "asleep", "active", "closing", "closed"} {
		e := proto.TraceEvent{Kind: proto.TracePathState, Path: 2, Trigger: s, Local: local, Remote: remote}
		if s == "closing" {
			e.Err = &wire.TransportError{Code: wire.PathUnstableOrPoor}
		}
		events = append(events, e)
	}
	got := written(t, wire.Client, events...)
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], `{"time":0,`)
	}
	const state = `"tuple":"2","name":"tquiclab:path_state_updated","data":{"path_id":2,`
	want := []string{
		`"name":"quic:tuple_assigned","data":{"tuple_id":"2","tuple_remote":{"ip_v4":"198.51.100.1","port_v4":443},"tuple_local":{"ip_v4":"192.0.2.9","port_v4":9}}}`,
		state + `"new":"validating"}}`,
		state + `"old":"validating","new":"active"}}`,
		state + `"old":"active","new":"suspect"}}`,
		state + `"old":"suspect","new":"dead"}}`,
		state + `"old":"dead","new":"active"}}`,
		state + `"old":"active","new":"closing","error_code":15990}}`,
		state + `"old":"closing","new":"closed"}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	trace := New(&strings.Builder{}, Options{})
	for i := range events {
		trace.Trace(&events[i])
	}
	if len(trace.paths) > 0 {
		t.Errorf("%d paths are remembered that are closed", len(trace.paths))
	}
}
