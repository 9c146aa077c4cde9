package qlog

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// framesOf returns what a sent packet's frames look like.
func framesOf(t testing.TB, payload []byte) string {
	t.Helper()
	text := written(t, wire.Client, proto.TraceEvent{
		Time: 1, Kind: proto.TracePacketSent, PacketType: wire.PacketOneRTT, Number: 1, Payload: payload,
	})[0]
	_, text, _ = strings.Cut(text, `"frames":`)
	return strings.TrimSuffix(text, "}}")
}

// appender is a frame of package wire.
type appender interface{ Append(b []byte) []byte }

type frameTest struct {
	name  string
	frame appender
	want  string
}

func testFrames(t *testing.T, tests []frameTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload := tt.frame.Append(nil)
			if got, want := framesOf(t, payload), "["+tt.want+"]"; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			// The frame after it is found where this one ends; data without a length has
			// none after it.
			if !strings.Contains(tt.name, "no length") {
				if got, want := framesOf(t, append(payload, byte(wire.TypePing))), "["+tt.want+`,{"frame_type":"ping","raw":{"length":1}}]`; got != want {
					t.Errorf("with PING: got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

// ranges is an ACK frame of several ranges.
type ranges struct {
	wire.Ack
	list []wire.Range
}

func (f ranges) Append(b []byte) []byte { return wire.AppendAck(b, f.Ack, f.list) }

func TestFrames(t *testing.T) {
	testFrames(t, []frameTest{
		{"padding", wire.Padding{Size: 3}, `{"frame_type":"padding","raw":{"length":3}}`},
		{
			"stream",
			wire.Stream{ID: 4, Offset: 9, Data: []byte("secret"), Fin: true},
			`{"frame_type":"stream","stream_id":4,"offset":9,"fin":true,"raw":{"length":10,"payload_length":6}}`,
		},
		{
			"stream, no length",
			wire.Stream{ID: 4, Data: []byte("secret"), NoLength: true},
			`{"frame_type":"stream","stream_id":4,"offset":0,"raw":{"length":8,"payload_length":6}}`,
		},
		{
			"crypto",
			wire.Crypto{Offset: 100, Data: []byte("hello")},
			`{"frame_type":"crypto","offset":100,"raw":{"length":9,"payload_length":5}}`,
		},
		{"datagram", wire.Datagram{Data: []byte("abc")}, `{"frame_type":"datagram","raw":{"length":5,"payload_length":3}}`},
		{"datagram, no length", wire.Datagram{Data: []byte("abc"), NoLength: true}, `{"frame_type":"datagram","raw":{"length":4,"payload_length":3}}`},
		{
			"ack",
			ranges{wire.Ack{Delay: 250}, []wire.Range{{Smallest: 10, Largest: 22}, {Smallest: 7, Largest: 7}, {Smallest: 4, Largest: 5}}},
			`{"frame_type":"ack","ack_delay":2,"acked_ranges":[[10,22],[7],[4,5]],"raw":{"length":10}}`,
		},
		{
			"ack with ECN",
			ranges{wire.Ack{Delay: 1, HasECN: true, ECT0: 5, ECT1: 6, CE: 7}, []wire.Range{{Smallest: 0, Largest: 9}}},
			`{"frame_type":"ack","ack_delay":0.008,"acked_ranges":[[0,9]],"ect1":6,"ect0":5,"ce":7,"raw":{"length":8}}`,
		},
		{
			"ack of long ago",
			ranges{wire.Ack{Delay: 1 << 61}, []wire.Range{{Smallest: 0, Largest: 0}}},
			`{"frame_type":"ack","ack_delay":1.844674407370955e+16,"acked_ranges":[[0]],"raw":{"length":12}}`,
		},
	})
}

// What cannot be parsed is an unknown frame up to the packet's end; what came before
// it stays.
func TestUnparsedFrames(t *testing.T) {
	const ping = `{"frame_type":"ping","raw":{"length":1}}`
	for _, tt := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"nothing", nil, `[]`},
		{"unknown type", []byte{1, 0x40, 0x99, 7, 7}, `[` + ping + `,{"frame_type":"unknown","frame_type_bytes":153,"raw":{"length":4}}]`},
		{"a reserved type below 0x1f", []byte{0x24, 7}, `[{"frame_type":"unknown","frame_type_bytes":36,"raw":{"length":2}}]`},
		{"truncated type", []byte{1, 0x40}, `[` + ping + `,{"frame_type":"unknown","frame_type_bytes":64,"raw":{"length":1}}]`},
		{"type in too many bytes", []byte{0x40, 1}, `[{"frame_type":"unknown","frame_type_bytes":64,"raw":{"length":2}}]`},
		{"truncated MAX_DATA", []byte{1, 0x10, 0x80}, `[` + ping + `,{"frame_type":"unknown","frame_type_bytes":16,"raw":{"length":2}}]`},
		{"truncated STREAM", []byte{0x0a, 4, 5, 1}, `[{"frame_type":"unknown","frame_type_bytes":10,"raw":{"length":4}}]`},
		{"ACK below zero", []byte{2, 5, 0, 0, 6}, `[{"frame_type":"unknown","frame_type_bytes":2,"raw":{"length":5}}]`},
		{"truncated PATH_ABANDON", []byte{0x7e, 0x75, 1}, `[{"frame_type":"unknown","frame_type_bytes":15989,"raw":{"length":3}}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := framesOf(t, tt.payload); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A delay counts in units of the exponent of the side that wrote it, and in the
// default's in packets of the handshake, which come before the parameters.
func TestAckDelayExponent(t *testing.T) {
	local, remote := wire.DefaultTransportParameters(), wire.DefaultTransportParameters()
	local.AckDelayExponent, remote.AckDelayExponent = 0, 10
	payload := ranges{wire.Ack{Delay: 8}, []wire.Range{{Smallest: 0, Largest: 0}}}.Append(nil)
	packet := func(kind proto.TraceKind, p wire.PacketType) proto.TraceEvent {
		return proto.TraceEvent{Time: 1, Kind: kind, PacketType: p, Payload: payload}
	}
	got := written(t, wire.Server,
		proto.TraceEvent{Kind: proto.TraceParametersSet, Parameters: &local},
		proto.TraceEvent{Kind: proto.TraceParametersSet, Parameters: &remote, ByPeer: true},
		packet(proto.TracePacketSent, wire.PacketOneRTT),
		packet(proto.TracePacketReceived, wire.PacketOneRTT),
		packet(proto.TracePacketReceived, wire.PacketHandshake),
	)[2:]
	for i, want := range []string{`"ack_delay":0.008,`, `"ack_delay":8.192,`, `"ack_delay":0.064,`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("packet %d: %s\nwant %s in it", i, got[i], want)
		}
	}
}

// Whatever a packet holds, its record is valid JSON of the schema, and the frames'
// lengths add up to the packet's.
func FuzzPayload(f *testing.F) {
	for _, frames := range [][]frameTest{controlFrames(), multipathFrames()} {
		for _, tt := range frames {
			f.Add(append(tt.frame.Append(nil), 1), uint8(wire.PacketOneRTT))
		}
	}
	f.Add([]byte{0x40}, uint8(wire.PacketInitial))
	f.Add([]byte{2, 5, 0, 0, 6}, uint8(wire.PacketHandshake))
	f.Fuzz(func(t *testing.T, payload []byte, packetType uint8) {
		if len(payload) > 0 && wire.PacketType(packetType) == wire.PacketOneRTT {
			checkLengths(t, framesOf(t, payload), len(payload))
		}
		for _, kind := range []proto.TraceKind{proto.TracePacketSent, proto.TracePacketReceived, proto.TracePacketDropped, proto.TracePacketLost} {
			written(t, wire.Server, proto.TraceEvent{
				Kind: kind, PacketType: wire.PacketType(packetType), Payload: payload, Size: len(payload), Trigger: string(payload),
			})
		}
	})
}

// checkLengths wants the frames to cover the payload.
func checkLengths(t *testing.T, frames string, want int) {
	t.Helper()
	var list []struct {
		Raw struct {
			Length int `json:"length"`
		} `json:"raw"`
	}
	if err := json.Unmarshal([]byte(frames), &list); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, f := range list {
		got += f.Raw.Length
	}
	if got != want {
		t.Errorf("the frames have %d bytes, the payload %d", got, want)
	}
}
