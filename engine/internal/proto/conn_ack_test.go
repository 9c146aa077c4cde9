package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// acks acknowledges 1-RTT packets of the connection under test.
func (s *scripted) acks(delay uint64, numbers ...wire.PacketNumber) {
	s.t.Helper()
	for _, n := range numbers {
		s.sends(bytesFrame(wire.AppendAck(nil, wire.Ack{Delay: delay}, []wire.Range{{Smallest: n, Largest: n}})))
	}
}

// pings has the connection under test send n packets with a PING, and returns the
// number of the last one.
func (s *scripted) pings(n int) wire.PacketNumber {
	s.t.Helper()
	newest := &s.largest[recovery.SpaceApplication]
	for range n {
		before := *newest
		s.conn.Ping()
		s.drain()
		for waited := 0; *newest == before; waited++ { // for the pacer
			if waited == 20 {
				s.t.Fatal("no packet leaves")
			}
			s.waits(time.Millisecond)
		}
	}
	return *newest
}

// quiet is a server that has no larger packets to probe for, which would fill its window
// when nobody answers them.
func quiet() pairConfig { return pairConfig{server: Config{MaxUDPPayload: 1472}} }

// resent are frames that are sent until they are acknowledged, and how to have them
// sent by a server.
func resent() map[wire.FrameType]func(s *scripted) {
	return map[wire.FrameType]func(s *scripted){
		wire.TypeNewConnectionID: func(s *scripted) { s.sends(wire.RetireConnectionID{Sequence: 1}) },
		wire.TypeRetireConnectionID: func(s *scripted) {
			s.sends(wire.NewConnectionID{Sequence: 9, RetirePriorTo: 1, ID: someID(9)})
		},
		wire.TypeNewToken: func(s *scripted) {
			s.conn.tokens.data, s.conn.tokens.wanted = []byte("token"), true
			s.drain()
		},
		wire.TypeHandshakeDone: func(s *scripted) {
			s.conn.doneWanted = true
			s.drain()
		},
	}
}

// RFC 9000, section 13.3: what a lost packet carried MUST be sent again.
func TestLostFramesAreSentAgain(t *testing.T) {
	for kind, trigger := range resent() {
		t.Run(kind.String(), func(t *testing.T) {
			s := newScripted(t, wire.Server, confirmed, quiet())
			trigger(s)
			s.wantFrame(kind)
			s.got = nil
			s.acks(0, s.pings(4))          // three more than what is lost by it
			s.waits(20 * time.Millisecond) // for the pacer
			s.wantFrame(kind)
			s.wantFine()
		})
	}
}

// A frame that went twice, for a probe timeout, and arrived once, is not sent again when
// the other packet is lost.
func TestArrivedFramesAreNotSentAgain(t *testing.T) {
	for _, kind := range []wire.FrameType{wire.TypeNewConnectionID, wire.TypeRetireConnectionID} {
		t.Run(kind.String(), func(t *testing.T) {
			s := newScripted(t, wire.Server, confirmed, quiet())
			resent()[kind](s)
			s.wantFrame(kind)
			first := s.largest[recovery.SpaceApplication]
			s.got = nil
			s.waits(s.conn.pto() + 10*time.Millisecond)
			s.wantFrame(kind)
			s.acks(0, first)
			s.got = nil
			s.acks(0, s.pings(6))
			s.waits(20 * time.Millisecond)
			if f, _ := s.frame(kind); f != nil {
				t.Errorf("%v came again, though it was acknowledged", kind)
			}
		})
	}
}

// An acknowledged ACK frame takes what it covered out of the next ones.
func TestAcknowledgedAcksShrink(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	app := &s.conn.path0.spaces[recovery.SpaceApplication]
	for range 5 {
		s.next[recovery.SpaceApplication]++
		s.sends(wire.Ping{})
	}
	s.conn.Ping()
	s.sends(wire.Ping{}) // answered by one packet with both
	had := app.acks.unheard()
	s.acks(0, s.largest[recovery.SpaceApplication])
	s.next[recovery.SpaceApplication]++
	s.sends(wire.Ping{})
	if got := app.acks.unheard(); had < 5 || got >= had {
		t.Errorf("%d ranges, and %d once the peer knows them", had, got)
	}
}

// Once all packets have their fate, nothing is kept of what was in them.
func TestSettledPacketsAreForgotten(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	for range 8 {
		s.acks(0, s.pings(3))
	}
	if log := &s.conn.path0.spaces[recovery.SpaceApplication].log; log.next-log.first > 4 {
		t.Errorf("%d frames are remembered", log.next-log.first)
	}
}

// RFC 9000, section 19.3: the delay counts in units that the peer chose, of 1-RTT packets
// only; what is learnt of the round-trip time reaches all who need it.
func TestRoundTripTimeIsLearnt(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	s.conn.peer.AckDelayExponent = 10
	before := s.conn.path0.det.RTT()
	n := s.pings(1)
	s.pair.now = s.pair.now.Add(before.Min + 24*time.Millisecond)
	s.acks(16, n) // 16*1024 us
	const adjusted = 24*time.Millisecond - 16*1024*time.Microsecond
	want := (7*before.Smoothed + before.Min + adjusted) / 8
	got := s.conn.path0.det.RTT()
	if got.Smoothed != want {
		t.Errorf("smoothed RTT %v, want %v", got.Smoothed, want)
	}
	if s.conn.streams.rtt != got.Smoothed {
		t.Errorf("the windows grow by an RTT of %v", s.conn.streams.rtt)
	}
	if rtt := s.conn.path0.spaces[recovery.SpaceApplication].acks.policy.rtt; rtt != got.Smoothed {
		t.Errorf("ACKs are timed by an RTT of %v", rtt)
	}
	// Old keys go after three of the PTOs of now.
	if err := s.conn.UpdateKeys(s.now()); err != nil {
		t.Fatal(err)
	}
	s.pings(1)
	s.sends(wire.Ping{})
	s.conn.keys.oneRTT.HandleTimeout(s.now())
	if at, want := s.conn.keys.oneRTT.Timeout(), s.now().Add(3*s.conn.pto()); at != want {
		t.Errorf("old keys go after %v, want %v", at.Sub(s.now()), want.Sub(s.now()))
	}
}

func TestPeersAckDelay(t *testing.T) {
	for _, tt := range []struct {
		name     string
		value    uint64
		exponent uint8
		want     time.Duration
	}{
		{"none", 0, 3, 0},
		{"the default exponent", 125, 3, time.Millisecond},
		{"another exponent", 125, 0, 125 * time.Microsecond},
		{"no delay at all", wire.MaxVarint, 20, time.Hour},
		{"no delay either", 1 << 31, 20, time.Hour},
		{"an hour", uint64(time.Hour / time.Microsecond), 0, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Conn
			c.peer.AckDelayExponent = tt.exponent
			if got := c.ackDelay(tt.value); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// RFC 8899, section 4.3: packets of the size in use are lost, and smaller ones arrive: a
// black hole, found by its losses; not where large ones arrive in between.
func TestBlackHoleByLosses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		arrive bool // one large packet of each burst
		want   bool
	}{{"none arrives", false, true}, {"some arrive", true, false}} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, wire.Server, confirmed, quiet())
			size := s.conn.path0.mtu.size()
			if size == minUDPPayload {
				t.Fatal("the path's MTU was not found")
			}
			for n := range wire.PacketNumber(blackHoleLosses) {
				s.conn.outcome.Reset()
				s.conn.outcome.Lost = append(s.conn.outcome.Lost, recovery.Sent{Number: 100 + 2*n, Size: size, AckEliciting: true})
				if tt.arrive {
					s.conn.outcome.Acked = append(s.conn.outcome.Acked, recovery.Sent{Number: 101 + 2*n, Size: size})
				}
				s.conn.settle(s.now(), s.conn.path0, recovery.SpaceApplication)
			}
			now := s.conn.path0.mtu.size()
			if (now == minUDPPayload) != tt.want {
				t.Fatalf("packets of %d bytes after %d losses", now, blackHoleLosses)
			}
			if n, _ := s.conn.path0.det.Budget(s.now().Add(time.Second), 64<<10); n == 0 || n%now != 0 {
				t.Errorf("the budget is %d bytes: no multiple of a packet of %d", n, now)
			}
			if got := s.conn.datagrams.path; got >= now || got+50 < now {
				t.Errorf("DATAGRAM frames of %d bytes in packets of %d", got, now)
			}
		})
	}
}

// The largest DATAGRAM fits into a packet, whatever its number.
func TestDatagramsFitThePath(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	header := len(wire.AppendShort(nil, s.conn.path0.peer.current(), 0, 0, 4))
	if got, want := s.conn.datagrams.path, s.conn.path0.mtu.size()-wire.ByteCount(header+tagSize); got != want {
		t.Errorf("a frame of %d bytes, want %d", got, want)
	}
}
