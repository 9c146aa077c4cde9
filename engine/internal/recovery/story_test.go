package recovery

import (
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	ms = time.Millisecond
	// dgram is the size of a story's packets.
	dgram wire.ByteCount = 1200
	// start is when a story starts.
	start = clock.Time(time.Second)
)

// wide is a Controller with a fixed window that keeps what it is told.
type wide struct {
	window wire.ByteCount
	pacing int64
	acks   []congest.Ack
	losses []congest.Loss
	lost   []congest.LostPacket
	sent   []congest.Sent
}

func (w *wide) OnSent(_ clock.Time, s congest.Sent) { w.sent = append(w.sent, s) }
func (w *wide) OnAck(_ clock.Time, a congest.Ack)   { w.acks = append(w.acks, a) }
func (w *wide) OnLoss(_ clock.Time, l congest.Loss) { w.losses = append(w.losses, l) }

func (w *wide) OnPacketLost(_ clock.Time, p congest.LostPacket) { w.lost = append(w.lost, p) }

func (w *wide) State() congest.State {
	return congest.State{Window: w.window, PacingRate: w.pacing, SSThresh: w.window, Phase: congest.CongestionAvoidance}
}

// story is a Detector, its clock and what it said last.
type story struct {
	t    *testing.T
	d    *Detector
	c    *wide
	now  clock.Time
	out  Result
	next [NumSpaces]wire.PacketNumber
}

// newStory has a server whose handshake is confirmed, and whose peer acknowledges at
// once.
func newStory(t *testing.T) *story {
	t.Helper()
	s := handshakeStory(t, wire.Server)
	s.d.HandshakeConfirmed()
	return s
}

// handshakeStory is from the beginning of the handshake.
func handshakeStory(t *testing.T, side wire.Perspective) *story {
	t.Helper()
	c := &wide{window: 1 << 30}
	s := &story{t: t, c: c, now: start, d: New(Config{Side: side, Controller: c})}
	s.d.SetMaxAckDelay(0)
	return s
}

func (s *story) advance(d time.Duration) { s.now = s.now.Add(d) }

// send sends n packets of a datagram in SpaceApplication.
func (s *story) send(n int) {
	for range n {
		s.sendAs(SpaceApplication, func(*Sent) {})
	}
}

// sendAs sends an ack-eliciting packet, changed by edit.
func (s *story) sendAs(sp Space, edit func(*Sent)) wire.PacketNumber {
	n := s.next[sp]
	p := Sent{Number: n, Time: s.now, Size: dgram, AckEliciting: true, InFlight: true}
	edit(&p)
	s.next[sp]++
	s.d.OnSent(sp, p)
	return n
}

func ackOnly(p *Sent) { p.AckEliciting, p.InFlight, p.Size = false, false, 40 }

func marked(p *Sent) { p.ECT = true }

func (s *story) skip(sp Space) {
	s.d.Skip(sp, s.next[sp])
	s.next[sp]++
}

// span is a range of packet numbers.
func span(smallest, largest wire.PacketNumber) wire.Range {
	return wire.Range{Smallest: smallest, Largest: largest}
}

func one(n wire.PacketNumber) wire.Range { return span(n, n) }

func seq(ranges []wire.Range) iter.Seq[wire.Range] { return slices.Values(ranges) }

// ack acknowledges ranges, descending, in SpaceApplication.
func (s *story) ack(ranges ...wire.Range) {
	s.t.Helper()
	s.ackAs(SpaceApplication, Ack{}, ranges...)
}

func (s *story) ackAs(sp Space, a Ack, ranges ...wire.Range) {
	s.t.Helper()
	if err := s.tryAck(sp, a, ranges...); err != nil {
		s.t.Fatalf("Ack of %v: %v", ranges, err)
	}
}

func (s *story) tryAck(sp Space, a Ack, ranges ...wire.Range) error {
	a.Largest = ranges[0].Largest
	s.out.Reset()
	return s.d.Ack(s.now, sp, a, seq(ranges), &s.out)
}

// expire lets the timer expire at its time.
func (s *story) expire() Expiry {
	s.t.Helper()
	at := s.d.Timeout()
	if at == clock.Never {
		s.t.Fatal("no timer is set")
	}
	s.now = max(s.now, at)
	s.out.Reset()
	return s.d.HandleTimeout(s.now, &s.out)
}

func numbers(packets []Sent) []wire.PacketNumber {
	var out []wire.PacketNumber
	for _, p := range packets {
		out = append(out, p.Number)
	}
	return out
}

func (s *story) wantAcked(want ...wire.PacketNumber) {
	s.t.Helper()
	if diff := cmp.Diff(numbers(s.out.Acked), want); diff != "" {
		s.t.Errorf("acknowledged (-got +want):\n%s", diff)
	}
}

func (s *story) wantLost(want ...wire.PacketNumber) {
	s.t.Helper()
	if diff := cmp.Diff(numbers(s.out.Lost), want); diff != "" {
		s.t.Errorf("lost (-got +want):\n%s", diff)
	}
}

func (s *story) wantDropped(want ...wire.PacketNumber) {
	s.t.Helper()
	if diff := cmp.Diff(numbers(s.out.Dropped), want); diff != "" {
		s.t.Errorf("dropped (-got +want):\n%s", diff)
	}
}

// wantTimeout wants the timer that long from now.
func (s *story) wantTimeout(want time.Duration) {
	s.t.Helper()
	switch at := s.d.Timeout(); {
	case at == clock.Never:
		s.t.Errorf("no timer, want one in %v", want)
	case at.Sub(s.now) != want:
		s.t.Errorf("timer in %v, want %v", at.Sub(s.now), want)
	}
}

func (s *story) wantNoTimeout() {
	s.t.Helper()
	if at := s.d.Timeout(); at != clock.Never {
		s.t.Errorf("timer in %v, want none", at.Sub(s.now))
	}
}

func (s *story) wantInFlight(want wire.ByteCount) {
	s.t.Helper()
	if got := s.d.BytesInFlight(); got != want {
		s.t.Errorf("%d bytes in flight, want %d", got, want)
	}
}

func (s *story) wantProbes(sp Space, want int) {
	s.t.Helper()
	if got := s.d.ProbesDue(sp); got != want {
		s.t.Errorf("%d probes due in %v, want %d", got, sp, want)
	}
}

func wantViolation(t *testing.T, err error) {
	t.Helper()
	var te *wire.TransportError
	if !errors.As(err, &te) || te.Code != wire.ProtocolViolation {
		t.Errorf("error %v, want PROTOCOL_VIOLATION", err)
	}
}
