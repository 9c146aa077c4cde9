package sched

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestRate(t *testing.T) {
	filled := View{SRTT: 100 * ms, Window: 100_000, InFlight: 90_000, Rate: 700_000}
	idle := filled
	idle.InFlight = 10_000
	unknown := filled
	unknown.Rate = 0
	tests := []struct {
		name string
		v    View
		want float64
	}{
		{"what it delivers when filled", filled, 700_000},
		{"a window per round trip when that is all that is known", unknown, 1_000_000},
		{"what it could when it is not filled", idle, 1_000_000},
		{"no round trip", View{Window: 100_000}, 0},
		{"no round trip but a rate", View{Window: 100_000, Rate: 5}, 5},
	}
	for _, tt := range tests {
		if got := tt.v.rate(); got != tt.want {
			t.Errorf("%s: %g byte/s, want %g", tt.name, got, tt.want)
		}
	}
}

func TestArrival(t *testing.T) {
	steady := path(0, 100*ms, 1e6) // its window is 100 kB
	first := young(steady)
	tests := []struct {
		name string
		v    View
		n    wire.ByteCount
		want time.Duration
	}{
		{"half a round trip", steady, 0, 50 * ms},
		{"and what sending takes", steady, 200_000, 250 * ms},
		{"and the pacer", paced(steady, 7*ms), 200_000, 257 * ms},
		{"a window that waits for an ACK sends at its rate", full(steady), 200_000, 250 * ms},
		{"slow start sends twice its window in a round", first, 200_000, 150 * ms},
		{"and twice that in the next", first, 600_000, 250 * ms},
		{"and waits for its first ACK for half a round", full(first), 200_000, 200 * ms},
	}
	for _, tt := range tests {
		if got, ok := tt.v.arrival(now, tt.n); got != tt.want || !ok {
			t.Errorf("%s: %v %v, want %v", tt.name, got, ok, tt.want)
		}
	}
	v := unmeasured(0)
	if got, ok := v.arrival(now, 1); ok {
		t.Errorf("an unmeasured path brings data in %v, want not known", got)
	}
}

// The end of the data leaves on a slow path only if it arrives sooner than by waiting
// for the best one.
func TestFinish(t *testing.T) {
	satellite := func(id wire.PathID) View { return path(id, 600*ms, 20*mbit) }
	fibre := func(id wire.PathID) View { return path(id, 20*ms, 100*mbit) }
	hundred := full(young(path(0, 100*ms, 1e6)))
	// 10 ms and 60 Mbit/s against 70 ms and 40 Mbit/s: a train of 12 kB takes 37.4 ms on the
	// slow path, in which the fast one brings 243 kB. 20 ms and 100 Mbit/s against 600 ms and
	// 20 Mbit/s: 304.8 ms and 3.69 MB.
	cases := []choice{
		{"lte and wifi, 10 kB", []View{full(wifi(0)), lte(1)}, ending(10_000), Wait},
		{"lte and wifi, 240 kB", []View{full(wifi(0)), lte(1)}, ending(240_000), Wait},
		{"lte and wifi, and more to come", []View{full(wifi(0)), lte(1)}, Need{Ready: 10_000, Credit: plent}, 1},
		{"lte and wifi, paced", []View{paced(wifi(0), ms), lte(1)}, ending(10_000), Wait},
		{"lte and wifi, the fast one has room", []View{lte(0), wifi(1)}, ending(10_000), 1},
		{"satellite and fibre, 1 byte", []View{satellite(0), full(fibre(1))}, ending(1), Wait},
		{"satellite and fibre, 3.6 MB", []View{satellite(0), full(fibre(1))}, ending(3_600_000), Wait},
		{"two alike, one is full", []View{full(wifi(0)), wifi(1)}, ending(10_000), 1},
		{"the fast one is suspect", []View{suspect(wifi(0)), lte(1)}, ending(10_000), 1},
		{"an unmeasured path never helps", []View{full(wifi(0)), unmeasured(1)}, ending(10_000), Wait},
	}
	// ecf waits longer, by its own rule.
	helped := []choice{
		{"lte and wifi, 250 kB", []View{full(wifi(0)), lte(1)}, ending(250_000), 1},
		{"lte and wifi, paced for too long", []View{paced(wifi(0), 40*ms), lte(1)}, ending(10_000), 1},
		{"satellite and fibre, 3.8 MB", []View{satellite(0), full(fibre(1))}, ending(3_800_000), 0},
		{"a young path whose first ACK is far", []View{hundred, path(1, 150*ms, 1e6)}, ending(12_000), 1},
	}
	for _, name := range []string{"minrtt", "blest", "ecf", "aggregate"} {
		t.Run(name, func(t *testing.T) {
			check(t, name, cases)
			if name != "ecf" {
				check(t, name, helped)
			}
		})
	}
}
