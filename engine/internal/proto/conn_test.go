package proto

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// The handshake takes one round trip: the client's first data is one and a half away
// from the server's application.
func TestHandshakeTakesOneRoundTrip(t *testing.T) {
	p := newPair(t, pairConfig{})
	start := p.now
	p.run(time.Second, func() bool { return p.client().complete })
	if took := p.now.Sub(start); took != 2*p.delay {
		t.Errorf("the client's handshake took %v, want one round trip of %v", took, 2*p.delay)
	}
	p.run(time.Second, func() bool { return p.server().confirmed })
	if took := p.now.Sub(start); took != 3*p.delay {
		t.Errorf("the server's handshake took %v, want %v", took, 3*p.delay)
	}
	p.run(time.Second, p.confirmed)
	if took := p.now.Sub(start); took != 4*p.delay {
		t.Errorf("the handshake was confirmed after %v, want %v", took, 4*p.delay)
	}
	for side, e := range p.ends {
		for _, k := range []EventKind{HandshakeComplete, HandshakeConfirmed} {
			if e.seen[k] != 1 {
				t.Errorf("%v: event %d came %d times, want once", wire.Perspective(side), k, e.seen[k])
			}
		}
	}
}

// transfer has the client send n bytes on each of several streams and the server
// check them.
type transfer struct {
	p       *pair
	from    wire.Perspective
	data    []byte
	out     []*Stream
	written []int
	in      map[wire.StreamID]*bytes.Buffer
	ended   int
}

func newTransfer(p *pair, from wire.Perspective, streams, n int) *transfer {
	p.t.Helper()
	x := &transfer{p: p, from: from, data: make([]byte, n), in: map[wire.StreamID]*bytes.Buffer{}}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range x.data {
		x.data[i] = byte(rng.Uint32())
	}
	for range streams {
		s, err := p.ends[from].conn.OpenStream(wire.Bidi)
		if err != nil {
			p.t.Fatal(err)
		}
		x.out = append(x.out, s)
		x.written = append(x.written, 0)
	}
	return x
}

// pump writes and reads what goes.
func (x *transfer) pump() {
	for i, s := range x.out {
		for x.written[i] < len(x.data) {
			n, err := s.Write(x.data[x.written[i]:])
			x.written[i] += n
			if errors.Is(err, ErrBlocked) {
				break
			}
			if err != nil {
				x.p.t.Fatalf("stream %d: write: %v", s.ID(), err)
			}
			if x.written[i] == len(x.data) {
				if err := s.CloseWrite(); err != nil {
					x.p.t.Fatal(err)
				}
			}
		}
	}
	e := x.p.ends[x.from.Peer()]
	if e.conn == nil {
		return
	}
	for {
		s, ok := e.conn.AcceptStream(wire.Bidi)
		if !ok {
			break
		}
		x.in[s.ID()] = new(bytes.Buffer)
		e.readable = append(e.readable, s)
	}
	var b [4096]byte
	for _, s := range e.readable {
		for {
			n, err := s.Read(b[:])
			if x.in[s.ID()] == nil {
				break
			}
			x.in[s.ID()].Write(b[:n])
			if err == io.EOF {
				x.ended++
				break
			}
			if errors.Is(err, ErrBlocked) {
				break
			}
			if err != nil {
				x.p.t.Fatalf("stream %d: read: %v", s.ID(), err)
			}
		}
	}
	e.readable = e.readable[:0]
}

// arrived returns how many bytes have.
func (x *transfer) arrived() (n int) {
	for _, b := range x.in {
		n += b.Len()
	}
	return n
}

// done pumps, and reports whether all arrived.
func (x *transfer) done() bool {
	x.pump()
	return x.ended == len(x.out)
}

func (x *transfer) check() {
	x.p.t.Helper()
	for _, s := range x.out {
		got := x.in[s.ID()]
		if got == nil || !bytes.Equal(got.Bytes(), x.data) {
			x.p.t.Errorf("stream %d: what arrived is not what was sent", s.ID())
		}
	}
}

func TestTransfer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		from    wire.Perspective
		streams int
		bytes   int
	}{
		{"client, one stream", wire.Client, 1, 5 << 20},
		{"server, one stream", wire.Server, 1, 5 << 20},
		{"client, 50 streams", wire.Client, 50, 100 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t, pairConfig{})
			p.handshake()
			x := newTransfer(p, tt.from, tt.streams, tt.bytes)
			p.run(time.Minute, x.done)
			x.check()
		})
	}
}

// With loss, reordering and duplication in both directions all bytes arrive.
func TestTransferOverBadNetwork(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	p := newPair(t, pairConfig{})
	p.fate = func(wire.Perspective, *flying) (int, time.Duration) {
		switch n := rng.IntN(100); {
		case n < 10:
			return 0, 0
		case n < 12:
			return 2, 0
		case n < 20:
			return 1, time.Duration(rng.IntN(20)) * time.Millisecond
		}
		return 1, 0
	}
	p.handshake()
	x := newTransfer(p, wire.Client, 5, 1<<20)
	p.run(10*time.Minute, x.done)
	x.check()
}

func TestCloseReachesThePeer(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.handshake()
	p.client().Close(p.now, 7, "enough")
	p.run(time.Second, func() bool { return p.server().err != nil })
	got, ok := errors.AsType[*ApplicationError](p.server().err)
	if !ok || got.Code != 7 || got.Reason != "enough" || !got.Remote {
		t.Errorf("the server ended with %v, want the client's close", p.server().err)
	}
	p.run(10*time.Second, func() bool { return p.ends[0].drained && p.ends[1].drained })
	for side, e := range p.ends {
		if n := len(e.endpoint.routes) + len(e.endpoint.resets) + e.endpoint.Len(); n != 0 {
			t.Errorf("%v: %d routes are left of a drained connection", wire.Perspective(side), n)
		}
	}
}

func TestConnectionIdles(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{IdleTimeout: 3 * time.Second}})
	p.handshake()
	p.run(time.Minute, func() bool { return p.client().err != nil && p.server().err != nil })
	for side, e := range p.ends {
		if got, ok := errors.AsType[*TimeoutError](e.conn.err); !ok || got.Handshake || got.After != 3*time.Second {
			t.Errorf("%v ended with %v, want the smaller idle timeout", wire.Perspective(side), e.conn.err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{HandshakeTimeout: 2 * time.Second}})
	p.fate = func(wire.Perspective, *flying) (int, time.Duration) { return 0, 0 }
	start := p.now
	p.run(time.Minute, func() bool { return p.client().err != nil })
	if got, ok := errors.AsType[*TimeoutError](p.client().err); !ok || !got.Handshake || p.now.Sub(start) != 2*time.Second {
		t.Errorf("after %v: %v", p.now.Sub(start), p.client().err)
	}
	if p.sent < 3 {
		t.Errorf("%d datagrams were sent, want retries", p.sent)
	}
}
