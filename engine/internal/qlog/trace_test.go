package qlog

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

// story is a small connection as its client saw it, with every kind of event.
func story() []proto.TraceEvent {
	local, remote := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("[2001:db8::2]:443")
	mine, theirs := wire.NewConnID([]byte{1, 1, 1, 1}), wire.NewConnID([]byte{2, 2, 2, 2, 2, 2, 2, 2})
	parameters := wire.DefaultTransportParameters()
	parameters.InitialSrcID, parameters.HasInitialSrcID = mine, true
	parameters.MaxIdleTimeout, parameters.HasMultipath, parameters.InitialMaxPathID = 30*time.Second, true, 4
	packet := func(kind proto.TraceKind, p wire.PacketType, n wire.PacketNumber, frames ...appender) proto.TraceEvent {
		e := proto.TraceEvent{Kind: kind, PacketType: p, Number: n, ID: mine, PeerID: theirs}
		for _, f := range frames {
			e.Payload = f.Append(e.Payload)
		}
		e.Size = len(e.Payload) + 40
		return e
	}
	on := func(id wire.PathID, e proto.TraceEvent) proto.TraceEvent {
		e.Path, e.ECN = id, wire.ECT0
		return e
	}
	acked := ranges{wire.Ack{Delay: 100}, []wire.Range{{Smallest: 0, Largest: 1}}}
	events := []proto.TraceEvent{
		{Kind: proto.TraceConnectionStarted, Local: local, Remote: remote, ID: mine, PeerID: theirs},
		{Kind: proto.TraceVersionInformation, Versions: []wire.Version{1, 0x6b3343cf}, Version: 1},
		{Kind: proto.TraceStateUpdated, Trigger: "attempted"},
		{Kind: proto.TraceKeyUpdated, PacketType: wire.PacketInitial},
		{Kind: proto.TraceParametersSet, Parameters: &parameters},
		packet(proto.TracePacketSent, wire.PacketInitial, 0, wire.Crypto{Data: make([]byte, 300)}, wire.Padding{Size: 800}),
		packet(proto.TracePacketReceived, wire.PacketInitial, 0, wire.Ack{Delay: 100}, wire.Crypto{Data: make([]byte, 90)}),
		{Kind: proto.TracePacketDropped, PacketType: wire.PacketHandshake, Number: wire.NoPacket, Size: 1200, Trigger: "key_unavailable"},
		{Kind: proto.TraceParametersSet, Parameters: &parameters, ByPeer: true},
		{Kind: proto.TraceALPN, Trigger: "tquiclab"},
		{Kind: proto.TraceKeyUpdated, PacketType: wire.PacketOneRTT},
		{Kind: proto.TraceKeyDiscarded, PacketType: wire.PacketInitial},
		{Kind: proto.TraceStateUpdated, Trigger: "handshake_complete"},
		{Kind: proto.TraceMTUUpdated, Size: 1200},
		{Kind: proto.TraceMTUUpdated, Size: 1452},
		{Kind: proto.TraceCongestionState, Trigger: "slow_start"},
		{Kind: proto.TraceECNState, Trigger: "testing"},
		packet(proto.TracePacketSent, wire.PacketOneRTT, 1, wire.Stream{Data: make([]byte, 1000), Fin: true}),
		{Kind: proto.TraceMetricsUpdated, Metrics: proto.Metrics{CongestionWindow: 12000, BytesInFlight: 1040, PacketsInFlight: 1}},
		{Kind: proto.TracePathState, Path: 1, Trigger: "validating", Local: netip.MustParseAddrPort("[::ffff:198.51.100.1]:4000"), Remote: remote},
		{Kind: proto.TraceMigrationState, Path: 1, Trigger: "probing_started", Local: netip.MustParseAddrPort("[::ffff:198.51.100.1]:4000"), Remote: remote},
		on(1, packet(proto.TracePacketSent, wire.PacketOneRTT, 0, wire.PathChallenge{Data: [8]byte{7}})),
		on(1, packet(proto.TracePacketReceived, wire.PacketOneRTT, 0, acked, wire.PathAbandon{Path: 1, Code: 0x3e})),
		{
			Kind: proto.TraceMetricsUpdated, Path: 1,
			Metrics: proto.Metrics{SRTT: 30 * time.Millisecond, MinRTT: 29900 * time.Microsecond, LatestRTT: 30 * time.Millisecond, PTOCount: 1},
		},
		{
			Kind: proto.TraceScheduled, Path: 1, Trigger: "minrtt",
			Scheduling: proto.Scheduling{Room: 12000, Ready: 50000, SRTT: 30 * time.Millisecond, Trains: 7},
		},
		{Kind: proto.TraceScheduled, Trigger: "ecf", Scheduling: proto.Scheduling{Wait: true, Room: 2400, Ready: 9000, Trains: 2}},
		{Kind: proto.TracePacketLost, PacketType: wire.PacketOneRTT, Number: 1, Trigger: "time_threshold"},
		{Kind: proto.TracePathState, Path: 1, Trigger: "closing", Err: &wire.TransportError{Code: wire.PathUnstableOrPoor}},
		{Kind: proto.TraceReinjected, Path: 1, Trigger: "path_closed", Reinjection: proto.Reinjection{Anywhere: true, Bytes: 1000, Frames: 1}},
		{Kind: proto.TraceReinjected, Path: 1, Trigger: "tail", Reinjection: proto.Reinjection{To: 0, Bytes: 2000, Frames: 2}},
		{Kind: proto.TraceConnectionClosed, Err: wire.Errorf(wire.ProtocolViolation, "no\nway"), Trigger: "error"},
	}
	for i := range events {
		events[i].Time = clock.Time(i+1) * 1_500_000
	}
	return events
}

func TestGolden(t *testing.T) {
	var file bytes.Buffer
	trace := New(&file, Options{
		Title: "a \"small\" trace", Description: "of every kind of event", Side: wire.Client, GroupID: "0202020202020202",
		ReferenceTime: time.Date(2026, 11, 22, 10, 0, 0, 5e8, time.FixedZone("", 3600)),
	})
	kinds := map[proto.TraceKind]bool{}
	for _, e := range story() {
		kinds[e.Kind] = true
		trace.Trace(&e)
	}
	if err := trace.Close(); err != nil {
		t.Fatal(err)
	}
	for k := proto.TraceConnectionStarted; k <= proto.TraceReinjected; k++ {
		if !kinds[k] {
			t.Errorf("the story has no event of kind %d", k)
		}
	}
	got := strings.Join(readRecords(t, file.Bytes()), "\n") + "\n"
	golden := filepath.Join("testdata", "story.jsonl")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

// Events whose fields are not set, or are nonsense, break no schema either.
func TestEveryKindWithOddFields(t *testing.T) {
	odd := proto.TraceEvent{
		PacketType: 99, Path: 1<<32 - 1, Number: -5, KeyPhase: 255, ECN: 9, Size: -1, Payload: []byte{0xff},
		Trigger: "\xff\"\n", Err: io.ErrUnexpectedEOF, ByPeer: true, Versions: []wire.Version{0},
		Metrics:     proto.Metrics{SRTT: -1, CongestionWindow: -1, PTOCount: 1 << 20, PacingRate: -1},
		Scheduling:  proto.Scheduling{Room: -1, Ready: -1, SRTT: -1, Trains: math.MaxUint64},
		Reinjection: proto.Reinjection{Bytes: -1, Frames: -1},
	}
	for kind := range proto.TraceReinjected + 2 {
		for _, e := range []proto.TraceEvent{{}, odd} {
			e.Kind = kind
			written(t, wire.Server, e, e)
		}
	}
}

// Main schema, section 7.1: the epoch of a monotonic clock MUST be unknown.
func TestHeader(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options Options
		want    string
	}{
		{
			"all",
			Options{Title: "t", Description: "d\n", Side: wire.Server, GroupID: "ab", ReferenceTime: time.Unix(0, 1000).UTC()},
			`{"file_schema":"urn:ietf:params:qlog:file:sequential","serialization_format":"application/qlog+json-seq","title":"t","description":"d\u000a",` +
				`"trace":{"common_fields":{"group_id":"ab","time_format":"relative_to_epoch","reference_time":{"clock_type":"system","epoch":"1970-01-01T00:00:00.000001Z"}},` +
				`"vantage_point":{"type":"server"},"event_schemas":["urn:ietf:params:qlog:events:quic-13"]}}`,
		},
		{
			"nothing",
			Options{},
			`{"file_schema":"urn:ietf:params:qlog:file:sequential","serialization_format":"application/qlog+json-seq",` +
				`"trace":{"common_fields":{"time_format":"relative_to_epoch","reference_time":{"clock_type":"monotonic","epoch":"unknown"}},` +
				`"vantage_point":{"type":"client"},"event_schemas":["urn:ietf:params:qlog:events:quic-13"]}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var file bytes.Buffer
			if err := New(&file, tt.options).Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.want}, readRecords(t, file.Bytes())); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

// failing takes n bytes.
type failing struct{ n int }

var errFull = errors.New("disk full")

func (f *failing) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestCloseReturnsTheErrorOfWriting(t *testing.T) {
	for name, room := range map[string]int{"at the end": 0, "under way": bufferSize} {
		t.Run(name, func(t *testing.T) {
			trace := New(&failing{room}, Options{})
			for range 3 * bufferSize / 100 {
				trace.Trace(&proto.TraceEvent{Kind: proto.TracePacketLost, PacketType: wire.PacketOneRTT})
			}
			if err := trace.Close(); !errors.Is(err, errFull) {
				t.Errorf("Close = %v, want %v", err, errFull)
			}
		})
	}
}

func TestPacketsDoNotAllocate(t *testing.T) {
	payload := ranges{wire.Ack{Delay: 100}, []wire.Range{{Smallest: 900, Largest: 990}, {Smallest: 5, Largest: 800}}}.Append(nil)
	payload = ranges{wire.Ack{Multipath: true, Path: 1}, []wire.Range{{Smallest: 900, Largest: 990}}}.Append(payload)
	payload = wire.MaxData{Max: 1 << 30}.Append(payload)
	payload = wire.Stream{ID: 4, Offset: 1 << 20, Data: make([]byte, 1200)}.Append(payload)
	e := proto.TraceEvent{
		Time: 1e9, Kind: proto.TracePacketSent, PacketType: wire.PacketOneRTT, Path: 1, Number: 1 << 20, ECN: wire.ECT0,
		PeerID: wire.NewConnID(make([]byte, 8)), Size: 1452, Payload: payload,
	}
	metrics := proto.TraceEvent{Time: 1e9, Kind: proto.TraceMetricsUpdated, Path: 1}
	lost := proto.TraceEvent{Time: 1e9, Kind: proto.TracePacketLost, Path: 1, PacketType: wire.PacketOneRTT, Trigger: "time_threshold"}
	picked := proto.TraceEvent{Time: 1e9, Kind: proto.TraceScheduled, Path: 1, Trigger: "minrtt", Scheduling: proto.Scheduling{Room: 12000, Ready: 1 << 20}}
	trace := New(io.Discard, Options{})
	for side := range trace.multipath {
		trace.multipath[side] = true
	}
	trace.Trace(&e)
	trace.Trace(&metrics)
	n := testing.AllocsPerRun(200, func() {
		e.Number++
		e.Kind = proto.TracePacketSent
		trace.Trace(&e)
		e.Kind = proto.TracePacketReceived
		trace.Trace(&e)
		metrics.Metrics.BytesInFlight += 1452
		metrics.Metrics.SRTT++
		trace.Trace(&metrics)
		trace.Trace(&lost)
		trace.Trace(&picked)
	})
	if n > 0 {
		t.Errorf("%v allocations for five events, want 0", n)
	}
}

func BenchmarkPacketSent(b *testing.B) {
	payload := ranges{wire.Ack{Delay: 100}, []wire.Range{{Smallest: 900, Largest: 990}}}.Append(nil)
	payload = wire.Stream{ID: 4, Offset: 1 << 20, Data: make([]byte, 1200)}.Append(payload)
	e := proto.TraceEvent{Time: 1e9 + 1234567, Kind: proto.TracePacketSent, PacketType: wire.PacketOneRTT, Number: 1 << 20, Size: 1452, Payload: payload}
	trace := New(io.Discard, Options{})
	b.ReportAllocs()
	for b.Loop() {
		trace.Trace(&e)
	}
}
