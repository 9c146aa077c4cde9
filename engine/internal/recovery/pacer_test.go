package recovery

import (
	"math"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// paced is a story with an RTT and a window that pace it at 1.25 times window/rtt.
func paced(t *testing.T, rtt time.Duration, window wire.ByteCount) *story {
	t.Helper()
	s := newStory(t)
	s.c.window = window
	s.send(1)
	s.advance(rtt)
	s.ack(one(0))
	return s
}

func (s *story) wantBudget(want, allowed wire.ByteCount) {
	s.t.Helper()
	if got, _ := s.d.Budget(s.now, want); got != allowed {
		s.t.Errorf("budget for %d bytes = %d, want %d", want, got, allowed)
	}
}

// RFC 9002, section 7: MUST NOT send what would take bytes in flight beyond the
// window.
func TestBudgetIsTheWindow(t *testing.T) {
	s := newStory(t)
	s.c.window = 10*dgram + 100
	s.wantBudget(64<<10, 10*dgram)
	s.wantBudget(10*dgram+50, 10*dgram+50)
	s.send(9)
	s.wantBudget(64<<10, dgram)
	s.wantBudget(50, 50)
	s.send(1)
	s.wantBudget(50, 50)
	allowed, next := s.d.Budget(s.now, dgram)
	if allowed != 0 || next != clock.Never {
		t.Errorf("budget = %d at %d, want none before an acknowledgment", allowed, next)
	}
	if allowed, next := s.d.Budget(s.now, 0); allowed != 0 || next != clock.Never {
		t.Errorf("budget for nothing = %d at %d", allowed, next)
	}
}

// Before an RTT sample, and below 1 ms, nothing but the window holds packets back.
func TestBudgetUnpaced(t *testing.T) {
	s := newStory(t)
	s.c.window = 50 * dgram
	s.wantBudget(64<<10, 50*dgram)

	s = paced(t, ms/2, 1<<20)
	s.wantBudget(1<<20, 1<<20)
	s.send(800)
	s.wantBudget(64<<10, 64<<10)
}

// After a pause a train of 16 datagrams may leave at once; then it is time that earns
// credit, a millisecond's worth or two datagrams at a time.
func TestBudgetAfterPause(t *testing.T) {
	s := paced(t, 100*ms, 800*dgram) // 1.25*800/100 ms: 10 datagrams a ms
	s.wantBudget(64<<10, 20*dgram)   // 2 ms
	s.send(20)
	allowed, next := s.d.Budget(s.now, 64<<10)
	if wait := next.Sub(s.now); allowed != 0 || (wait-ms).Abs() > ms/100 {
		t.Fatalf("budget = %d, wait %v: want none for 1ms", allowed, wait)
	}
	s.now = next
	s.wantBudget(64<<10, 10*dgram)

	s = paced(t, 100*ms, 40*dgram) // slow: 1 datagram in 2 ms
	s.wantBudget(64<<10, 16*dgram)
	s.send(16)
	if _, next := s.d.Budget(s.now, 64<<10); (next.Sub(s.now) - 4*ms).Abs() > ms/10 {
		t.Errorf("wait %v, want 4ms for two datagrams", next.Sub(s.now))
	}
	if _, next := s.d.Budget(s.now, 100); next.Sub(s.now) > ms {
		t.Errorf("wait %v for 100 bytes, want less than 1ms", next.Sub(s.now))
	}
}

func TestPacingBurst(t *testing.T) {
	c := &wide{window: 1 << 20, pacing: 1_000_000}
	s := &story{t: t, c: c, now: start, d: New(Config{Controller: c, PacingBurst: 4 * dgram})}
	s.wantBudget(64<<10, 4*dgram)
}

// The rate is that of RFC 9002, section 7.7, or the controller's, with timers that are
// as late as timers are.
func TestPacingRate(t *testing.T) {
	const rtt = 100 * ms
	late := func(i int) time.Duration { return time.Duration(i%4) * ms }
	punctual := func(int) time.Duration { return 0 }
	tests := []struct {
		name   string
		window wire.ByteCount
		pacing int64
		late   func(i int) time.Duration
		want   float64 // byte/s
	}{
		{"slow", 60 * dgram, 0, punctual, 1.25 * 60 * 1200 * 10},
		{"slow, late", 60 * dgram, 0, late, 1.25 * 60 * 1200 * 10},
		{"1 Gbit/s", 12_500_000, 0, punctual, 1.25 * 125e6},
		{"1 Gbit/s, late", 12_500_000, 0, late, 1.25 * 125e6},
		{"10 Gbit/s, late", 125_000_000, 0, late, 1.25 * 1.25e9},
		{"the controller's", 1 << 30, 5_000_000, late, 5e6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := paced(t, rtt, tt.window)
			s.c.pacing = tt.pacing
			p := &s.d.pacer
			rate := tt.want
			var sent wire.ByteCount
			begin, trains := s.now, 0
			for i := 0; s.now.Sub(begin) < time.Second; {
				got, next := p.allow(s.now, 64<<10, rate, dgram)
				if got == 0 {
					s.now = next.Add(tt.late(i))
					i++
					continue
				}
				trains++
				p.sent(got)
				sent += got
			}
			got := float64(sent) / s.now.Sub(begin).Seconds()
			if math.Abs(got/tt.want-1) > 0.05 {
				t.Errorf("%.0f byte/s, want %.0f", got, tt.want)
			}
			if size := float64(sent) / float64(trains); tt.want > 25e6 && size < trainPackets*float64(dgram) {
				t.Errorf("%.0f bytes per train, want %d datagrams at that rate", size, trainPackets)
			}
			// And Budget asks for that rate.
			s.d.pacer = pacer{}
			s.now = s.now.Add(ms)
			s.wantBudget(1, 1)
			s.d.pacer.tokens = -1e6
			if _, next := s.d.Budget(s.now, 1); math.Abs(next.Sub(s.now).Seconds()*tt.want/1e6-1) > 0.01 {
				t.Errorf("1 MB is paid off in %v, want %.4f s", next.Sub(s.now), 1e6/tt.want)
			}
		})
	}
}

// A pause earns a burst and no more, however long it was and whatever was saved for a
// late timer.
func TestNoCreditForPauses(t *testing.T) {
	s := paced(t, 100*ms, 12_500_000) // 1.25 Gbit/s
	s.wantBudget(64<<10, 64<<10)
	s.send(54)
	if _, next := s.d.Budget(s.now, 64<<10); next == s.now {
		t.Fatal("want a wait")
	}
	s.advance(20 * ms)
	s.wantBudget(64<<10, 64<<10) // of about 0.8 MB that a late timer may catch up with
	s.d.SetAppLimited()
	s.advance(time.Minute)
	var sent wire.ByteCount
	for {
		got, _ := s.d.Budget(s.now, 64<<10)
		if got < 64<<10 {
			break
		}
		s.send(54)
		sent += 54 * dgram
	}
	if sent > 128<<10 {
		t.Errorf("%d bytes left at once after a pause", sent)
	}
}

// Only a timer that is late is caught up with: not one that was in time, and not the
// wait for an acknowledgment.
func TestCreditIsForLateTimersOnly(t *testing.T) {
	burst := func(s *story) (sent wire.ByteCount) {
		for {
			got, _ := s.d.Budget(s.now, 64<<10)
			if got == 0 {
				return sent
			}
			s.send(int(got / dgram))
			sent += got
		}
	}
	tests := []struct {
		name  string
		story func(s *story, next clock.Time)
		most  wire.ByteCount
	}{
		{"late", func(s *story, next clock.Time) { s.now = next.Add(4 * ms) }, 900_000},
		{"in time, then a pause", func(s *story, next clock.Time) {
			s.now = next
			s.wantBudget(dgram, dgram)
			s.advance(4 * ms)
		}, 200_000},
		{"then the window was full", func(s *story, next clock.Time) {
			w := s.c.window
			s.c.window = 0
			s.now = next
			s.wantBudget(dgram, 0)
			s.c.window = w
			s.advance(4 * ms)
		}, 200_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := paced(t, 100*ms, 12_500_000) // 156 kB per ms
			burst(s)
			_, next := s.d.Budget(s.now, 64<<10)
			tt.story(s, next)
			if got := burst(s); got > tt.most || got < tt.most/4 {
				t.Errorf("%d bytes at once, want %d at most", got, tt.most)
			}
		})
	}
}

// Twice the window per RTT in slow start.
func TestPacingInSlowStart(t *testing.T) {
	for _, tt := range []struct {
		ssthresh wire.ByteCount
		gain     float64
	}{{0, 2}, {1 << 30, 2}, {1 << 20, 1.25}, {1 << 10, 1.25}} {
		s := paced(t, 100*ms, 1<<20)
		s.d.controller = &starting{wide: s.c, ssthresh: tt.ssthresh}
		s.wantBudget(1, 1)
		s.d.pacer.tokens = 0
		_, next := s.d.Budget(s.now, dgram)
		want := float64(dgram) / (tt.gain * (1 << 20) / 0.1)
		if got := next.Sub(s.now).Seconds(); math.Abs(got/want-1) > 0.01 {
			t.Errorf("threshold %d: a datagram takes %.7f s, want %.7f", tt.ssthresh, got, want)
		}
	}
}
