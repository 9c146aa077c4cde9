package qlog

import (
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// dataOf returns the data of the only event.
func dataOf(t *testing.T, events []string) string {
	t.Helper()
	if len(events) != 1 {
		t.Fatalf("%d events, want 1: %q", len(events), events)
	}
	_, data, _ := strings.Cut(events[0], `"data":`)
	return strings.TrimSuffix(data, "}")
}

func TestPackets(t *testing.T) {
	id, peer := wire.NewConnID([]byte{1}), wire.NewConnID([]byte{2, 0xff})
	for _, tt := range []struct {
		name  string
		event proto.TraceEvent
		want  string
	}{
		{
			"initial",
			proto.TraceEvent{Kind: proto.TracePacketSent, PacketType: wire.PacketInitial, Number: 3, Version: 1, ID: id, PeerID: peer, Size: 1200, Payload: []byte{1}},
			`{"header":{"packet_type":"initial","packet_number":3,"version":"00000001","scid":"01","dcid":"02ff"},` +
				`"frames":[{"frame_type":"ping","raw":{"length":1}}],"raw":{"length":1200,"payload_length":1}}`,
		},
		{
			"without connection IDs",
			proto.TraceEvent{Kind: proto.TracePacketReceived, PacketType: wire.PacketHandshake, Number: 3},
			`{"header":{"packet_type":"handshake","packet_number":3,"scid":"","dcid":""},"frames":[]}`,
		},
		{
			"0-RTT",
			proto.TraceEvent{Kind: proto.TracePacketReceived, PacketType: wire.PacketZeroRTT, ID: id, PeerID: peer},
			`{"header":{"packet_type":"0RTT","packet_number":0,"scid":"01","dcid":"02ff"},"frames":[]}`,
		},
		{
			"1-RTT, marked",
			proto.TraceEvent{Kind: proto.TracePacketReceived, PacketType: wire.PacketOneRTT, Number: 9, KeyPhase: 1, ID: id, PeerID: peer, ECN: wire.CE},
			`{"header":{"packet_type":"1RTT","packet_number":9,"key_phase_bit":true,"dcid":"02ff"},"frames":[],"ecn":"CE"}`,
		},
		{
			"retry",
			proto.TraceEvent{Kind: proto.TracePacketReceived, PacketType: wire.PacketRetry, ID: id, PeerID: peer, Payload: []byte("secret"), Size: 70},
			`{"header":{"packet_type":"retry","scid":"01","dcid":"02ff"},"raw":{"length":70,"payload_length":6}}`,
		},
		{
			"version negotiation",
			proto.TraceEvent{Kind: proto.TracePacketReceived, PacketType: wire.PacketVersionNegotiation, ID: id, PeerID: peer, Versions: []wire.Version{0x0a1a2a3a, 1}},
			`{"header":{"packet_type":"version_negotiation","scid":"01","dcid":"02ff"},"supported_versions":["0a1a2a3a","00000001"]}`,
		},
		{
			"dropped",
			proto.TraceEvent{Kind: proto.TracePacketDropped, PacketType: wire.PacketOneRTT, Number: wire.NoPacket, Size: 99, Trigger: "decryption_failure"},
			`{"header":{"packet_type":"1RTT"},"raw":{"length":99},"trigger":"decryption_failure"}`,
		},
		{
			"dropped, whatever it was",
			proto.TraceEvent{Kind: proto.TracePacketDropped, Number: wire.NoPacket, Size: 99, Trigger: "invalid"},
			`{"raw":{"length":99},"trigger":"invalid"}`,
		},
		{
			"dropped as a duplicate",
			proto.TraceEvent{Kind: proto.TracePacketDropped, PacketType: wire.PacketInitial, Number: 4, ID: id, PeerID: peer, Trigger: "duplicate"},
			`{"header":{"packet_type":"initial","packet_number":4,"scid":"01","dcid":"02ff"},"trigger":"duplicate"}`,
		},
		{
			"dropped for our own reason",
			proto.TraceEvent{Kind: proto.TracePacketDropped, PacketType: wire.PacketOneRTT, Number: 4, Trigger: `too "odd"`},
			`{"header":{"packet_type":"1RTT","packet_number":4},"details":{"reason":"too \"odd\""},"trigger":"general"}`,
		},
		{
			"lost",
			proto.TraceEvent{Kind: proto.TracePacketLost, PacketType: wire.PacketOneRTT, Number: 4, Trigger: "reordering_threshold"},
			`{"header":{"packet_type":"1RTT","packet_number":4},"trigger":"reordering_threshold"}`,
		},
		{
			"lost for our own reason",
			proto.TraceEvent{Kind: proto.TracePacketLost, PacketType: wire.PacketOneRTT, Number: 4, Trigger: "bad luck"},
			`{"header":{"packet_type":"1RTT","packet_number":4}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := dataOf(t, written(t, wire.Client, tt.event)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestTupleIsThePath(t *testing.T) {
	for id, want := range map[wire.PathID]string{
		0:         `{"time":0.000007,"name":"quic:packet_lost","data":`,
		4:         `{"time":0.000007,"tuple":"4","name":"quic:packet_lost","data":`,
		1<<32 - 1: `{"time":0.000007,"tuple":"4294967295","name":"quic:packet_lost","data":`,
	} {
		got := written(t, wire.Client, proto.TraceEvent{Time: 7, Kind: proto.TracePacketLost, PacketType: wire.PacketOneRTT, Path: id})[0]
		if !strings.HasPrefix(got, want) {
			t.Errorf("path %d: got  %s\nwant %s", id, got, want)
		}
	}
}
