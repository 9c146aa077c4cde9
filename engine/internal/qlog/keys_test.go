package qlog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestKeys(t *testing.T) {
	updated := func(p wire.PacketType) proto.TraceEvent {
		return proto.TraceEvent{Kind: proto.TraceKeyUpdated, PacketType: p}
	}
	discarded := func(p wire.PacketType) proto.TraceEvent {
		return proto.TraceEvent{Kind: proto.TraceKeyDiscarded, PacketType: p}
	}
	remote := updated(wire.PacketOneRTT)
	remote.ByPeer, remote.KeyPhase = true, 1
	got := written(t, wire.Client,
		updated(wire.PacketHandshake), updated(wire.PacketZeroRTT), updated(wire.PacketOneRTT), remote, updated(wire.PacketOneRTT),
		discarded(wire.PacketHandshake), discarded(wire.PacketZeroRTT), discarded(wire.PacketOneRTT), updated(wire.PacketRetry))
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], `{"time":0,"name":"quic:`)
	}
	want := []string{
		`key_updated","data":{"key_type":"client_handshake_secret","trigger":"tls"}}`,
		`key_updated","data":{"key_type":"server_handshake_secret","trigger":"tls"}}`,
		`key_updated","data":{"key_type":"client_0rtt_secret","trigger":"tls"}}`,
		`key_updated","data":{"key_type":"client_1rtt_secret","key_phase":0,"trigger":"tls"}}`,
		`key_updated","data":{"key_type":"server_1rtt_secret","key_phase":0,"trigger":"tls"}}`,
		`key_updated","data":{"key_type":"client_1rtt_secret","key_phase":1,"trigger":"remote_update"}}`,
		`key_updated","data":{"key_type":"server_1rtt_secret","key_phase":1,"trigger":"remote_update"}}`,
		`key_updated","data":{"key_type":"client_1rtt_secret","key_phase":2,"trigger":"local_update"}}`,
		`key_updated","data":{"key_type":"server_1rtt_secret","key_phase":2,"trigger":"local_update"}}`,
		`key_discarded","data":{"key_type":"client_handshake_secret","trigger":"tls"}}`,
		`key_discarded","data":{"key_type":"server_handshake_secret","trigger":"tls"}}`,
		`key_discarded","data":{"key_type":"client_0rtt_secret","trigger":"tls"}}`,
		`key_discarded","data":{"key_type":"client_1rtt_secret"}}`,
		`key_discarded","data":{"key_type":"server_1rtt_secret"}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
