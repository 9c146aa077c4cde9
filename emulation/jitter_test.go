package emulation

import (
	"math"
	"slices"
	"testing"
	"time"
)

// offsets returns how far the delays of n packets, far apart, lie from Delay.
func offsets(t *testing.T, imp Impairments, n int) []time.Duration {
	t.Helper()
	s := newStory(t, imp)
	var all []time.Duration
	for i := range n {
		at := time.Duration(i) * time.Second
		s.arrive(at, frame)
		next, _ := s.d.NextDeparture()
		s.d.Dequeue(next)
		all = append(all, next.Sub(Time(at))-imp.Delay)
	}
	slices.Sort(all)
	return all
}

// The quantiles are the distribution's within five standard errors.
func TestJitterDistributions(t *testing.T) {
	const n, delay, jitter = 20_000, 100 * ms, 10 * ms
	for _, tc := range []struct {
		distribution Distribution
		quantile     func(u float64) float64 // in units of Jitter
		density      func(x float64) float64
	}{
		{
			Normal, func(u float64) float64 { return math.Sqrt2 * math.Erfinv(2*u-1) },
			func(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) },
		},
		{
			Pareto, func(u float64) float64 { return (math.Pow(1-u, -1./3) - 1.5) / math.Sqrt(0.75) },
			func(x float64) float64 { return math.Sqrt(0.75) * 3 * math.Pow(math.Sqrt(0.75)*x+1.5, -4) },
		},
	} {
		got := offsets(t, Impairments{Delay: delay, Jitter: jitter, Distribution: tc.distribution}, n)
		for _, u := range []float64{0.01, 0.1, 0.5, 0.9, 0.99} {
			x := tc.quantile(u)
			half := 5 * math.Sqrt(u*(1-u)/n) / tc.density(x)
			if v := float64(got[int(u*n)]) / float64(jitter); math.Abs(v-x) > half {
				t.Errorf("%v: quantile %v is %.3f, want %.3f +- %.3f", tc.distribution, u, v, x, half)
			}
		}
		if most := got[n-1]; most > 4*jitter {
			t.Errorf("%v: %v, beyond the table's end", tc.distribution, most)
		}
	}
}

func TestJitterTable(t *testing.T) {
	table := Table{-TableScale, 0, 0, 2 * TableScale}
	got := offsets(t, Impairments{Delay: 20 * ms, Jitter: 10 * ms, Distribution: Empirical, JitterTable: &table}, 8000)
	count := map[time.Duration]int{}
	for _, v := range got {
		count[v]++
	}
	for v, want := range map[time.Duration]int{-10 * ms: 2000, 0: 4000, 20 * ms: 2000} {
		if n := count[v]; n < want-200 || n > want+200 {
			t.Errorf("%d packets have the offset %v, want about %d", n, v, want)
		}
	}
	if len(count) != 3 {
		t.Errorf("offsets %v, want the table's", count)
	}
}

func TestNoDelayBelowZero(t *testing.T) {
	for _, d := range []Distribution{Normal, Pareto} {
		if got := offsets(t, Impairments{Delay: 10 * ms, Jitter: 10 * ms, Distribution: d}, 1000); got[0] < -10*ms {
			t.Errorf("%v: a delay of %v", d, 10*ms+got[0])
		}
	}
}

// The tables mean the same for ever, as seeds do.
func TestTablesAreStable(t *testing.T) {
	for d, want := range map[Distribution][3]int16{
		Normal: {-30051, 3, 30051},
		Pareto: {-4729, -2270, math.MaxInt16},
	} {
		s := d.Samples()
		if got := [3]int16{s[0], s[len(s)/2], s[len(s)-1]}; got != want {
			t.Errorf("%v: first, middle and last are %v, want %v", d, got, want)
		}
	}
}

// A packet that goes ahead leaves at once; the others keep their order.
func TestReorder(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Delay: 20 * ms, Reorder: Reorder{Probability: 1, Gap: 3}})
	var order []byte
	var times []time.Duration
	for i := range byte(6) {
		s.enqueue(Packet{Size: frame, Data: []byte{i}})
	}
	for at, ok := s.d.NextDeparture(); ok; at, ok = s.d.NextDeparture() {
		if p, ideal, ok := s.d.Dequeue(at); ok {
			if ideal != at {
				t.Errorf("departed at %d, promised for %d", ideal, at)
			}
			order = append(order, p.Data[0])
			times = append(times, time.Duration(at))
		}
	}
	if want := []byte{2, 5, 0, 1, 3, 4}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if want := []time.Duration{3 * ms, 6 * ms, 21 * ms, 22 * ms, 24 * ms, 25 * ms}; !slices.Equal(times, want) {
		t.Errorf("departures %v, want %v", times, want)
	}
	if n := s.d.Counters().ReorderedPackets; n != 2 {
		t.Errorf("%d packets reordered, want 2", n)
	}
}

// Of two that depart at one time, the one sent first goes first.
func TestReorderTie(t *testing.T) {
	s := newStory(t, Impairments{Delay: 10 * ms})
	s.d.Enqueue(0, Packet{Data: []byte{1}})
	s.set(10*ms-1, Impairments{Delay: 10 * ms, Reorder: Reorder{Probability: 1}})
	s.d.Enqueue(Time(10*ms), Packet{Data: []byte{2}})
	for _, want := range []byte{1, 2} {
		if p, at, ok := s.d.Dequeue(Time(10 * ms)); !ok || at != Time(10*ms) || p.Data[0] != want {
			t.Errorf("%v departed at %d (%v), want %d at 10 ms", p.Data, at, ok, want)
		}
	}
}

// The same the other way round, and for a packet whose arrival is reported late.
func TestReorderTieAhead(t *testing.T) {
	s := newStory(t, Impairments{Delay: 10 * ms, Reorder: Reorder{Probability: 1}})
	s.d.Enqueue(Time(10*ms), Packet{Data: []byte{1}})
	s.set(10*ms, Impairments{})
	s.d.Enqueue(Time(10*ms), Packet{Data: []byte{2}})
	for _, want := range []byte{1, 2} {
		if p := s.next(); p.Data[0] != want {
			t.Errorf("%v departed, want %d", p.Data, want)
		}
	}
	s.set(20*ms, Impairments{Delay: 10 * ms, Reorder: Reorder{Probability: 1}})
	s.d.Enqueue(Time(20*ms), Packet{})
	s.wantDepartSeen(20*ms, 22*ms)
	s.set(22*ms, Impairments{Delay: 10 * ms})
	s.d.Enqueue(Time(22*ms), Packet{})
	s.wantDepartSeen(32*ms, 40*ms)
	s.set(40*ms, Impairments{Delay: 10 * ms, Reorder: Reorder{Probability: 1}})
	s.d.Enqueue(Time(30*ms), Packet{}) // not before the one at 32 ms
	s.wantDepartSeen(32*ms, 40*ms)
}
