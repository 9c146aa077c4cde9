package proto

import (
	"errors"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// asks is an ACK_FREQUENCY frame with a Reordering Threshold of 1.
func asks(seq, threshold uint64, delay time.Duration) wire.AckFrequency {
	return wire.AckFrequency{Sequence: seq, Threshold: threshold, MaxAckDelay: uint64(delay / time.Microsecond), Reordering: 1}
}

// draft-ietf-quic-ack-frequency, section 4: a Requested Max Ack Delay of 2^14 ms or more, or
// below our min_ack_delay, MUST be a PROTOCOL_VIOLATION, in a frame that is out of date as
// well.
func TestAckFrequencyOfAnInvalidDelay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		delay uint64
		ok    bool
	}{
		{"none", 0, false},
		{"below min_ack_delay", uint64(minAckDelay/time.Microsecond) - 1, false},
		{"min_ack_delay", uint64(minAckDelay / time.Microsecond), true},
		{"the longest", 1<<14*1000 - 1, true},
		{"2^14 ms", 1 << 14 * 1000, false},
		{"the largest number", wire.MaxVarint, false},
	} {
		for _, newest := range []uint64{0, 7} {
			t.Run(tt.name, func(t *testing.T) {
				s := newScripted(t, wire.Server, confirmed, quiet())
				s.sends(asks(newest, 2, 10*time.Millisecond))
				s.wantFine()
				s.sends(wire.AckFrequency{Sequence: 5, Threshold: 2, MaxAckDelay: tt.delay})
				if tt.ok {
					s.wantFine()
				} else {
					s.wantClose(wire.ProtocolViolation)
				}
			})
		}
	}
}

// draft-ietf-quic-ack-frequency, section 3: neither frame can be in a 0-RTT packet. RFC 9000,
// section 12.4: that MUST be a PROTOCOL_VIOLATION, as in the other types of packet that do
// not permit them, and where we have not advertised the extension they are unknown.
func TestAckFrequencyFramesInTheWrongPlace(t *testing.T) {
	for _, f := range []appender{asks(0, 2, 10*time.Millisecond), wire.ImmediateAck{}} {
		for _, kind := range []wire.PacketType{wire.PacketInitial, wire.PacketHandshake} {
			s := newScripted(t, wire.Server, greeted, pairConfig{})
			s.sendsIn(kind, f)
			s.wantClose(wire.ProtocolViolation)
		}
		typ, _, err := wire.ParseFrameType(f.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := allowed(typ, wire.PacketZeroRTT, extensions{ackFrequency: true}).(*wire.TransportError); !ok || got.Code != wire.ProtocolViolation {
			t.Errorf("%v in a 0-RTT packet: %v", typ, got)
		}
		s := newScripted(t, wire.Server, confirmed, pairConfig{server: Config{NoAckFrequency: true}})
		s.sends(f)
		s.wantClose(wire.FrameEncodingError)
		// The extension is of one side: the peer need not have it.
		s = newScripted(t, wire.Server, confirmed, pairConfig{client: Config{NoAckFrequency: true}})
		s.sends(f)
		s.wantFine()
	}
}

// draft-ietf-quic-ack-frequency, section 3: a min_ack_delay MUST NOT be greater than
// max_ack_delay, and the peer's MUST be a TRANSPORT_PARAMETER_ERROR.
func TestMinAckDelayAboveMaxAckDelay(t *testing.T) {
	ours := (&Config{}).parameters()
	if !ours.HasMinAckDelay || ours.MinAckDelay > ours.MaxAckDelay || ours.MinAckDelay == 0 {
		t.Errorf("min_ack_delay %v (%v), max_ack_delay %v", ours.MinAckDelay, ours.HasMinAckDelay, ours.MaxAckDelay)
	}
	if off := (&Config{NoAckFrequency: true}).parameters(); off.HasMinAckDelay {
		t.Error("min_ack_delay is advertised though the extension is off")
	}
	s := newScripted(t, wire.Client, greeted, pairConfig{})
	s.sendsIn(wire.PacketInitial, wire.Ping{}) // it takes the server's ID
	p := s.real.local
	p.MinAckDelay = p.MaxAckDelay + time.Microsecond
	err := s.conn.setPeerParameters(s.now(), p.Append(nil, wire.Server))
	if got, ok := errors.AsType[*wire.TransportError](err); !ok || got.Code != wire.TransportParameterError {
		t.Errorf("got %v, want a TRANSPORT_PARAMETER_ERROR", err)
	}
}

// draft-ietf-quic-ack-frequency, section 3: min_ack_delay MUST NOT be remembered, so nothing
// of the extension is in 0-RTT packets.
func TestMinAckDelayIsNotRemembered(t *testing.T) {
	_, clientTLS := testTLS(t)
	e, err := NewEndpoint(EndpointConfig{Random: seeded(1)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Dial(clock.Time(time.Second), Config{TLS: clientTLS, EarlyData: true, AskAcks: true}, clientAddr, serverAddr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(clock.Time(time.Second), 0, "")
	p := wire.DefaultTransportParameters()
	p.HasMinAckDelay, p.MinAckDelay = true, time.Millisecond
	p.HasInitialSrcID, p.HasOriginalDstID = true, true
	c.resume(p.Append(nil, wire.Server))
	if c.peer.HasMinAckDelay || c.peer.MinAckDelay != 0 || c.asksAcks() {
		t.Errorf("the client remembers a min_ack_delay of %v", c.peer.MinAckDelay)
	}
	p, err = wire.ParseTransportParameters(newScripted(t, wire.Server, confirmed, quiet()).conn.remembered(), wire.Server)
	if err != nil || p.HasMinAckDelay {
		t.Errorf("a ticket has a min_ack_delay: %v", err)
	}
}

// acked returns how many acknowledgements of a path came.
func (s *scripted) acked(id wire.PathID) (n int) {
	for _, p := range s.got {
		for _, f := range p.frames {
			if a, ok := f.(wire.Ack); ok && a.Path == id {
				n++
			}
		}
	}
	return n
}

// wantThreshold fails unless a path's acknowledgement comes with the packet after the
// threshold.
func (s *scripted) wantThreshold(id wire.PathID, threshold int) {
	s.t.Helper()
	s.waits(100 * time.Millisecond) // what is owed
	s.got = nil
	for range threshold {
		s.sends(wire.Ping{})
	}
	if n := s.acked(id); n != 0 {
		s.t.Errorf("path %d: %d ACKs for the first %d packets", id, n, threshold)
	}
	s.sends(wire.Ping{})
	if n := s.acked(id); n != 1 {
		s.t.Errorf("path %d: %d ACKs for %d packets, want one", id, n, threshold+1)
	}
}

// What the peer asks for is of all paths, whatever path it came on, and of those that are
// opened later.
func TestAckFrequencyIsOfAllPaths(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		s.sends(asks(0, 7, 40*time.Millisecond))
		s.wantThreshold(1, 7)
		s.home().wantThreshold(0, 7)
		s.opens(clientSat)
		s.wantThreshold(2, 7)
		// The last one of these waits for the time that was asked for.
		s.waits(time.Second)
		s.got = nil
		s.sends(wire.Ping{})
		s.waits(39 * time.Millisecond)
		if s.acked(2) != 0 {
			t.Errorf("%v: acknowledged in less than 39 ms", side)
		}
		if s.waits(time.Millisecond); s.acked(2) != 1 {
			t.Errorf("%v: %d ACKs after 40 ms, want one", side, s.acked(2))
		}
		s.wantFine()
	}
}

// draft-ietf-quic-ack-frequency, section 4: a frame MUST be ignored unless its sequence number
// is greater than the largest processed one.
func TestAckFrequencyOutOfDate(t *testing.T) {
	s := newMulti(t, wire.Server, 4)
	s.opens(clientLTE)
	s.sends(asks(5, 4, 20*time.Millisecond))
	for _, seq := range []uint64{5, 4, 0} {
		s.sends(asks(seq, 9, 30*time.Millisecond))
		s.wantThreshold(1, 4)
	}
	s.sends(asks(6, 9, 30*time.Millisecond))
	s.wantThreshold(1, 9)
}

// draft-ietf-quic-ack-frequency, section 6: no range is cut off before it was said once,
// however seldom the peer wants to hear. Nor do numbers beyond an int matter.
func TestAckFrequencyOfManyPackets(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	s.sends(wire.AckFrequency{Threshold: wire.MaxVarint, MaxAckDelay: 10_000_000, Reordering: wire.MaxVarint})
	s.waits(time.Second)
	s.got = nil
	app := &s.conn.path0.spaces[recovery.SpaceApplication].acks
	floor := app.floor
	for range mostAsked + 1 {
		s.next[recovery.SpaceApplication]++ // one is lost, one arrives
		s.sends(wire.Ping{})
	}
	f, _ := s.frame(wire.TypeAck)
	if f == nil {
		t.Fatalf("no ACK for %d packets", mostAsked+1)
	}
	ranges := 0
	for range f.(wire.Ack).Ranges() {
		ranges++
	}
	if n := ranges; n < mostAsked+1 || app.floor != floor {
		t.Errorf("%d ranges were said, floor %d, was %d", n, app.floor, floor)
	}
}

// IMMEDIATE_ACK has the path that it came on acknowledged at once, and no other.
func TestImmediateAckIsOfItsPath(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		s.sends(asks(0, 100, 200*time.Millisecond))
		s.waits(time.Second)
		s.sends(wire.Ping{})
		s.home().sends(wire.Ping{})
		s.got = nil
		s.on(1, s.facing(clientLTE)).sends(wire.ImmediateAck{})
		if a, b := s.acked(1), s.acked(0); a != 1 || b != 0 {
			t.Errorf("%v: %d ACKs of its path, %d of the other, want 1 and 0", side, a, b)
		}
		s.wantFine()
	}
}

// asked has the connection under test ask for a delay.
func (s *scripted) asked(seq uint64, delay time.Duration) {
	s.t.Helper()
	s.got = nil
	s.conn.ackFreq.asked, s.conn.ackFreq.state = asks(seq, 10, delay), frameQueued
	s.drain()
	s.waits(20 * time.Millisecond) // for the pacer
	if f := s.wantFrame(wire.TypeAckFrequency).(wire.AckFrequency); f.Sequence != seq {
		s.t.Fatalf("asked with sequence number %d, want %d", f.Sequence, seq)
	}
}

// draft-ietf-quic-ack-frequency, section 7: until the frame is acknowledged the PTO MUST be by
// the greater of the delay that holds and the one in flight; then by the new one. On all
// paths, those opened later included, and for telling whether a path is late, too.
func TestProbeTimeoutByTheDelayAskedFor(t *testing.T) {
	for _, tt := range []struct {
		name             string
		delay            time.Duration
		flying, afterAck time.Duration
	}{
		{"shorter", 5 * time.Millisecond, maxAckDelay, 5 * time.Millisecond},
		{"longer", 80 * time.Millisecond, 80 * time.Millisecond, 80 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newMulti(t, wire.Server, 4)
			s.opens(clientLTE)
			s.acksAll(0, 1)
			s.got = nil
			want := func(delay time.Duration) {
				t.Helper()
				if got := s.conn.peerAckDelay(); got != delay {
					t.Errorf("the peer may wait for %v, want %v", got, delay)
				}
				for _, p := range s.conn.open {
					rtt := p.det.RTT()
					if got, want := p.pto(), rtt.Smoothed+max(4*rtt.Var, time.Millisecond)+delay; got != want {
						t.Errorf("path %d: a PTO of %v, want %v", p.id, got, want)
					}
				}
			}
			s.asked(3, tt.delay)
			want(tt.flying)
			s.acksAll(0, 1)
			want(tt.afterAck)
			p := s.opens(clientSat)
			want(tt.afterAck)
			s.home()
			s.acksAll(0, 1)
			p.det.OnSent(recovery.SpaceApplication, recovery.Sent{Number: p.spaces[recovery.SpaceApplication].next, Time: s.now(), Size: 1200, AckEliciting: true, InFlight: true})
			late := s.conn.suspectDeadline(p)
			s.conn.setAckDelay(tt.afterAck + 7*time.Millisecond)
			if got := s.conn.suspectDeadline(p).Sub(late); got != 7*time.Millisecond {
				t.Errorf("a path is late after %v more, want 7 ms", got)
			}
		})
	}
}

// draft-ietf-quic-ack-frequency, section 4: what is lost is sent again, with the same
// sequence number, and not once the peer has it. Numbers MUST increase monotonically.
func TestLostAckFrequency(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	s.asked(0, 10*time.Millisecond)
	_, at := s.frame(wire.TypeAckFrequency)
	first := at.number
	s.got = nil
	s.acks(0, s.pings(4))
	s.waits(20 * time.Millisecond)
	if f := s.wantFrame(wire.TypeAckFrequency).(wire.AckFrequency); f.Sequence != 0 {
		t.Errorf("sent again with sequence number %d", f.Sequence)
	}
	_, again := s.frame(wire.TypeAckFrequency)
	s.acks(0, again.number)
	if s.conn.ackFreq.state != frameKnown || s.conn.peerAckDelay() != 10*time.Millisecond {
		t.Errorf("state %v, delay %v", s.conn.ackFreq.state, s.conn.peerAckDelay())
	}
	s.conn.ackFrequencyLost(0) // another copy
	s.acks(0, first)
	if s.conn.ackFreq.state != frameKnown {
		t.Error("it is to be sent again though it arrived")
	}
	s.asked(1, 10*time.Millisecond)
	s.conn.ackFrequencyLost(0)
	if s.conn.ackFreq.state != frameSent {
		t.Error("a loss of the older frame has the newer one sent again")
	}
}

// Probes, and the question to a silent path whether it lives, are to be answered at once, if
// the peer knows how to.
func TestProbesAskForAnImmediateAck(t *testing.T) {
	for _, knows := range []bool{true, false} {
		pc := several(4)
		pc.client.NoAckFrequency = !knows
		s := newScripted(t, wire.Server, confirmed, pc)
		p := s.opens(clientLTE)
		s.acksAll(0, 1)
		s.waits(100 * time.Millisecond)
		s.acksAll(0, 1)
		s.got = nil
		s.conn.Ping()
		s.drain()
		s.waits(5 * time.Millisecond) // for the pacer
		s.wantFrame(wire.TypePing)
		if n := s.count(wire.TypeImmediateAck); n != 0 {
			t.Errorf("peer knows it %v: %d IMMEDIATE_ACK frames without need", knows, n)
		}
		s.waits(s.conn.pto() + 10*time.Millisecond)
		if got := s.count(wire.TypeImmediateAck) > 0; got != knows {
			t.Errorf("peer knows it %v: with probes %v, heard %v", knows, got, s.heard())
		}
		s.acksAll(0, 1)
		s.got = nil
		p.vitals.ping = true
		s.drain()
		on := s.heardOn(p.id)
		if len(on) == 0 {
			t.Fatal("the path is not asked")
		}
		if f := s.frameOn(p.id, wire.TypePing); f == nil {
			t.Errorf("no PING, but %v", s.heard())
		}
		if got := s.frameOn(p.id, wire.TypeImmediateAck) != nil; got != knows {
			t.Errorf("peer knows it %v: in the question %v, heard %v", knows, got, s.heard())
		}
	}
}
