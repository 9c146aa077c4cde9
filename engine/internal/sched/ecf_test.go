package sched

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// The conditions of the paper's algorithm 1, with numbers worked out by hand: the fast
// path has 20 ms and 100 kB of window.
func TestECFWait(t *testing.T) {
	tests := []struct {
		name        string
		rtt, rttvar time.Duration  // of the slow path
		window      wire.ByteCount // of the slow path
		k           wire.ByteCount
		waiting     bool
		want        bool
	}{
		{"(1+200/100)*20 = 60 < 100, 200/50*100 = 400 >= 40", 100 * ms, 0, 50_000, 200_000, false, true},
		{"(1+450/100)*20 = 110 >= 100", 100 * ms, 0, 50_000, 450_000, false, false},
		{"110 < 1.25*100: hysteresis", 100 * ms, 0, 50_000, 450_000, true, true},
		{"(1+530/100)*20 = 126 >= 1.25*100", 100 * ms, 0, 50_000, 530_000, true, false},
		{"(1+50/100)*20 = 30 < 35, 35 < 40: the slow path does", 35 * ms, 0, 100_000, 50_000, false, false},
		{"(1+50/100)*20 = 30 < 41, 41 >= 40", 41 * ms, 0, 100_000, 50_000, false, true},
		{"(1+100/100)*20 = 40 >= 35", 35 * ms, 0, 50_000, 100_000, false, false},
		{"40 < 35+10, 100/50*35 = 70 >= 50: RTTs that vary", 35 * ms, 10 * ms, 50_000, 100_000, false, true},
		{"40 < 35+10, 100/70*35 = 50 >= 50", 35 * ms, 10 * ms, 70_000, 100_000, false, true},
		{"40 < 35+10, 100/71*35 < 50", 35 * ms, 10 * ms, 71_000, 100_000, false, false},
		{"no RTT", 0, 0, 50_000, 1000, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &ecf{waiting: tt.waiting}
			fast := View{SRTT: 20 * ms, Window: 100_000}
			slow := View{SRTT: tt.rtt, RTTVar: tt.rttvar, Window: tt.window}
			if got := e.wait(&fast, &slow, tt.k); got != tt.want {
				t.Errorf("wait = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestECF(t *testing.T) {
	fast, slow := path(0, 20*ms, 5e6), path(1, 100*ms, 5e5)
	check(t, "ecf", []choice{
		{"the fast path", []View{fast, slow}, ending(200_000), 0},
		{"waits for the fast path", []View{full(fast), slow}, ending(200_000), Wait},
		{"not for so much", []View{full(fast), slow}, ending(450_000), 1},
		{"not while more may come", []View{full(fast), slow}, Need{Ready: 200_000, Credit: plent}, 1},
	})
	e := &ecf{}
	for i, step := range []struct {
		ready wire.ByteCount
		want  int
	}{{450_000, 1}, {200_000, Wait}, {450_000, Wait}, {530_000, 1}, {450_000, 1}} {
		if got := e.Pick(now, []View{full(fast), slow}, ending(step.ready)); got != step.want {
			t.Errorf("step %d, %d bytes: picks %d, want %d", i, step.ready, got, step.want)
		}
	}
}
