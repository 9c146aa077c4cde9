package qlog

import (
	"bytes"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// wired is a client and a server that hear each other after 10 ms, both traced.
type wired struct {
	t         *testing.T
	now       clock.Time
	endpoints [2]*proto.Endpoint
	conns     [2]*proto.Conn
	files     [2]bytes.Buffer
	traces    [2]*Trace
	air       []proto.Datagram // in both directions, in order
}

func newWired(t *testing.T) *wired {
	t.Helper()
	serverTLS, clientTLS, err := enginetest.NewTLS()
	if err != nil {
		t.Fatal(err)
	}
	w := &wired{t: t, now: clock.Time(time.Second)}
	config := func(side wire.Perspective, c *tls.Config) proto.Config {
		c.NextProtos = []string{"tquiclab"}
		w.traces[side] = New(&w.files[side], Options{Side: side})
		return proto.Config{TLS: c, ECN: true, Tracer: func(wire.Perspective, wire.ConnID) proto.Tracer { return w.traces[side] }}
	}
	client, server := config(wire.Client, clientTLS), config(wire.Server, serverTLS)
	for side, c := range []*proto.Config{nil, &server} {
		w.endpoints[side], err = proto.NewEndpoint(proto.EndpointConfig{Server: c, Random: rand.NewChaCha8([32]byte{byte(side)})})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.conns[wire.Client], err = w.endpoints[wire.Client].Dial(w.now, client, address(wire.Client), address(wire.Server), nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func address(side wire.Perspective) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(side)}), 443)
}

// flush takes what a side sends, and its events.
func (w *wired) flush(side wire.Perspective) {
	c := w.conns[side]
	if c == nil {
		return
	}
	tr := proto.Transmit{Buf: make([]byte, 0, 1<<16), MaxSegments: 16}
	for c.AppendTransmit(w.now, &tr) {
		for b := tr.Buf; len(b) > 0; b = b[min(tr.Segment, len(b)):] {
			w.air = append(w.air, proto.Datagram{
				Local: address(side.Peer()), Remote: address(side), ECN: tr.ECN, Data: bytes.Clone(b[:min(tr.Segment, len(b))]),
			})
		}
	}
	for e, ok := c.NextEvent(); ok; e, ok = c.NextEvent() {
		w.endpoints[side].HandleEvent(c, e)
	}
}

// run lets the two talk for some rounds.
func (w *wired) run(rounds int) {
	for range rounds {
		w.flush(wire.Client)
		w.flush(wire.Server)
		w.now = w.now.Add(10 * time.Millisecond)
		arriving := w.air
		w.air = nil
		for i := range arriving {
			side := wire.Client
			if arriving[i].Local == address(wire.Server) {
				side = wire.Server
			}
			if r := w.endpoints[side].Handle(w.now, &arriving[i]); r.Conn != nil {
				w.conns[side] = r.Conn
				r.Conn.HandleDatagram(w.now, &arriving[i])
			}
		}
		for _, c := range w.conns {
			if c != nil && c.NextTimeout() <= w.now {
				c.HandleTimeout(w.now)
			}
		}
	}
}

// What a real connection traces is as the drafts want it, whole, and says what
// happened.
func TestRealConnection(t *testing.T) {
	w := newWired(t)
	w.run(10)
	s, err := w.conns[wire.Client].OpenStream(wire.Bidi)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	w.run(10)
	if err := w.conns[wire.Client].UpdateKeys(w.now); err != nil {
		t.Fatal(err)
	}
	in, ok := w.conns[wire.Server].AcceptStream(wire.Bidi)
	if !ok {
		t.Fatal("the server has no stream")
	}
	if n, err := in.Read(make([]byte, 1<<20)); n != 100_000 || (err != nil && err != io.EOF) {
		t.Fatalf("Read = %d, %v", n, err)
	}
	w.run(4)
	w.conns[wire.Client].Close(w.now, 7, "enough")
	w.run(4)
	for side, trace := range w.traces {
		if err := trace.Close(); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(readRecords(t, w.files[side].Bytes()), "\n")
		for _, want := range []string{
			`"name":"quic:connection_started"`, `"name":"quic:parameters_set","data":{"initiator":"remote"`,
			`"packet_type":"initial"`, `"packet_type":"handshake"`, `"packet_type":"1RTT"`,
			`"frame_type":"crypto"`, `"frame_type":"ack"`, `"frame_type":"stream"`, `"frame_type":"handshake_done"`,
			`"name":"quic:alpn_information","data":{"chosen_alpn":{"string_value":"tquiclab"}}`,
			`"key_type":"client_initial_secret"`, `"key_phase":1`, `"name":"quic:recovery_metrics_updated"`,
			`"application_error":"unknown","error_code":7,"reason":"enough","trigger":"application"`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the %v's trace has no %s", wire.Perspective(side), want)
			}
		}
		for _, bad := range []string{`"frame_type":"unknown"`, `"frames":[]`} {
			if strings.Contains(text, bad) {
				t.Errorf("the %v's trace has %s", wire.Perspective(side), bad)
			}
		}
	}
}
