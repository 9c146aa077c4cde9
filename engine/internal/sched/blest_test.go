package sched

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// The paper's X with numbers worked out by hand.
func TestDuring(t *testing.T) {
	v := View{SRTT: 20 * ms, Window: 100_000, Datagram: 1200}
	tests := []struct {
		name  string
		young bool
		d     time.Duration
		want  float64
	}{
		{"one round trip", false, 20 * ms, 100_000},
		{"five: (100000 + 1200*4/2) * 5", false, 100 * ms, 512_000},
		{"one that doubles", true, 20 * ms, 100_000},
		{"five that double: 100000 * (2^5 - 1)", true, 100 * ms, 3_100_000},
		{"a thousand that double", true, 20 * time.Second, 100_000 * (1<<16 - 1)},
	}
	for _, tt := range tests {
		v.SlowStart = tt.young
		if got := during(&v, tt.d); got != tt.want {
			t.Errorf("%s: %g bytes, want %g", tt.name, got, tt.want)
		}
	}
}

// The slow path may hold 12 kB of the window if what is left of it covers 1.2 times what
// the fast one sends meanwhile, 512 kB: 526.4 kB of credit and the fast one's 100 kB in
// flight.
func TestBLEST(t *testing.T) {
	fast, slow := path(0, 20*ms, 5e6), path(1, 100*ms, 5e5)
	credit := func(n wire.ByteCount) Need { return Need{Ready: n, Credit: n} }
	last := func(ready, credit wire.ByteCount) Need { return Need{Ready: ready, Credit: credit, Ending: true} }
	third := full(path(2, 50*ms, 1e6)) // X: (50000 + 1200/2) * 2 = 101.2 kB; 50 kB in flight
	unknown := unmeasured(1)
	check(t, "blest", []choice{
		{"the fast path", []View{fast, slow}, credit(1), 0},
		{"the slow path would block the window", []View{full(fast), slow}, credit(526_399), Wait},
		{"the window is wide enough", []View{full(fast), slow}, credit(526_400), 1},
		{"two are faster", []View{full(fast), slow, third}, credit(526_400), Wait},
		// 1.2 * (512 + 101.2) = 735.84 <= credit + 100 + 50 - 12
		{"two are faster, and the window wide enough", []View{full(fast), slow, third}, credit(597_840), 1},
		{"one that is slower sends nothing sooner", []View{full(fast), slow, full(path(2, 200*ms, 1e5))}, credit(506_400), 1},
		{"a window that still doubles wants more", []View{young(full(fast)), slow}, credit(3_000_000), Wait},
		{"an unmeasured path is tried", []View{full(fast), unknown}, credit(1000), 1},
		// The last 450 kB, of which the window has 455: 1.2 * 450 = 540 <= 455 + 100 - 12.
		{"the end wants no more window than there is data", []View{full(fast), slow}, last(450_000, 455_000), 1},
		{"even that may be too much", []View{full(fast), slow}, last(450_000, 451_000), Wait},
	})
}

// Lambda: up by 0.04 for each round trip in which the window blocked a path, down by 0.01
// for each without, within 1 and 1.3.
func TestBLESTLambda(t *testing.T) {
	fast := path(0, 20*ms, 5e6)
	b := newBLEST()
	at := now
	picks := func(n int, step time.Duration, credit wire.ByteCount) {
		for range n {
			at = at.Add(step)
			b.Pick(at, []View{fast}, Need{Ready: credit, Credit: credit})
		}
	}
	want := func(what string, lambda float64) {
		t.Helper()
		if d := b.lambda - lambda; d < -1e-9 || d > 1e-9 {
			t.Errorf("%s: lambda = %v, want %v", what, b.lambda, lambda)
		}
	}
	picks(1, 0, plent)
	want("at first", 1.2)
	picks(1, 20*ms, plent)
	want("a round without block", 1.19)
	picks(10, ms, plent)
	want("half a round", 1.19)
	picks(10, ms, 1000)
	want("a round with block", 1.23)
	picks(100, 20*ms, 1000)
	want("many with block", 1.3)
	picks(100, 20*ms, plent)
	want("many without", 1)
	b.Pick(at.Add(20*ms), []View{fast}, Need{Ready: 1000, Credit: 1000, Ending: true})
	want("at the end, all fits", 1)
}
