package proto

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// RFC 9000, section 10.2.2: who is told of the end MUST NOT send any more.
func TestDrainingSaysNothing(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	s.got = nil
	s.sends(wire.ConnectionClose{Application: true, Code: 3, Reason: []byte("bye")})
	s.sends(wire.Ping{})
	s.waits(10 * time.Second)
	if len(s.got) != 0 {
		t.Errorf("sent %v", s.heard())
	}
	got, ok := errors.AsType[*ApplicationError](s.conn.err)
	if !ok || got.Code != 3 || got.Reason != "bye" || !got.Remote {
		t.Errorf("ended with %v", s.conn.err)
	}
	if !s.pair.ends[wire.Server].drained {
		t.Error("it never ends")
	}
}

// RFC 9000, section 10.2.1: in the closing state a packet is answered by the close, at a
// limited rate, and nothing else is sent.
func TestClosingAnswersSomePackets(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	s.got = nil
	s.conn.Close(s.now(), 1, "")
	s.drain()
	for range 100 {
		s.sends(wire.Ping{})
	}
	if n := s.count(wire.TypeCloseApplication); n != 7 || len(s.got) != n { // after 0, 1, 2, 4 ... packets
		t.Errorf("%d closes in %d packets, want 7", n, len(s.got))
	}
	s.waits(10 * time.Second)
	if !s.pair.ends[wire.Server].drained {
		t.Error("it never ends")
	}
}

// RFC 9000, section 10.2.3: an application's close MUST be replaced in Initial and
// Handshake packets, and its reason MUST go. Section 10.2.1: all of it MUST stay within
// the anti-amplification limit.
func TestCloseDuringTheHandshake(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newScripted(t, side, greeted, pairConfig{})
		room := s.conn.path0.amp.room()
		s.got = nil
		s.conn.Close(s.now(), 7, strings.Repeat("secret", 100))
		s.drain()
		if len(s.got) == 0 {
			t.Fatalf("%v: no close came", side)
		}
		for _, p := range s.got {
			if p.kind == wire.PacketOneRTT {
				continue
			}
			f, ok := p.frames[0].(wire.ConnectionClose)
			if !ok || f.Application || f.Code != uint64(wire.ApplicationError) || len(f.Reason) > 0 {
				t.Errorf("%v: %v packet with %+v", side, p.kind, p.frames[0])
			}
			if p.size > int(minUDPPayload) || p.size > int(room) {
				t.Errorf("%v: the close takes %d bytes, may take %d", side, p.size, min(minUDPPayload, room))
			}
			// Section 14.1: MUST be 1200 bytes with a client's Initial.
			if p.kind == wire.PacketInitial && side == wire.Client && p.size < int(minUDPPayload) {
				t.Errorf("a client's Initial in %d bytes", p.size)
			}
		}
	}
}

// A long reason in three levels is one datagram still.
func TestCloseIsOneDatagram(t *testing.T) {
	s := newScripted(t, wire.Server, greeted, pairConfig{})
	s.got = nil
	s.conn.fail(s.now(), wire.Errorf(wire.InternalError, "%s", strings.Repeat("why", 300)))
	s.drain()
	s.wantClose(wire.InternalError)
	for _, p := range s.got {
		if p.size > int(minUDPPayload) {
			t.Errorf("a %v packet in a datagram of %d bytes", p.kind, p.size)
		}
	}
	if n := s.count(wire.TypeCloseTransport); n < 2 {
		t.Errorf("the close is in %d levels, want each that the peer may read", n)
	}
}

// RFC 9000, section 10.2.1: while the peer's address is not validated, closing MUST send
// no more than three times what comes.
func TestClosingToAnAddressNotValidated(t *testing.T) {
	s := newScripted(t, wire.Server, greeted, pairConfig{})
	s.got = nil
	a := &s.conn.path0.amp
	a.out = amplificationFactor*a.in - 100 // all but used up
	s.conn.fail(s.now(), wire.Errorf(wire.InternalError, "why"))
	s.drain()
	for range 50 {
		s.sendsDatagram(make([]byte, 30))
		if a.out > amplificationFactor*a.in {
			t.Fatalf("%d bytes sent for %d received", a.out, a.in)
		}
	}
	if n := s.count(wire.TypeCloseTransport); n == 0 {
		t.Error("no close came, ever")
	}
}

// RFC 9000, section 12.3: with no packet number left a connection MUST end without a word.
func TestPacketNumbersRunOut(t *testing.T) {
	s := newScripted(t, wire.Client, confirmed, pairConfig{})
	s.conn.path0.spaces[2].next, s.conn.path0.spaces[2].skip = wire.MaxVarint+1, wire.NoPacket
	s.got = nil
	s.sends(wire.Ping{})
	s.waits(time.Second)
	if !errors.Is(s.conn.err, errNumbersUsed) || len(s.got) > 0 {
		t.Errorf("ended with %v and sent %v", s.conn.err, s.heard())
	}
}

// RFC 9000, section 10.2.2: an endpoint that drains MUST NOT send, whatever waited.
func TestDrainingKeepsWhatWaited(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	out, err := s.conn.OpenStream(wire.Uni)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	s.conn.Ping()
	s.conn.closing.due = true
	s.conn.HandleDatagram(s.now(), &Datagram{
		Local: s.at.local, Remote: s.at.remote, Data: s.packet(wire.PacketOneRTT, wire.ConnectionClose{Application: true}),
	})
	tr := Transmit{Buf: make([]byte, 0, 2000), MaxSegments: 1}
	if s.conn.state != stateDraining || s.conn.AppendTransmit(s.now(), &tr) {
		t.Errorf("state %v, %d bytes to send", s.conn.state, len(tr.Buf))
	}
}
