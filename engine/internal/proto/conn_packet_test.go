package proto

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// A packet begins only when its number exists and a header protection sample fits.
func TestBeginPacket(t *testing.T) {
	for _, tt := range []struct {
		name string
		next wire.PacketNumber
		room int // behind the header, without the tag
		want bool
	}{
		{"room for a sample", 100, sampleSpan, true},
		{"room for less", 100, sampleSpan - 1, false},
		{"no room", 100, 0, false},
		// RFC 9000, section 12.3: a number above 2^62-1 MUST NOT be used.
		{"no number left", wire.MaxVarint + 1, 1000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, wire.Server, confirmed, quiet())
			app := &s.conn.path0.spaces[recovery.SpaceApplication]
			app.next, app.skip = tt.next, wire.NoPacket
			header := len(wire.AppendShort(nil, s.conn.path0.peer.current(), 0, 0, wire.PacketNumberLen(100, s.conn.path0.det.LargestAcked(recovery.SpaceApplication))))
			if _, got := s.conn.beginPacket(s.conn.path0, wire.PacketOneRTT, nil, header+tt.room+tagSize); got != tt.want {
				t.Errorf("begun %v, want %v", got, tt.want)
			}
		})
	}
}

// RFC 9000, section 14.1: a client's datagrams with Initial packets MUST be 1200 bytes at
// least, and a server's with such as elicit an acknowledgement.
func TestInitialDatagramsAreFull(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		t.Run(side.String(), func(t *testing.T) {
			_, client := testTLS(t)
			client.CurvePreferences = []tls.CurveID{tls.X25519} // hellos that are far from filling it
			s := newScripted(t, side, greeted, pairConfig{client: Config{TLS: client}})
			s.waits(3 * time.Second) // probes
			n := 0
			for _, p := range s.got {
				if p.kind != wire.PacketInitial || !slices.Contains(p.types, wire.TypeCrypto) {
					continue
				}
				n++
				if p.size < int(minUDPPayload) {
					t.Errorf("%v in a datagram of %d bytes", p.types, p.size)
				}
			}
			if n == 0 {
				t.Errorf("no Initial packet with CRYPTO frames, but %v", s.heard())
			}
		})
	}
}

// RFC 9002, section 2: a packet with PADDING is in flight, though it elicits no
// acknowledgement.
func TestPaddingIsInFlight(t *testing.T) {
	s := newScripted(t, wire.Client, greeted, pairConfig{})
	before := s.conn.path0.det.BytesInFlight()
	s.sendsIn(wire.PacketInitial, wire.Ping{})
	if f, p := s.frame(wire.TypeAck); f == nil || p.size != int(minUDPPayload) {
		t.Fatalf("no ACK in a padded Initial packet, but %v", s.heard())
	}
	if n := s.conn.path0.det.BytesInFlight() - before; n != minUDPPayload {
		t.Errorf("%d bytes more in flight, want %d", n, minUDPPayload)
	}
}

// RFC 9000, section 10.1: the first ack-eliciting packet since the peer was heard starts
// the idle timer again.
func TestSendingStartsTheIdleTimer(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	s.waits(time.Second)
	before := s.conn.idle.deadline(s.conn.pto())
	s.pings(1)
	after := s.conn.idle.deadline(s.conn.pto())
	if after.Sub(before) < time.Second {
		t.Errorf("the timer is later by %v after a PING", after.Sub(before))
	}
	s.waits(10 * time.Millisecond)
	s.pings(1)
	if again := s.conn.idle.deadline(s.conn.pto()); again != after {
		t.Errorf("the second PING moves it by %v", again.Sub(after))
	}
}

// RFC 9001, section 6.6: keys MUST be updated before they are used up: here after half of
// what AES-GCM may seal with one key.
func TestKeysAreUpdatedInTime(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	s.acks(0, s.pings(1)) // what an update waits for
	k := s.conn.keys.oneRTT
	var b []byte
	for range 1 << 22 {
		var err error
		if b, err = k.Seal(b[:0], nil, nil, 9, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.pings(1)
	if n := s.conn.Stats().KeyUpdates; n != 1 {
		t.Errorf("%d key updates, want one", n)
	}
}
