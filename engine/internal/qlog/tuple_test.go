package qlog

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// A path gets its addresses when they are first known and when it has moved; a probe
// of other addresses moves it not yet.
func TestMigration(t *testing.T) {
	home, away := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.9:9")
	server := netip.MustParseAddrPort("198.51.100.1:443")
	state := func(id wire.PathID, s string, local netip.AddrPort) proto.TraceEvent {
		return proto.TraceEvent{Kind: proto.TraceMigrationState, Path: id, Trigger: s, Local: local, Remote: server}
	}
	got := written(t, wire.Client,
		proto.TraceEvent{Kind: proto.TraceConnectionStarted, Local: home, Remote: server},
		state(0, "probing_started", away),
		state(0, "probing_successful", away),
		state(0, "migration_started", away),
		state(0, "pondering", away),
		state(0, "migration_complete", away),
		state(3, "probing_started", away),
	)[1:]
	for i := range got {
		got[i] = strings.ReplaceAll(strings.TrimPrefix(got[i], `{"time":0,`), `"tuple_remote":{"ip_v4":"198.51.100.1","port_v4":443}`, "R")
	}
	want := []string{
		`"name":"quic:tuple_assigned","data":{"tuple_id":"",R,"tuple_local":{"ip_v4":"192.0.2.1","port_v4":1}}}`,
		`"name":"quic:migration_state_updated","data":{"new":"probing_started","tuple_id":"",R,"tuple_local":{"ip_v4":"192.0.2.9","port_v4":9}}}`,
		`"name":"quic:migration_state_updated","data":{"old":"probing_started","new":"probing_successful","tuple_id":"",R,"tuple_local":{"ip_v4":"192.0.2.9","port_v4":9}}}`,
		`"name":"quic:tuple_assigned","data":{"tuple_id":"",R,"tuple_local":{"ip_v4":"192.0.2.9","port_v4":9}}}`,
		`"name":"quic:migration_state_updated","data":{"old":"probing_successful","new":"migration_started","tuple_id":"",R,"tuple_local":{"ip_v4":"192.0.2.9","port_v4":9}}}`,
		`"name":"quic:migration_state_updated","data":{"old":"migration_started","new":"migration_complete","tuple_id":"",R,"tuple_local":{"ip_v4":"192.0.2.9","port_v4":9}}}`,
		`"name":"quic:tuple_assigned","data":{"tuple_id":"3",R,"tuple_local":{"ip_v4":"192.0.2.9","port_v4":9}}}`,
		`"tuple":"3","name":"quic:migration_state_updated","data":{"new":"probing_started","tuple_id":"3",R,"tuple_local":{"ip_v4":"192.0.2.9","port_v4":9}}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
