package proto

import (
	"bytes"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// traced counts the events of a kind by packet type.
type traced struct {
	kind TraceKind
	n    map[wire.PacketType]int
}

func (r traced) Trace(e *TraceEvent) {
	if e.Kind == r.kind {
		r.n[e.PacketType]++
	}
}

// RFC 9001, section 4.9: a level that is over is forgotten, once, with all that it had.
func TestDiscardedLevelsAreForgotten(t *testing.T) {
	var pc pairConfig
	var traces [2]traced
	for i, c := range []*Config{&pc.client, &pc.server} {
		traces[i] = traced{TraceKeyDiscarded, map[wire.PacketType]int{}}
		c.Tracer = func(wire.Perspective, wire.ConnID) Tracer { return traces[i] }
	}
	p := newPair(t, pc)
	p.handshake()
	for i, e := range p.ends {
		for sp, kind := range map[recovery.Space]wire.PacketType{
			recovery.SpaceInitial: wire.PacketInitial, recovery.SpaceHandshake: wire.PacketHandshake,
		} {
			if n := traces[i].n[kind]; n != 1 {
				t.Errorf("%v: the %v keys were discarded %d times", e.conn.side, kind, n)
			}
			s := &e.conn.path0.spaces[sp]
			if s.log.next != 0 || len(s.crypto.out)+len(s.crypto.in) != 0 || len(s.acks.ranges) != 0 {
				t.Errorf("%v: of %v packets there are %d frames, %d bytes of CRYPTO data and %d ranges", e.conn.side, kind,
					s.log.next, len(s.crypto.out)+len(s.crypto.in), len(s.acks.ranges))
			}
		}
	}
}

// Packets without keys are kept as they came, whatever becomes of the caller's buffer,
// up to a bound in number and bytes.
func TestPacketsThatWaitAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		want int // packets
	}{{"small", 100, maxWaiting}, {"large", 4000, maxWaitingBytes / 4000}, {"up to the bound", maxWaitingBytes / 4, 4}} {
		t.Run(tt.name, func(t *testing.T) {
			var c Conn
			for n := range 2 * maxWaiting {
				b := bytes.Repeat([]byte{byte(n + 1)}, tt.size)
				c.keepWaiting(wire.PacketHandshake, b, &Datagram{})
				clear(b)
			}
			if len(c.waiting) != tt.want {
				t.Errorf("%d packets are kept, want %d", len(c.waiting), tt.want)
			}
			for n, w := range c.waiting {
				if !bytes.Equal(w.data, bytes.Repeat([]byte{byte(n + 1)}, tt.size)) {
					t.Errorf("packet %d changed", n)
				}
			}
		})
	}
}

// RFC 9001, section 5.7: 1-RTT packets that came early are taken once the handshake is
// complete, all of them, and nothing waits after that.
func TestPacketsThatWaitAreTaken(t *testing.T) {
	s := newScripted(t, wire.Server, greeted, pairConfig{})
	forged := s.packet(wire.PacketOneRTT, wire.Ping{})
	forged[len(forged)-1] ^= 1
	s.sendsDatagram(forged) // takes none of the others with it
	for range 3 {
		s.sends(wire.Ping{})
	}
	s.sendsIn(wire.PacketHandshake, wire.Ping{}) // of which nothing follows
	if len(s.conn.waiting) != 4 || s.conn.complete {
		t.Fatalf("%d packets wait, complete %v; want 4 and false", len(s.conn.waiting), s.conn.complete)
	}
	finished := s.real.path0.spaces[recovery.SpaceHandshake].crypto.out
	s.sendsIn(wire.PacketHandshake, wire.Crypto{Data: finished})
	if s.conn.err != nil {
		t.Fatalf("ended with %v", s.conn.err)
	}
	app := &s.conn.path0.spaces[recovery.SpaceApplication]
	if got, want := app.acks.largest(), s.next[recovery.SpaceApplication]-1; got != want || len(app.acks.ranges) != 1 {
		t.Errorf("ranges %v, want up to %d without a gap", app.acks.ranges, want)
	}
	if len(s.conn.waiting) != 0 || !s.conn.complete {
		t.Errorf("%d packets wait still, complete %v", len(s.conn.waiting), s.conn.complete)
	}
}
