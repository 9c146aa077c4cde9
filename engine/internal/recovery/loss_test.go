package recovery

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// sampled is a story whose RTT is 100 ms, with packet 0 acknowledged.
func sampled(t *testing.T) *story {
	t.Helper()
	s := newStory(t)
	s.send(1)
	s.advance(100 * ms)
	s.ack(one(0))
	return s
}

// RFC 9002, section 6.1.1: SHOULD NOT use a packet threshold below 3.
func TestPacketThreshold(t *testing.T) {
	s := sampled(t)
	s.send(6) // 1 to 6
	s.advance(100 * ms)
	s.ack(one(3))
	s.wantLost()
	s.ack(span(3, 4))
	s.wantLost(1)
	s.ack(span(3, 5))
	s.wantLost(2)
	s.wantInFlight(dgram)
}

// A number that was left out is no packet that came through (RFC 9002, appendix A.10).
func TestPacketThresholdWithSkip(t *testing.T) {
	s := sampled(t)
	s.send(1)
	s.skip(SpaceApplication)
	s.send(3) // 3 to 5
	s.advance(100 * ms)
	s.ack(one(4))
	s.wantLost()
	s.ack(span(4, 5))
	s.wantLost(1)
}

// RFC 9002, section 6.1.2: 9/8 of the larger of smoothed and latest RTT after a packet
// was sent, once a later one is acknowledged.
func TestTimeThreshold(t *testing.T) {
	s := sampled(t)
	s.send(1)
	s.advance(10 * ms)
	s.send(1)
	s.advance(100 * ms)
	s.ack(one(2))
	s.wantLost()
	s.wantTimeout(2500 * time.Microsecond) // 112.5 ms after it was sent
	if e := s.expire(); e.PTO {
		t.Errorf("expiry %+v, want a loss", e)
	}
	s.wantLost(1)
	s.wantNoTimeout()
}

func TestTimerBeforeItsTime(t *testing.T) {
	s := sampled(t)
	s.send(2)
	s.advance(100 * ms)
	s.ack(one(2))
	s.out.Reset()
	if e := s.d.HandleTimeout(s.now, &s.out); e.PTO {
		t.Errorf("expiry %+v before its time", e)
	}
	s.wantLost()
	s.ack(span(1, 2))
	s.wantAcked(1)
	s.wantNoTimeout()
}

// RFC 9002, section 6.1: loss detection is separate per packet number space.
func TestSpacesAreSeparate(t *testing.T) {
	s := handshakeStory(t, wire.Server)
	for range 5 {
		s.sendAs(SpaceInitial, func(*Sent) {})
		s.sendAs(SpaceHandshake, func(*Sent) {})
	}
	s.advance(100 * ms)
	s.ackAs(SpaceHandshake, Ack{}, one(4))
	s.wantLost(0, 1)
	s.wantInFlight(7 * dgram)
	s.expire()
	s.wantLost(2, 3)
}

// Packets that are not in flight are dropped when the peer passes over them, set no
// timer and reach no controller.
func TestAckOnlyPackets(t *testing.T) {
	s := sampled(t)
	s.sendAs(SpaceApplication, ackOnly)
	s.wantInFlight(0)
	s.wantNoTimeout()
	s.send(1)
	s.advance(100 * ms)
	s.ack(one(2))
	s.wantNoTimeout()
	s.send(3)
	s.ack(span(2, 5))
	s.wantDropped(1)
	s.wantLost()
	if len(s.c.losses) != 0 {
		t.Errorf("the controller heard of losses: %+v", s.c.losses)
	}
}

// Who only receives keeps a bounded number of packets.
func TestAckOnlyPacketsAreBounded(t *testing.T) {
	s := sampled(t)
	for range 10_000 {
		s.sendAs(SpaceApplication, ackOnly)
	}
	r := &s.d.spaces[SpaceApplication].ring
	if len(r.slots) > maxAckOnly {
		t.Errorf("a ring of %d slots, want %d at most", len(r.slots), maxAckOnly)
	}
	if p, ok := s.d.Oldest(SpaceApplication); !ok || p.Number < 9000 {
		t.Errorf("oldest = %v, %v, want a late one", p.Number, ok)
	}
	s.ack(span(1, 10_000))
}

// RFC 9000, section 14.4: the loss of a PMTU probe SHOULD NOT trigger a congestion
// control reaction.
func TestLostProbeIsNoCongestion(t *testing.T) {
	s := sampled(t)
	s.sendAs(SpaceApplication, func(p *Sent) { p.MTUProbe, p.Size = true, 1400 })
	s.send(3)
	s.advance(100 * ms)
	s.ack(span(2, 4))
	s.wantLost(1)
	s.wantInFlight(0)
	if !s.out.Lost[0].MTUProbe || len(s.c.losses) != 0 {
		t.Errorf("lost %+v, told the controller %+v: want a probe and nothing", s.out.Lost, s.c.losses)
	}
}

func TestControllerHearsOfLoss(t *testing.T) {
	s := sampled(t)
	s.send(3)
	s.advance(5 * ms)
	sent := s.now
	s.send(1) // 4
	s.advance(5 * ms)
	s.send(3)
	s.advance(100 * ms)
	s.ack(span(5, 7))
	s.wantLost(1, 2, 3, 4)
	if len(s.c.losses) != 1 {
		t.Fatalf("%d losses reported, want one", len(s.c.losses))
	}
	l := s.c.losses[0]
	if l.Bytes != 4*dgram || l.Largest != 4 || l.LargestSent != sent || l.InFlight != 0 || l.Persistent || l.CE {
		t.Errorf("loss = %+v", l)
	}
	// Packet 0 and the frame's three.
	if want := 4 * dgram; l.Delivered != want {
		t.Errorf("delivered at the loss = %d, want %d", l.Delivered, want)
	}
	var got []congest.LostPacket
	for n := range wire.ByteCount(4) {
		got = append(got, congest.LostPacket{
			Number: 1 + wire.PacketNumber(n), Bytes: dgram, TxInFlight: (n + 1) * dgram, LostSince: (n + 1) * dgram,
			Delivered: 4 * dgram,
		})
	}
	if diff := cmp.Diff(s.c.lost, got); diff != "" {
		t.Errorf("packets lost (-got +want):\n%s", diff)
	}
}

// The example of RFC 9002, section 7.6.3, in units of 100 ms: packets 2 to 8 are lost
// when 9 is acknowledged, and were sent over 7 units; the duration is 3 times 2.
func TestPersistentCongestionExample(t *testing.T) {
	// No. 1 is number 0 here. A sample of 0.2 units gives 0.6 without max_ack_delay.
	const unit = 100 * ms
	s := newStory(t)
	s.d.SetMaxAckDelay(140 * ms)
	s.send(1)
	s.advance(unit / 5)
	s.ack(one(0))
	if got := s.d.PTO(SpaceApplication); got != 2*unit {
		t.Fatalf("PTO = %v, want two units", got)
	}
	for _, at := range []time.Duration{1, 2, 3, 4, 5, 6, 8, 12} {
		s.now = start.Add(at * unit)
		s.send(1)
	}
	s.advance(unit / 5)
	s.ack(one(8))
	s.wantLost(1, 2, 3, 4, 5, 6, 7)
	if !s.out.PersistentCongestion || len(s.c.losses) != 1 || !s.c.losses[0].Persistent {
		t.Errorf("persistent = %v, told %+v: want persistent congestion", s.out.PersistentCongestion, s.c.losses)
	}
}

func TestPersistentCongestionConditions(t *testing.T) {
	const long = time.Minute
	tests := []struct {
		name  string
		story func(s *story)
		want  bool
	}{
		{"two packets, far apart", func(s *story) {
			s.send(1)
			s.advance(long)
			s.send(1)
		}, true},
		// Section 7.6.1: three times the PTO, which the second sample of 100 ms makes 250 ms.
		{"close together", func(s *story) {
			s.send(1)
			s.advance(3 * 250 * ms)
			s.send(1)
		}, false},
		{"a little further apart", func(s *story) {
			s.send(1)
			s.advance(3*250*ms + 1)
			s.send(1)
		}, true},
		{"max_ack_delay counts", func(s *story) {
			s.d.SetMaxAckDelay(100 * ms)
			s.send(1)
			s.advance(3 * 350 * ms)
			s.send(1)
		}, false},
		{"one between was acknowledged", func(s *story) {
			s.send(1)
			s.advance(long / 2)
			s.send(1)
			s.ack(one(2))
			s.advance(long / 2)
			s.send(1)
		}, false},
		{"one between in another space was acknowledged", func(s *story) {
			s.send(1)
			s.advance(long / 2)
			s.sendAs(SpaceHandshake, func(*Sent) {})
			s.ackAs(SpaceHandshake, Ack{}, one(0))
			s.advance(long / 2)
			s.send(1)
		}, false},
		// Section 7.6.2: the two packets MUST be ack-eliciting.
		{"padding alone", func(s *story) {
			s.sendAs(SpaceApplication, func(p *Sent) { p.AckEliciting = false })
			s.advance(long)
			s.send(1)
		}, false},
		{"MTU probes", func(s *story) {
			s.sendAs(SpaceApplication, func(p *Sent) { p.MTUProbe = true })
			s.advance(long)
			s.send(1)
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sampled(t)
			s.advance(ms)
			tt.story(s)
			s.advance(ms)
			s.send(3)
			last := s.next[SpaceApplication] - 1
			s.advance(100 * ms)
			s.ack(span(last-2, last))
			if got := s.out.PersistentCongestion; got != tt.want {
				t.Errorf("persistent congestion = %v, want %v; lost %v", got, tt.want, numbers(s.out.Lost))
			}
		})
	}
}

// RFC 9002, section 7.6.2: SHOULD NOT start before the first RTT sample.
func TestNoPersistentCongestionWithoutSample(t *testing.T) {
	s := newStory(t)
	s.send(1)
	s.advance(time.Minute)
	s.send(4)
	s.advance(100 * ms)
	s.ack(span(2, 4))
	s.wantLost(0, 1)
	if s.out.PersistentCongestion || len(s.c.losses) != 1 {
		t.Error("persistent congestion among packets sent before the first RTT sample")
	}
}

// Nor without any: what was acknowledged gave none.
func TestNoPersistentCongestionWithoutAnySample(t *testing.T) {
	s := newStory(t)
	s.send(1)
	s.advance(time.Minute)
	s.send(4)
	s.sendAs(SpaceApplication, func(p *Sent) { p.AckEliciting = false })
	s.advance(time.Second)
	s.ack(one(5))
	s.wantLost(0, 1, 2, 3, 4)
	if s.out.PersistentCongestion {
		t.Error("persistent congestion without an RTT sample")
	}
}

// Losses found in several steps are one run.
func TestPersistentCongestionAcrossDetections(t *testing.T) {
	s := sampled(t)
	s.advance(ms)
	s.send(1)
	s.advance(2 * time.Second)
	s.send(3)
	s.advance(150 * ms)
	s.ack(one(4))
	s.wantLost(1)
	if s.out.PersistentCongestion {
		t.Error("persistent congestion after the loss of one packet")
	}
	s.expire()
	s.wantLost(2, 3)
	if !s.out.PersistentCongestion {
		t.Error("no persistent congestion after the loss of all that was sent in 2 s")
	}
	// RFC 9002, section 5.2: SHOULD set min_rtt to the newest sample.
	if got := s.d.RTT().Min; got != 150*ms {
		t.Errorf("min_rtt = %v, want 150ms", got)
	}
}
