package proto

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// heap returns how many bytes live on the heap.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// typed fails unless the connection lives, or ended for a reason of a known type.
func typed(t testing.TB, c *Conn) {
	t.Helper()
	if c == nil || c.err == nil {
		return
	}
	if breach, ok := errors.AsType[*wire.TransportError](c.err); ok {
		if breach.Code == wire.InternalError && !breach.Remote {
			t.Errorf("%v ended with an internal error: %v", c.side, c.err)
		}
		return
	}
	_, app := errors.AsType[*ApplicationError](c.err)
	_, late := errors.AsType[*TimeoutError](c.err)
	_, version := errors.AsType[*VersionError](c.err)
	if !app && !late && !version && !errors.Is(c.err, ErrStatelessReset) {
		t.Errorf("%v ended with %v, a reason of no known type", c.side, c.err)
	}
}

// settled runs a pair until each side is confirmed or over; that must come in time.
func (p *pair) settled() {
	p.t.Helper()
	over := func(c *Conn) bool { return c == nil || c.confirmed || c.err != nil }
	p.run(2*defaultHandshakeTimeout, func() bool {
		return (p.client().confirmed || p.client().err != nil) && over(p.server())
	})
	typed(p.t, p.client())
	typed(p.t, p.server())
}

// Before each datagram of the handshake come copies of it, each with another bit
// flipped, so that all positions are tried: the connection goes on as if nothing came.
func TestBitFlipsInTheHandshake(t *testing.T) {
	p := newPair(t, pairConfig{})
	flips, n := 0, 0
	p.fate = func(_ wire.Perspective, d *flying) (int, time.Duration) {
		if len(d.data) < 100 {
			return 1, 0 // an answer to what was flipped
		}
		if n++; n > 8 {
			return 1, 0
		}
		for bit := range 8 * len(d.data) {
			f := *d
			f.data = slices.Clone(d.data)
			f.data[bit/8] ^= 1 << (bit % 8)
			p.deliver(&f)
			flips++
		}
		return 1, 0
	}
	p.settled()
	if p.client().err != nil || p.server().err != nil || flips < 4*1200*8 {
		t.Errorf("after %d flips: client %v, server %v", flips, p.describe(wire.Client), p.describe(wire.Server))
	}
}

// Flights that are cut short, doubled and shuffled.
func TestMangledHandshake(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		p := newPair(t, pairConfig{})
		p.fate = func(_ wire.Perspective, d *flying) (int, time.Duration) {
			if p.now.Sub(0) > 6*time.Second {
				return 1, 0
			}
			switch rng.IntN(5) {
			case 0:
				d.data = d.data[:rng.IntN(len(d.data)+1)]
			case 1:
				return 1 + rng.IntN(4), time.Duration(rng.IntN(50)) * time.Millisecond
			case 2:
				return 1, time.Duration(rng.IntN(200)) * time.Millisecond
			}
			return 1, 0
		}
		p.settled()
		if p.client().err != nil || p.server() == nil || p.server().err != nil {
			t.Errorf("seed %d: client %v, server %v", seed, p.describe(wire.Client), p.describe(wire.Server))
		}
		p.client().Close(p.now, 0, "")
	}
}

// Each connection survives random bytes in each stage, or ends with a typed error.
func TestRandomDatagrams(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		for _, at := range []stage{greeted, confirmed} {
			s := newScripted(t, side, at, pairConfig{})
			rng := rand.New(rand.NewPCG(5, 6))
			for range 5000 {
				b := make([]byte, rng.IntN(200))
				for i := range b {
					b[i] = byte(rng.Uint32())
				}
				if len(b) > 6 && b[0]&0x80 != 0 {
					copy(b[1:], []byte{0, 0, 0, 1, connIDLen})
					copy(b[6:], s.dst.Bytes())
				}
				s.sendsDatagram(b)
			}
			if s.conn.err != nil {
				t.Errorf("%v: random bytes ended it: %v", side, s.conn.err)
			}
			if n := len(s.conn.waiting); n > maxWaiting {
				t.Errorf("%d packets wait", n)
			}
		}
	}
}

// Random frames in valid packets: a typed close, or nothing.
func TestRandomFrames(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 8))
		side := wire.Perspective(seed & 1)
		s := newScripted(t, side, confirmed, pairConfig{})
		for n := 0; n < 50 && s.conn.err == nil; n++ {
			b := make([]byte, 1+rng.IntN(60))
			for i := range b {
				b[i] = byte(rng.Uint32() & 0x1f)
			}
			s.sends(bytesFrame(b))
		}
		typed(t, s.conn)
	}
}

// Floods of frames that are fine one by one: memory stays bounded.
func TestFrameFloods(t *testing.T) {
	for _, tt := range []struct {
		name  string
		count int
		frame func(s *scripted, n uint64) []appender
	}{
		{"PATH_CHALLENGE", 8000, func(_ *scripted, n uint64) []appender {
			return []appender{wire.PathChallenge{Data: [8]byte{byte(n), byte(n >> 8)}}}
		}},
		{"PING with gaps", 8000, func(s *scripted, _ uint64) []appender { s.next[2]++; return []appender{wire.Ping{}} }},
		{"NEW_CONNECTION_ID", 5000, func(_ *scripted, n uint64) []appender {
			return []appender{wire.NewConnectionID{Sequence: 10 + n, RetirePriorTo: 10 + n, ID: someID(10 + n)}}
		}},
		{"RETIRE_CONNECTION_ID", 5000, func(s *scripted, n uint64) []appender {
			s.dst = s.conn.path0.issued.ids[len(s.conn.path0.issued.ids)-1].id
			return []appender{wire.RetireConnectionID{Sequence: n}}
		}},
		{"streams", 5000, func(_ *scripted, n uint64) []appender {
			return []appender{wire.ResetStream{ID: wire.NewStreamID(wire.Client, wire.Uni, n)}}
		}},
		{"STREAM with gaps", 8000, func(_ *scripted, n uint64) []appender {
			return []appender{wire.Stream{ID: 0, Offset: 2 * n, Data: []byte{1}}}
		}},
		{"CRYPTO with gaps", 8000, func(_ *scripted, n uint64) []appender {
			return []appender{wire.Crypto{Offset: 2*n + 1, Data: []byte{1}}}
		}},
		{"MAX_DATA", 8000, func(_ *scripted, n uint64) []appender { return []appender{wire.MaxData{Max: n}} }},
		{"PATH_RESPONSE", 8000, func(_ *scripted, _ uint64) []appender { return []appender{wire.PathResponse{}} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, wire.Server, confirmed, pairConfig{})
			before := heap()
			for n := uint64(0); n < uint64(tt.count) && s.conn.err == nil; n++ {
				s.sends(tt.frame(s, n)...)
				s.got = s.got[:0]
				s.pair.now = s.pair.now.Add(time.Microsecond)
			}
			typed(t, s.conn)
			if after := heap(); after > before+8<<20 {
				t.Errorf("the heap grew from %d to %d bytes", before, after)
			}
			if n := len(s.conn.path0.spaces[2].log.ring); n > 1<<15 {
				t.Errorf("the log of frames grew to %d", n)
			}
			runtime.KeepAlive(s)
		})
	}
}

// A replayed flight changes nothing.
func TestReplayedConnection(t *testing.T) {
	p := newPair(t, pairConfig{})
	var tape [][]byte
	p.fate = func(from wire.Perspective, d *flying) (int, time.Duration) {
		if from == wire.Client {
			tape = append(tape, slices.Clone(d.data))
		}
		return 1, 0
	}
	p.handshake()
	x := newTransfer(p, wire.Client, 1, 100_000)
	p.run(time.Minute, x.done)
	dropped := p.server().stats.droppedPackets
	for _, b := range tape {
		p.server().HandleDatagram(p.now, &Datagram{Local: serverAddr, Remote: clientAddr, Data: b})
	}
	if p.server().err != nil || p.server().stats.droppedPackets < dropped+uint64(len(tape)) {
		t.Errorf("ended with %v; %d of %d datagrams were dropped", p.server().err, p.server().stats.droppedPackets-dropped, len(tape))
	}
}
