package proto

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// What a connection drops and goes on.
func TestPacketThatIsDropped(t *testing.T) {
	elsewhere := netip.MustParseAddrPort("203.0.113.7:7")
	for _, tt := range []struct {
		name  string
		side  wire.Perspective // under test
		stage stage
		send  func(s *scripted)
	}{
		// RFC 9000, section 9: a client MUST discard packets from an unknown server address.
		{"from another server address", wire.Client, confirmed, func(s *scripted) { s.at.remote = elsewhere; s.sends(wire.Ping{}) }},
		// Section 17.3.1: without the fixed bit MUST be discarded; section 17.2: long headers, too.
		{"no fixed bit, 1-RTT", wire.Server, confirmed, func(s *scripted) { s.mask = 0x40; s.sends(wire.Ping{}) }},
		{"no fixed bit, Handshake", wire.Server, greeted, func(s *scripted) { s.mask = 0x40; s.sendsIn(wire.PacketHandshake, wire.Ping{}) }},
		// RFC 9001, section 5.4.2: too short for a sample MUST be discarded.
		{"too short, 1-RTT", wire.Server, confirmed, func(s *scripted) { s.sendsDatagram(s.packet(wire.PacketOneRTT)[:1+connIDLen+19]) }},
		{"too short for an ID", wire.Server, confirmed, func(s *scripted) { s.sendsDatagram([]byte{0x40, 1, 2}) }},
		// RFC 9001, section 5.5: what cannot be opened MUST be discarded.
		{"changed", wire.Server, confirmed, func(s *scripted) {
			b := s.packet(wire.PacketOneRTT, wire.Padding{Size: 50})
			b[len(b)-1] ^= 1
			s.sendsDatagram(b)
		}},
		// RFC 9000, section 12.3: a packet number seen before MUST be discarded.
		{"twice", wire.Server, confirmed, func(s *scripted) {
			b := s.packet(wire.PacketOneRTT, wire.Ping{})
			s.sendsDatagram(slices.Clone(b))
			s.wantFine()
			s.sendsDatagram(b)
		}},
		// Section 7.2: another source connection ID MUST be discarded.
		{"source ID changed", wire.Server, greeted, func(s *scripted) { s.src = someID(1); s.sendsIn(wire.PacketHandshake, wire.Ping{}) }},
		{"source ID changed, client", wire.Client, greeted, func(s *scripted) {
			s.sendsIn(wire.PacketInitial, wire.Ping{})
			s.wantFine()
			s.src = someID(1)
			s.sendsIn(wire.PacketInitial, wire.Ping{})
		}},
		// Section 14.1: a server MUST discard an Initial in a datagram below 1200 bytes.
		{"small Initial", wire.Server, greeted, func(s *scripted) { s.small = true; s.sendsIn(wire.PacketInitial, wire.Ping{}) }},
		// Section 17.2.2: a client MUST discard an Initial with a token, or close.
		{"token from a server", wire.Client, greeted, func(s *scripted) { s.token = []byte{1}; s.sendsIn(wire.PacketInitial, wire.Ping{}) }},
		// Section 17.2: an ID of more than 20 bytes MUST have the packet dropped.
		{"ID of 21 bytes", wire.Server, greeted, func(s *scripted) {
			s.sendsDatagram(append([]byte{0xc0, 0, 0, 0, 1, 21}, make([]byte, 1200)...))
		}},
		// RFC 9001, section 5.6: a client MUST discard 0-RTT packets.
		{"0-RTT from a server", wire.Client, greeted, func(s *scripted) {
			h := wire.LongHeader{Type: wire.PacketZeroRTT, Version: wire.Version1, DstID: s.dst, SrcID: s.src, Length: 40}
			s.sendsDatagram(append(wire.AppendLong(nil, h, 0, 4), make([]byte, 36)...))
		}},
		// RFC 9000, section 5.2.1: another version than the client chose MUST be discarded.
		{"another version", wire.Client, greeted, func(s *scripted) {
			b := s.packet(wire.PacketInitial, wire.Ping{})
			b[4] = 2
			s.sendsDatagram(b)
		}},
		// Section 12.2: coalesced packets for another connection SHOULD be ignored.
		{"coalesced for another ID", wire.Server, greeted, func(s *scripted) {
			b := s.packet(wire.PacketHandshake, wire.Ping{})
			s.dst = s.conn.originalID
			s.sendsDatagram(append(b, s.packet(wire.PacketHandshake, wire.Ping{})...))
		}},
		{"1-RTT coalesced for another ID", wire.Server, greeted, func(s *scripted) {
			b := s.packet(wire.PacketHandshake, wire.Ping{})
			s.dst = s.conn.originalID
			s.sendsDatagram(append(b, s.packet(wire.PacketOneRTT, wire.Ping{})...))
		}},
		// RFC 9001, section 4.9.1: a server MUST discard Initial keys with the first Handshake
		// packet.
		{"Initial after Handshake", wire.Server, greeted, func(s *scripted) {
			s.sendsIn(wire.PacketHandshake, wire.Ping{})
			s.wantFine()
			s.sendsIn(wire.PacketInitial, wire.Ping{})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, tt.side, tt.stage, pairConfig{})
			tt.send(s)
			s.wantDropped()
		})
	}
}

// RFC 9000, sections 17.2 and 17.3.1: reserved bits that are not 0 MUST be a
// PROTOCOL_VIOLATION, once protection is off.
func TestReservedBits(t *testing.T) {
	for _, tt := range []struct {
		kind  wire.PacketType
		stage stage
		bits  byte
	}{
		{wire.PacketInitial, greeted, 0x04},
		{wire.PacketHandshake, greeted, 0x08},
		{wire.PacketOneRTT, confirmed, 0x08},
		{wire.PacketOneRTT, confirmed, 0x10},
	} {
		s := newScripted(t, wire.Server, tt.stage, pairConfig{})
		s.bits = tt.bits
		s.sendsIn(tt.kind, wire.Ping{})
		s.wantClose(wire.ProtocolViolation)
	}
}

// RFC 9000, section 12.2: when a packet cannot be opened, the rest of the datagram MUST
// be tried. RFC 9000, section 13.1: each is acknowledged by itself.
func TestCoalescedPacketsStandAlone(t *testing.T) {
	s := newScripted(t, wire.Server, greeted, pairConfig{})
	broken := s.packet(wire.PacketHandshake, wire.Ping{})
	broken[len(broken)-1] ^= 1
	s.sendsDatagram(append(broken, s.packet(wire.PacketHandshake, wire.Ping{})...))
	// RFC 9000, section 13.2.1: Handshake packets MUST be acknowledged at once.
	if f := s.wantFrame(wire.TypeAck).(wire.Ack); f.Largest != s.next[recovery.SpaceHandshake]-1 || f.Smallest() != f.Largest {
		t.Errorf("acknowledged %d to %d, want the second packet alone", f.Smallest(), f.Largest)
	}
}

// RFC 9001, section 5.7: 1-RTT packets MUST NOT be processed before the handshake is
// complete.
func TestOneRTTWaitsForTheHandshake(t *testing.T) {
	s := newScripted(t, wire.Server, greeted, pairConfig{})
	finished := s.real.path0.spaces[recovery.SpaceHandshake].crypto.out
	s.sends(wire.Stream{ID: wire.NewStreamID(wire.Client, wire.Bidi, 0), Data: []byte("early bird")})
	if _, ok := s.conn.AcceptStream(wire.Bidi); ok || s.conn.complete {
		t.Fatal("1-RTT data was taken before the handshake was complete")
	}
	s.sendsIn(wire.PacketHandshake, wire.Crypto{Data: finished})
	if _, ok := s.conn.AcceptStream(wire.Bidi); !ok || !s.conn.complete {
		t.Errorf("complete %v, and the data that waited came: %v", s.conn.complete, ok)
	}
	if len(s.conn.waiting) != 0 {
		t.Error("packets wait for ever")
	}
	// RFC 9001, section 4.1.2: the server MUST send HANDSHAKE_DONE at once; section 4.9.2:
	// Handshake keys MUST be discarded.
	s.wantFrame(wire.TypeHandshakeDone)
	if s.conn.keys.handshakeSeal != nil || s.conn.keys.handshakeOpen != nil || s.conn.keys.initialSeal != nil {
		t.Error("keys of the handshake are still there")
	}
	// RFC 9000, section 13.3: HANDSHAKE_DONE MUST be sent again until it is acknowledged.
	s.got = nil
	s.waits(2 * time.Second)
	s.wantFrame(wire.TypeHandshakeDone)
}

func resetBytes(first byte, size int, token wire.ResetToken) []byte {
	b := make([]byte, size)
	b[0] = first
	for i := range b[1:] {
		b[1+i] = byte(i)
	}
	copy(b[size-len(token):], token[:])
	return b
}

// RFC 9000, section 10.3: any datagram that ends in the token MUST be taken for a
// stateless reset, and the connection MUST NOT send any more (section 10.3.1).
func TestStatelessResetIsRecognised(t *testing.T) {
	for _, tt := range []struct {
		name string
		data func(s *scripted, token wire.ResetToken) []byte
		want bool
	}{
		{"short header", func(_ *scripted, k wire.ResetToken) []byte { return resetBytes(0x40, 40, k) }, true},
		{"smallest", func(_ *scripted, k wire.ResetToken) []byte { return resetBytes(0x40, 21, k) }, true},
		{"too small", func(_ *scripted, k wire.ResetToken) []byte { return resetBytes(0x40, 20, k) }, false},
		{"long header", func(_ *scripted, k wire.ResetToken) []byte { return resetBytes(0xc0, 40, k) }, true},
		{"no fixed bit", func(_ *scripted, k wire.ResetToken) []byte { return resetBytes(0, 40, k) }, true},
		{"one bit off", func(_ *scripted, k wire.ResetToken) []byte { k[3] ^= 1; return resetBytes(0x40, 40, k) }, false},
		// Section 10.3.1: tokens of IDs not in use MUST NOT be looked at.
		{"of an unused ID", func(s *scripted, _ wire.ResetToken) []byte {
			return resetBytes(0x40, 40, s.conn.path0.peer.spare[0].token)
		}, false},
		// A packet that can be opened is none, whatever it ends with.
		{"a real packet", func(s *scripted, _ wire.ResetToken) []byte {
			b := s.packet(wire.PacketOneRTT, wire.Ping{}, wire.Padding{Size: 40})
			copy(s.conn.path0.peer.inUse.token[:], b[len(b)-16:])
			return b
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, wire.Client, confirmed, pairConfig{})
			s.got = nil
			s.sendsDatagram(tt.data(s, s.conn.path0.peer.inUse.token))
			if got := errors.Is(s.conn.err, ErrStatelessReset); got != tt.want {
				t.Fatalf("ended with %v, want a stateless reset: %v", s.conn.err, tt.want)
			}
			if tt.want {
				s.waits(10 * time.Second)
				if len(s.got) > 0 {
					t.Errorf("it went on to send %v", s.heard())
				}
			}
		})
	}
}

// RFC 9000, section 21.4: numbers are left out, and who acknowledges one is found out.
func TestSkippedPacketNumber(t *testing.T) {
	for _, tt := range []struct {
		name string
		ack  func(skipped wire.PacketNumber) []wire.Range
		want bool
	}{
		{"of all", func(n wire.PacketNumber) []wire.Range { return []wire.Range{{Smallest: 0, Largest: n + 1}} }, false},
		{"of it alone", func(n wire.PacketNumber) []wire.Range { return []wire.Range{{Smallest: n, Largest: n}} }, false},
		{"of what was sent", func(n wire.PacketNumber) []wire.Range {
			return []wire.Range{{Smallest: n + 1, Largest: n + 1}, {Smallest: n - 1, Largest: n - 1}}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, wire.Server, confirmed, pairConfig{})
			sp := &s.conn.path0.spaces[recovery.SpaceApplication]
			if sp.skip < skipFirst || sp.skip >= 2*skipFirst {
				t.Fatalf("the first number to be left out is %d", sp.skip)
			}
			skipped := sp.skip
			for n := 0; s.largest[2] <= skipped && s.conn.err == nil && n < 1000; n++ {
				s.conn.Ping()
				s.waits(10 * time.Millisecond) // it is paced
				s.sends(bytesFrame(wire.AppendAck(nil, wire.Ack{Delay: 0}, []wire.Range{{Smallest: s.largest[2], Largest: s.largest[2]}})))
			}
			for i := range s.got {
				if s.got[i].kind == wire.PacketOneRTT && s.got[i].number == skipped {
					t.Fatal("a packet has the number")
				}
			}
			s.sends(bytesFrame(wire.AppendAck(nil, wire.Ack{}, tt.ack(skipped))))
			if tt.want {
				s.wantFine()
				return
			}
			s.wantClose(wire.ProtocolViolation)
		})
	}
}
