package sched

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestAggregateShares(t *testing.T) {
	unshown := func(v View) View { v.Rate = 0; return v }
	idle := func(v View) View { v.Rate, v.InFlight = v.Rate/100, 0; return v }
	sixSlow := []View{path(0, 10*ms, 1000*mbit)}
	for id := range wire.PathID(6) {
		sixSlow = append(sixSlow, path(id+1, 10*ms, 40*mbit))
	}
	tests := []struct {
		name  string
		paths []View
		parts []float64
	}{
		{"by rate, not by RTT", []View{path(0, 80*ms, 300*mbit), path(1, 10*ms, 100*mbit)}, []float64{3, 1}},
		// The kernel module that the lab comes from caps capacities at what is 1 kB/s, so
		// that all paths tie.
		{"paths that are slow", []View{path(0, 100*ms, 30_000), path(1, 100*ms, 10_000)}, []float64{3, 1}},
		{"paths that are fast", []View{path(0, ms, 30e9), path(1, ms, 10e9)}, []float64{3, 1}},
		{"a window per round trip when no rate is known", []View{unshown(path(0, 80*ms, 300*mbit)), unshown(path(1, 10*ms, 100*mbit))}, []float64{3, 1}},
		{"every path has 5 %", []View{path(0, 10*ms, 1000*mbit), path(1, 10*ms, mbit)}, []float64{0.95, 0.05}},
		{"two of three do", []View{path(0, 10*ms, mbit), path(1, 10*ms, 1000*mbit), path(2, 10*ms, mbit)}, []float64{0.05, 0.9, 0.05}},
		{"six of seven do", sixSlow, []float64{0.7, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05}},
		{"an unmeasured path has, too", []View{wifi(0), unmeasured(1)}, []float64{0.95, 0.05}},
		{"unmeasured all", []View{unmeasured(0), unmeasured(1)}, []float64{1, 1}},
		{"a path that was given little is not thought slow", []View{path(0, 10*ms, 100*mbit), idle(path(1, 10*ms, 100*mbit))}, []float64{1, 1}},
		{"backup paths have no share", []View{wifi(0), standby(wifi(1))}, []float64{1, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantParts(t, share(t, newAggregate(), tt.paths, 30<<20, dgram, 20_000), tt.parts...)
		})
	}
}

// The shares follow the rates at once.
func TestAggregateFollows(t *testing.T) {
	s := newAggregate()
	wantParts(t, share(t, s, []View{path(0, 20*ms, 90*mbit), path(1, 20*ms, 10*mbit)}, 20<<20, dgram), 9, 1)
	wantParts(t, share(t, s, []View{path(0, 20*ms, 20*mbit), path(1, 20*ms, 30*mbit)}, 20<<20, dgram), 2, 3)
}

func TestAggregateManyPaths(t *testing.T) {
	var paths []View
	parts := make([]float64, 2*maxPaths)
	for i := range parts {
		v := path(wire.PathID(i), time.Duration(i+1)*ms, mbit)
		parts[i] = 1
		paths = append(paths, v)
	}
	wantParts(t, share(t, newAggregate(), paths, 30<<20, dgram), parts...)
}
