package recovery

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// starting is wide with another threshold.
type starting struct {
	*wide
	ssthresh wire.ByteCount
}

func (c *starting) State() congest.State {
	st := c.wide.State()
	st.SSThresh = c.ssthresh
	return st
}

func (s *story) lastAck() congest.Ack {
	s.t.Helper()
	if len(s.c.acks) == 0 {
		s.t.Fatal("the controller heard of no acknowledgment")
	}
	return s.c.acks[len(s.c.acks)-1]
}

// A packet each ms, acknowledged 100 ms later: 1.2 MB/s, in whatever lumps the
// acknowledgments come.
func TestDeliveryRate(t *testing.T) {
	s := newStory(t)
	for n := range 400 {
		s.send(1)
		if n >= 100 && n%20 == 0 {
			s.ack(span(0, s.next[SpaceApplication]-101))
		}
		s.advance(ms)
	}
	a := s.lastAck()
	if got := float64(a.Rate.Rate); got < 1.15e6 || got > 1.25e6 {
		t.Errorf("rate = %.0f byte/s, want 1.2 million", got)
	}
	if a.Rate.AppLimited || a.AppLimited {
		t.Error("the sample counts as limited by the application")
	}
	if got, want := a.Rate.TxInFlight, 101*dgram; got < want || got > want+20*dgram {
		t.Errorf("in flight at sending = %d, want about %d", got, want)
	}
	if a.Delivered != a.Rate.PriorDelivered+a.Rate.Delivered {
		t.Errorf("%+v: delivered is not the sum of before and sample", a)
	}
}

// Acknowledgments that come together do not look like a fast path.
func TestDeliveryRateOfCompressedAcks(t *testing.T) {
	s := newStory(t)
	for range 100 {
		s.send(1)
		s.advance(ms)
	}
	for n := range 10 {
		s.ack(span(0, s.next[SpaceApplication]/10*wire.PacketNumber(n+1)-1))
	}
	if got := s.lastAck().Rate.Rate; got > 1_300_000 {
		t.Errorf("rate = %d byte/s, want no more than was sent, 1.2 million", got)
	}
}

// Nor do those that come together after a pause: packets cannot have arrived faster
// than they were sent.
func TestDeliveryRateAfterDelayedAcks(t *testing.T) {
	s := newStory(t)
	for at := range wire.PacketNumber(350) {
		s.send(1)
		switch {
		case at >= 100 && at < 200:
			s.ack(span(0, at-100))
		case at == 250:
			s.ack(span(0, 110)) // 40 are late
		}
		s.advance(ms)
	}
	s.ack(span(0, 251)) // 251 was sent just after the pause
	if got := s.lastAck().Rate.Rate; got < 1_100_000 || got > 1_210_000 {
		t.Errorf("rate = %d byte/s, want 1.2 million as sent", got)
	}
}

// A pause is no slow path.
func TestDeliveryRateAfterPause(t *testing.T) {
	s := newStory(t)
	for range 2 {
		s.send(10)
		s.advance(100 * ms)
		s.ack(span(0, s.next[SpaceApplication]-1))
		if got := s.lastAck().Rate.Rate; got != 120_000 {
			t.Errorf("rate = %d byte/s, want 120000", got)
		}
		s.advance(10 * time.Second)
	}
}

func TestAppLimitedUntilDelivered(t *testing.T) {
	s := newStory(t)
	s.send(5)
	s.d.SetAppLimited()
	s.advance(100 * ms)
	for _, n := range []wire.PacketNumber{1, 4} {
		s.ack(span(0, n))
		s.send(1)
		if !s.c.sent[len(s.c.sent)-1].AppLimited {
			t.Errorf("no longer limited with only the packets up to %d acknowledged", n)
		}
	}
	s.ack(span(0, 6))
	s.send(1)
	if s.c.sent[len(s.c.sent)-1].AppLimited {
		t.Error("still limited with a packet from after the gap acknowledged")
	}
}

func TestAppLimited(t *testing.T) {
	s := newStory(t)
	s.c.window = 20 * dgram
	s.send(5)
	s.d.SetAppLimited()
	s.send(1) // after the gap
	s.advance(100 * ms)
	s.ack(span(0, 4))
	if s.lastAck().AppLimited {
		t.Error("packets from before the gap count as limited")
	}
	s.ack(span(0, 5))
	if !s.lastAck().AppLimited || !s.lastAck().Rate.AppLimited {
		t.Error("a packet from after the gap does not count as limited")
	}
	// Everything from before the gap is delivered: over.
	s.send(20)
	s.d.SetAppLimited() // the window is full: no effect
	s.advance(100 * ms)
	s.ack(span(0, 25))
	s.send(1)
	if s.c.sent[len(s.c.sent)-1].AppLimited || s.lastAck().AppLimited {
		t.Error("limited although the window was full")
	}
}

// Rounds are as long as the RTT, whatever number of frames acknowledges them.
func TestRounds(t *testing.T) {
	s := newStory(t)
	starts := 0
	for range 5 {
		first := s.next[SpaceApplication]
		s.send(10)
		s.advance(100 * ms)
		for n := range 10 {
			s.ack(span(0, first+wire.PacketNumber(n)))
			if s.lastAck().RoundStart {
				starts++
			}
		}
	}
	if starts != 5 || s.lastAck().Round != 5 {
		t.Errorf("%d rounds began, count %d, want 5", starts, s.lastAck().Round)
	}
}

func TestControllerHearsOfAck(t *testing.T) {
	s := newStory(t)
	s.send(4)
	s.sendAs(SpaceApplication, ackOnly)
	s.send(5)
	s.advance(100 * ms)
	s.ack(span(4, 6))
	a := s.lastAck()
	if a.Bytes != 2*dgram || a.Largest != 6 || a.LargestSent != start || a.PriorInFlight != 9*dgram ||
		a.InFlight != 3*dgram || a.MinRTT != 100*ms || a.SmoothedRTT != 100*ms {
		t.Errorf("ack = %+v", a)
	}
	if len(s.c.losses) != 1 || s.c.losses[0].Bytes != 4*dgram {
		t.Errorf("losses = %+v, want four packets", s.c.losses)
	}
	// A frame about packets that count for nothing is none of its business.
	n := len(s.c.acks)
	s.sendAs(SpaceApplication, ackOnly)
	s.ack(one(10))
	if len(s.c.acks) != n {
		t.Errorf("the controller heard of %+v", s.lastAck())
	}
}

// selfLimited is wide with a window that is small on purpose.
type selfLimited struct{ *wide }

func (c selfLimited) State() congest.State {
	st := c.wide.State()
	st.SelfLimited = true
	return st
}

// What a controller holds back on purpose is no measure of the path
// (draft-ietf-ccwg-bbr, section 5.3.4.3).
func TestDeliveryRateOfASelfLimitedController(t *testing.T) {
	s := newStory(t)
	for _, limited := range []bool{false, true} {
		s.d.controller = s.c
		if limited {
			s.d.controller = selfLimited{s.c}
		}
		for range 2 { // the first ACK marks what is sent after it
			s.send(2)
			s.advance(100 * ms)
			s.ack(span(s.next[SpaceApplication]-2, s.next[SpaceApplication]-1))
		}
		if got := s.lastAck().AppLimited; got != limited {
			t.Errorf("limited %v, want %v", got, limited)
		}
	}
}
