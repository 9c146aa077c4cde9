package recovery

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestAck(t *testing.T) {
	s := newStory(t)
	s.send(10)
	s.wantInFlight(10 * dgram)
	s.advance(100 * ms)
	s.ack(span(4, 6), span(0, 2))
	s.wantAcked(6, 5, 4, 2, 1, 0)
	s.wantLost(3)
	s.wantInFlight(3 * dgram)
	if !s.out.RTTUpdated || s.out.LargestAcked != 6 || s.d.LargestAcked(SpaceApplication) != 6 {
		t.Errorf("result %+v, want an RTT sample and 6 as the largest", s.out)
	}
	s.ack(span(4, 8), span(0, 2))
	s.wantAcked(8, 7)
	s.ack(span(0, 9)) // 3 was lost: its acknowledgment comes too late
	s.wantAcked(9)
	s.wantInFlight(0)
	if got := s.d.PacketsInFlight(); got != 0 {
		t.Errorf("%d packets in flight, want none", got)
	}
	s.ack(span(0, 9))
	s.wantAcked()
}

func TestAckOlderFrame(t *testing.T) {
	s := newStory(t)
	s.send(10)
	s.ack(span(8, 9), span(0, 0))
	s.wantLost(1, 2, 3, 4, 5, 6)
	s.ack(span(0, 7)) // sent earlier, came later
	s.wantAcked(7)
	if got := s.d.LargestAcked(SpaceApplication); got != 9 {
		t.Errorf("largest acknowledged = %d, want 9", got)
	}
}

// RFC 9000, section 13.1: an endpoint SHOULD treat the acknowledgment of a packet that
// it did not send as PROTOCOL_VIOLATION.
func TestAckOfNeverSent(t *testing.T) {
	tests := []struct {
		name   string
		ranges []wire.Range
	}{
		{"the next one", []wire.Range{one(11)}},
		{"all there can be", []wire.Range{span(0, 1<<62-1)}},
		{"in a later range", []wire.Range{one(2), span(20, 30)}},
		{"a skipped one", []wire.Range{one(5)}},
		{"a range with a skipped one", []wire.Range{span(3, 8)}},
		{"a later range with a skipped one", []wire.Range{one(10), span(0, 7)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t)
			s.send(5)
			s.skip(SpaceApplication)
			s.send(5)
			wantViolation(t, s.tryAck(SpaceApplication, Ack{}, tt.ranges...))
		})
	}
	t.Run("before anything was sent", func(t *testing.T) {
		wantViolation(t, newStory(t).tryAck(SpaceApplication, Ack{}, one(0)))
	})
	t.Run("below the first number", func(t *testing.T) {
		s := newStory(t)
		s.next[SpaceApplication] = 100
		s.send(1)
		wantViolation(t, s.tryAck(SpaceApplication, Ack{}, span(99, 100)))
	})
}

// RFC 9000, section 21.4: skipped numbers catch who acknowledges what it did not see,
// also after everything around them was acknowledged.
func TestSkipIsRemembered(t *testing.T) {
	s := newStory(t)
	s.skip(SpaceApplication)
	s.send(3)
	s.skip(SpaceApplication)
	s.send(3)
	s.ack(span(5, 7), span(1, 3))
	s.wantAcked(7, 6, 5, 3, 2, 1)
	s.send(3)
	s.ack(span(5, 10), span(1, 3))
	s.wantAcked(10, 9, 8)
	wantViolation(t, s.tryAck(SpaceApplication, Ack{}, span(1, 10)))
}

// Each number left out counts while packets from before it are in flight.
func TestSkipsInFlight(t *testing.T) {
	s := newStory(t)
	s.send(1)
	s.skip(SpaceApplication)
	s.send(1)
	s.skip(SpaceApplication)
	s.send(1)
	s.ack(one(2))
	wantViolation(t, s.tryAck(SpaceApplication, Ack{}, span(0, 2)))
}

// RFC 9002, section 5.1: an ACK frame gives a sample only if it newly acknowledges the
// largest, and MUST NOT if it newly acknowledges nothing ack-eliciting.
func TestRTTSampleConditions(t *testing.T) {
	s := newStory(t)
	s.send(3)
	s.sendAs(SpaceApplication, ackOnly)
	s.advance(100 * ms)
	s.ack(one(3))
	if s.out.RTTUpdated || s.d.RTT().HasSample {
		t.Error("a sample from a packet that is not ack-eliciting")
	}
	s.advance(100 * ms)
	s.ack(span(2, 3))
	if s.out.RTTUpdated {
		t.Error("a sample although the largest was acknowledged before")
	}
	s.send(1)
	s.advance(50 * ms)
	s.ack(span(2, 4))
	if got := s.d.RTT(); !s.out.RTTUpdated || got.Latest != 50*ms || got.Smoothed != 50*ms || got.Var != 25*ms || got.Min != 50*ms {
		t.Errorf("RTT = %+v, want 50 ms from the first sample", got)
	}
	if got := s.c.acks[len(s.c.acks)-1].LatestRTT; got != 50*ms {
		t.Errorf("the controller saw a sample of %v, want 50ms", got)
	}
}

// RFC 9002, section 5.3: the delay is limited to max_ack_delay once the handshake is
// confirmed, not before; for Initial packets it is ignored.
func TestAckDelay(t *testing.T) {
	tests := []struct {
		name    string
		space   Space
		confirm bool
		want    time.Duration // the second sample after adjustment
	}{
		{"initial", SpaceInitial, false, 200 * ms},
		{"handshake", SpaceHandshake, false, 120 * ms},
		{"1-RTT before confirmation", SpaceApplication, false, 120 * ms},
		{"confirmed", SpaceApplication, true, 175 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := handshakeStory(t, wire.Server)
			s.d.SetMaxAckDelay(25 * ms)
			if tt.confirm {
				s.d.HandshakeConfirmed()
			}
			s.sendAs(tt.space, func(*Sent) {})
			s.advance(100 * ms)
			s.ackAs(tt.space, Ack{}, one(0))
			s.sendAs(tt.space, func(*Sent) {})
			s.advance(200 * ms)
			s.ackAs(tt.space, Ack{Delay: 80 * ms}, one(1))
			want := (7*100*ms + tt.want) / 8
			if got := s.d.RTT().Smoothed; got != want {
				t.Errorf("smoothed RTT = %v, want %v", got, want)
			}
		})
	}
}

// A frame costs what it newly says: ranges that repeat what is known, however long,
// are passed in one step each.
func TestKnownRangesCostNothing(t *testing.T) {
	s := newStory(t)
	s.send(1) // stays outstanding, so that the ring keeps all that follow
	s.send(2)
	s.ack(span(1, 2))
	r := &s.d.spaces[SpaceApplication].ring
	// Settle a long stretch from above, range by range, below the threshold of loss:
	// the story has only the ring do it.
	for n := wire.PacketNumber(3); n < 5000; n++ {
		*r.push(n) = slot{fate: acked, below: n - 1}
	}
	s.next[SpaceApplication] = 5000
	visit := func(ranges ...wire.Range) (steps int) {
		s.d.walk = walk{space: &s.d.spaces[SpaceApplication], out: &s.out}
		for _, w := range ranges {
			for n := w.Largest; n >= max(w.Smallest, r.first); n = r.at(n).below {
				steps++
			}
			s.d.visitRange(w)
		}
		return steps
	}
	if got := visit(span(1, 4999)); got != 4998 {
		t.Errorf("the first walk took %d steps, want 4998", got)
	}
	for _, w := range []wire.Range{span(1, 4999), span(1, 3000), span(1, 2)} {
		if got := visit(w); got != 1 {
			t.Errorf("the walk over known %v took %d steps, want 1", w, got)
		}
	}
}
