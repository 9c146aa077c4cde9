package netem

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

func moments(table []int16) (mean, deviation float64) {
	for _, v := range table {
		mean += float64(v)
	}
	mean /= float64(len(table))
	for _, v := range table {
		deviation += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(table)))
}

func TestDelayTable(t *testing.T) {
	const ms = time.Millisecond
	own := emulation.Table{-20_000, 0, 5}
	for _, c := range []struct {
		name            string
		imp             emulation.Impairments
		size            int
		lowest, highest int16
		deviation       float64 // in Jitters
	}{
		{"uniform", emulation.Impairments{Delay: 9 * ms, Jitter: 3 * ms}, 16384, -8191, 8191, 1 / math.Sqrt(3)},
		{"normal", emulation.Impairments{Delay: 20 * ms, Jitter: 3 * ms, Distribution: emulation.Normal}, 4096, -30051, 30051, 1},
		{"normal, no room below", emulation.Impairments{Delay: 3 * ms, Jitter: 3 * ms, Distribution: emulation.Normal}, 4096, -8192, 30051, 0.87},
		{"pareto", emulation.Impairments{Delay: 3 * ms, Jitter: 3 * ms, Distribution: emulation.Pareto}, 4096, -4729, 32767, 0.737},
		{"own", emulation.Impairments{Delay: 2 * ms, Jitter: ms, Distribution: emulation.Empirical, JitterTable: &own}, 3, -16384, 5, 0.94},
		// The delay is 27306.67 samples: one more would be below zero.
		{"odd", emulation.Impairments{Delay: 10_000_001, Jitter: 3_000_000, Distribution: emulation.Normal}, 4096, -27306, 30051, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := delayTable(c.imp)
			_, deviation := moments(table)
			if len(table) != c.size || slices.Min(table) != c.lowest || slices.Max(table) != c.highest {
				t.Errorf("%d values from %d to %d, want %d from %d to %d", len(table), slices.Min(table), slices.Max(table), c.size, c.lowest, c.highest)
			}
			if math.Abs(deviation/emulation.TableScale-c.deviation) > 0.02 {
				t.Errorf("standard deviation %.3f Jitters, want %.3f", deviation/emulation.TableScale, c.deviation)
			}
			if least := c.imp.Delay + c.imp.Jitter*time.Duration(slices.Min(table))/emulation.TableScale; least < 0 {
				t.Errorf("delays from %v on", least)
			}
		})
	}
	if own[0] != -20_000 {
		t.Error("the table that was lent is changed")
	}
	if table := delayTable(emulation.Impairments{Delay: ms}); table != nil {
		t.Errorf("%d values without jitter", len(table))
	}
}

func TestUniform(t *testing.T) {
	for _, n := range []int{2, uniformSlots, uniformDelays} {
		mean, deviation := moments(uniform(n))
		if mean != 0 || n > 2 && math.Abs(deviation/emulation.TableScale-1/math.Sqrt(3)) > 1e-3 {
			t.Errorf("uniform(%d): mean %v, standard deviation %v", n, mean, deviation)
		}
	}
}

func TestSlots(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		slot emulation.Slot
		want slot
	}{
		{"none", emulation.Slot{}, slot{}},
		{"range", emulation.Slot{Min: 2 * ms, Max: 8 * ms, Packets: 3, Bytes: 4}, slot{2e6, 8e6, 3, 4, 5e6, 3e6}},
		{"fixed", emulation.Slot{Min: 2 * ms, Max: 2 * ms}, slot{2e6, 2e6, 0, 0, 2e6, 1}},
		{"odd", emulation.Slot{Min: 1, Max: 4}, slot{1, 4, 0, 0, 2, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, table := slots(c.slot); got != c.want || (table == nil) != (c.slot == emulation.Slot{}) {
				t.Errorf("got %+v and %d samples, want %+v", got, len(table), c.want)
			}
		})
	}
}
