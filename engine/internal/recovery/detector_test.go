package recovery

import (
	"iter"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// RFC 9002, section 6.4: MUST discard the packets of a space whose keys are gone and
// take them out of bytes in flight; section 6.2.2: MUST reset the timers.
func TestDiscard(t *testing.T) {
	s := handshakeStory(t, wire.Client)
	for range 3 {
		s.sendAs(SpaceInitial, func(*Sent) {})
	}
	s.sendAs(SpaceHandshake, func(*Sent) {})
	s.expire()
	s.out.Reset()
	s.d.Discard(SpaceInitial, &s.out)
	s.wantDropped(0, 1, 2)
	s.wantLost()
	s.wantInFlight(dgram)
	s.wantProbes(SpaceInitial, 0)
	if got := s.d.PTOCount(); got != 0 {
		t.Errorf("PTO count = %d, want 0", got)
	}
	if len(s.c.losses) != 0 {
		t.Errorf("the controller heard of losses: %+v", s.c.losses)
	}
	s.ackAs(SpaceInitial, Ack{}, span(0, 2)) // too late
	s.wantAcked()
}

// RFC 9002, section 6.4: when 0-RTT is rejected its packets are discarded; numbers go
// on.
func TestDiscard0RTT(t *testing.T) {
	s := handshakeStory(t, wire.Client)
	s.send(3)
	s.d.Discard(SpaceApplication, &s.out)
	s.wantDropped(0, 1, 2)
	s.wantInFlight(0)
	s.send(4)
	s.advance(10 * ms)
	s.ack(span(3, 6))
	s.wantAcked(6, 5, 4, 3)
	s.wantLost()
}

// RFC 9000, section 9.4: a new path has a controller and an RTT of its own; packets
// sent on the old one MUST NOT count for it.
func TestRestart(t *testing.T) {
	s := sampled(t)
	s.send(2)
	s.advance(30 * ms)
	s.ack(one(1))
	s.c = &wide{window: 1 << 20}
	s.d.Restart(s.now, s.c)
	s.wantInFlight(0)
	if got := s.d.RTT(); got.Smoothed != 30*ms || got.Min != 30*ms || got.Var != 15*ms {
		t.Errorf("RTT = %+v, want that of the newest sample alone", got)
	}
	fresh := newStory(t)
	fresh.d.Restart(fresh.now, fresh.c)
	if got := fresh.d.RTT(); got.HasSample || got.Smoothed != DefaultInitialRTT {
		t.Errorf("RTT without a sample = %+v, want the initial one", got)
	}
}

func TestResetPath(t *testing.T) {
	s := sampled(t)
	for range 4 {
		s.sendAs(SpaceApplication, marked)
	}
	s.d.ecn.state = ECNFailed
	old := s.c
	s.c = &wide{window: 1 << 20}
	s.d.ResetPath(s.now, s.c)
	s.wantInFlight(0)
	if got := s.d.RTT(); got.HasSample || got.Smoothed != DefaultInitialRTT {
		t.Errorf("RTT = %+v, want the initial one", got)
	}
	s.send(1)
	s.wantInFlight(dgram)
	s.advance(10 * ms)
	heard := len(old.acks)
	s.ackAs(SpaceApplication, Ack{HasECN: true, CE: 1}, one(4))
	s.wantAcked(4)
	s.wantLost(1)
	s.wantInFlight(dgram)
	if s.out.RTTUpdated || len(s.c.acks)+len(s.c.losses) != 0 || len(old.acks) != heard {
		t.Errorf("the old path's packets counted: RTT %v, %+v, %+v", s.out.RTTUpdated, s.c.acks, s.c.losses)
	}
	if got := s.d.ECN(); got != ECNTesting {
		t.Errorf("ECN is %v, want it under test anew", got)
	}
	s.ackAs(SpaceApplication, Ack{HasECN: true, CE: 1}, span(4, 5))
	if got := s.d.RTT(); got.Smoothed != 10*ms || len(s.c.acks) != 1 {
		t.Errorf("RTT = %+v, acks %+v: want a sample from the new path", got, s.c.acks)
	}
	if got := s.c.acks[0]; got.Delivered != dgram || got.Round != 1 {
		t.Errorf("delivered %d in round %d, want the new path's only", got.Delivered, got.Round)
	}
	s.wantInFlight(0)
}

func TestSetMaxDatagram(t *testing.T) {
	c, err := congest.New("newreno", congest.Config{Datagram: 1200, Now: start})
	if err != nil {
		t.Fatal(err)
	}
	d := New(Config{Controller: c, MaxDatagram: 1200})
	d.SetMaxDatagram(1472)
	if got := d.State().Window; got != 14720 {
		t.Errorf("window = %d, want that of larger datagrams", got)
	}
}

func TestOldest(t *testing.T) {
	s := newStory(t)
	if p, ok := s.d.Oldest(SpaceApplication); ok {
		t.Errorf("oldest = %v of none", p)
	}
	for n := range 5 {
		s.sendAs(SpaceApplication, func(p *Sent) { p.First = uint64(10 * n) })
	}
	s.ack(span(0, 2), span(0, 2))
	if p, ok := s.d.Oldest(SpaceApplication); !ok || p.Number != 3 || p.First != 30 {
		t.Errorf("oldest = %+v, %v, want packet 3", p, ok)
	}
}

func TestOnSentOutOfOrder(t *testing.T) {
	for name, n := range map[string]wire.PacketNumber{"again": 0, "gap": 2} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.send(1)
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			s.d.OnSent(SpaceApplication, Sent{Number: n, Time: s.now})
		})
	}
}

// stream is a sender at speed: trains of 32 packets, an ACK frame for each a window
// later.
type stream struct {
	d     *Detector
	now   clock.Time
	next  wire.PacketNumber
	acked wire.PacketNumber // all below
	out   Result
	r     wire.Range
	seq   iter.Seq[wire.Range]
}

func newStream(tb testing.TB, controller string, window int) *stream {
	tb.Helper()
	c, err := congest.New(controller, congest.Config{InitialWindow: 1 << 30, Now: start})
	if err != nil {
		tb.Fatal(err)
	}
	s := &stream{d: New(Config{Side: wire.Server, Controller: c}), now: start}
	s.d.HandshakeConfirmed()
	s.seq = func(yield func(wire.Range) bool) { yield(s.r) }
	for int(s.next) < window {
		s.train()
	}
	return s
}

func (s *stream) train() {
	s.now = s.now.Add(100 * time.Microsecond)
	s.d.Budget(s.now, 32*dgram)
	for range 32 {
		s.d.OnSent(SpaceApplication, Sent{
			Number: s.next, Time: s.now, Size: dgram, First: uint64(s.next), Count: 1,
			AckEliciting: true, InFlight: true, ECT: true,
		})
		s.next++
	}
}

// step sends a train and acknowledges one, all but one packet of it if hole.
func (s *stream) step(tb testing.TB, hole bool) {
	s.train()
	s.acked += 32
	s.r = wire.Range{Smallest: 0, Largest: s.acked - 1}
	if hole {
		s.r.Smallest = s.acked - 31
	}
	s.out.Reset()
	err := s.d.Ack(s.now, SpaceApplication, Ack{Largest: s.r.Largest, HasECN: true, ECT0: uint64(s.acked)}, s.seq, &s.out)
	if err != nil {
		tb.Fatal(err)
	}
	if s.d.Timeout() < s.now && !hole {
		tb.Fatal("a timer in the past")
	}
}

func TestAllocations(t *testing.T) {
	for _, name := range congest.Names() {
		for hole, text := range map[bool]string{false: "", true: " with losses"} {
			t.Run(name+text, func(t *testing.T) {
				s := newStream(t, name, 1024)
				for range 100 {
					s.step(t, hole)
				}
				if n := testing.AllocsPerRun(100, func() { s.step(t, hole) }); n != 0 {
					t.Errorf("%v allocations per train, want 0", n)
				}
			})
		}
	}
}

func BenchmarkSentAndAcked(b *testing.B) {
	for _, name := range congest.Names() {
		b.Run("controller="+name, func(b *testing.B) {
			s := newStream(b, name, 1024)
			b.ReportAllocs()
			packets := 0
			for b.Loop() {
				s.step(b, false)
				packets += 32
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
		})
	}
}
