package sched

import (
	"math"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// weights makes paths of these weights.
func weights(w ...float64) (paths []View) {
	for i := range w {
		v := wifi(wire.PathID(i))
		v.Weight = w[i]
		paths = append(paths, v)
	}
	return paths
}

func TestWeightedShares(t *testing.T) {
	tests := []struct {
		name   string
		given  []float64
		parts  []float64
		trains []int
	}{
		{"300:100", []float64{300, 100}, []float64{3, 1}, []int{dgram}},
		{"below one", []float64{0.5, 1.5}, []float64{1, 3}, []int{dgram}},
		{"1000:1", []float64{1000, 1}, []float64{1000, 1}, []int{dgram}},
		{"three", []float64{5, 3, 2}, []float64{5, 3, 2}, []int{dgram}},
		{"none given: equal", []float64{0, 0}, []float64{1, 1}, []int{dgram}},
		{"one without counts as 1", []float64{3, 0}, []float64{3, 1}, []int{dgram}},
		{"trains unlike each other", []float64{300, 100}, []float64{3, 1}, []int{65536, 100, 1400, 20000}},
		{"long and short trains by turns", []float64{1, 1}, []float64{1, 1}, []int{65536, 1}},
		{"no numbers count as 1", []float64{math.NaN(), -2, math.Inf(1)}, []float64{1, 1, 1}, []int{dgram}},
		{"the smallest and the largest number", []float64{math.SmallestNonzeroFloat64, 1e307}, []float64{0, 1}, []int{dgram}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantParts(t, share(t, newWeighted(), weights(tt.given...), 30<<20, tt.trains...), tt.parts...)
		})
	}
}

// A path without room does not hold up the other one, and afterwards has what it missed,
// up to a window.
func TestWeightedRoom(t *testing.T) {
	open := weights(1, 1)
	open[0].Window = 200_000
	shut := []View{full(open[0]), open[1]}
	tests := []struct {
		name   string
		missed int // what path 1 sends alone
		want   int // what path 0 sends next, before path 1 does again
	}{
		{"a little is made up for", 100_000, 100_000},
		{"a window is", 200_000, 200_000},
		{"more is lost", 10_000_000, 200_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newWeighted()
			share(t, s, open, 20<<20, 1000)
			if sent := share(t, s, shut, tt.missed, 1000); sent[1] != tt.missed {
				t.Fatalf("%v bytes, want %d on the only path with room", sent, tt.missed)
			}
			got := 0
			for s.Pick(now, open, bulk()) == 0 {
				s.OnSent(0, 1000)
				got += 1000
			}
			if got < tt.want-2000 || got > tt.want+2000 {
				t.Errorf("path 0 sends %d bytes in a row, want %d", got, tt.want)
			}
			wantParts(t, share(t, s, open, 10<<20, 1000), 1, 1)
		})
	}
}

// A path that comes later, or comes back, has nothing to make up for.
func TestWeightedJoin(t *testing.T) {
	paths := weights(1, 1, 2)
	s := newWeighted()
	share(t, s, paths[:2], 50<<20, dgram)
	wantParts(t, share(t, s, paths, 1<<20, dgram), 1, 1, 2)
	share(t, s, paths[1:], 50<<20, dgram)
	wantParts(t, share(t, s, paths, 1<<20, dgram), 1, 1, 2)
	wantParts(t, share(t, s, paths[:2], 1<<20, dgram), 1, 1) // as many, but others
	wantParts(t, share(t, s, paths[1:], 1<<20, dgram), 1, 2)
	s.OnSent(77, dgram) // a path that is gone
}

// New weights count from then on.
func TestWeightedChange(t *testing.T) {
	s := newWeighted()
	share(t, s, weights(1, 9), 50<<20, dgram)
	wantParts(t, share(t, s, weights(3, 1), 10<<20, dgram), 3, 1)
}
