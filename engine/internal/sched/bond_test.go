package sched

import (
	"fmt"
	"testing"
	"time"
)

// pairs are two paths each, after the catalogue's topologies of those names.
func pairs() map[string][]road {
	wifi := road{rate: 60 * mbit, delay: 8 * ms, queue: 100 * ms}
	lte := road{rate: 40 * mbit, delay: 35 * ms, queue: 300 * ms}
	mid := func(delay time.Duration) road { return road{rate: 50 * mbit, delay: delay, queue: 50 * ms} }
	return map[string][]road{
		"lte-wifi":     {lte, wifi},
		"fiber-lte":    {{rate: 300 * mbit, delay: 8 * ms, queue: 50 * ms}, lte},
		"dsl-lte":      {{rate: 15 * mbit, delay: 10 * ms, queue: 300 * ms}, lte},
		"equal":        {mid(20 * ms), mid(20 * ms)},
		"rtt-120":      {mid(20 * ms), mid(120 * ms)},
		"rtt-320":      {mid(20 * ms), mid(320 * ms)},
		"bw-10to1":     {{rate: 100 * mbit, delay: 20 * ms, queue: 50 * ms}, {rate: 10 * mbit, delay: 20 * ms, queue: 50 * ms}},
		"lte-geo":      {lte, {rate: 20 * mbit, delay: 320 * ms, queue: 100 * ms}},
		"slow-nearby":  {{rate: 1 * mbit, delay: 2 * ms, queue: 50 * ms}, lte},
		"three":        {wifi, lte, {rate: 15 * mbit, delay: 10 * ms, queue: 300 * ms}},
		"single, wifi": {wifi},
	}
}

// outcome is a transfer against the single paths'.
type outcome struct {
	ratio   float64 // goodput, in that of the best single path
	benefit float64 // the part of what the other paths could add that was added
}

// trial is a transfer without its scheduler.
type trial struct {
	size, window, most int
	roads              []road
}

func (tr trial) goodput(t *testing.T, scheduler string, roads ...road) float64 {
	t.Helper()
	s, err := New(scheduler)
	if err != nil {
		t.Fatal(err)
	}
	d, end := run(s, tr.size, tr.window, tr.most, roads...)
	if d < 0 {
		t.Fatalf("%s over %d paths stands still with %d of %d bytes read", scheduler, len(roads), end.read, tr.size)
	}
	return float64(tr.size) / d.Seconds()
}

// bond returns the outcome of each scheduler.
func (tr trial) bond(t *testing.T, schedulers ...string) (out []outcome) {
	t.Helper()
	sum, best := 0.0, 0.0
	for _, r := range tr.roads {
		g := tr.goodput(t, Default, r)
		sum, best = sum+g, max(best, g)
	}
	for _, name := range schedulers {
		g := tr.goodput(t, name, tr.roads...)
		out = append(out, outcome{g / best, (g - best) / max(sum-best, 1)})
	}
	return out
}

// The default is never slower than the best path alone: for transfers that end in slow
// start as for long ones, with windows that are too small for all paths, that grow, or
// that are wide enough.
func TestDefaultNeverHurts(t *testing.T) {
	windows := []struct{ first, most int }{{512 << 10, 512 << 10}, {2 << 20, 2 << 20}, {512 << 10, 16 << 20}, {64 << 20, 64 << 20}}
	for name, roads := range pairs() {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{3 << 10, 30 << 10, 300 << 10, 1 << 20, 5 << 20, 20 << 20} {
				if name == "slow-nearby" && size < 5<<20 {
					continue // doc.go, Limitations: the first window is sent before a rate is known
				}
				for _, w := range windows {
					if size > 5<<20 && w.first == w.most && w.most > 512<<10 {
						continue // those take long; TestDefaultBonds and TestDefaultBondsBest have them
					}
					got := trial{size, w.first, w.most, roads}.bond(t, Default)[0]
					if got.ratio < 0.98 {
						t.Errorf("%d KiB with a window of %d to %d KiB: %.3f of the best path's goodput, want 0.98 or more",
							size>>10, w.first>>10, w.most>>10, got.ratio)
					}
				}
			}
		})
	}
}

// The default adds up paths unlike each other, once the transfer is long against their
// slow starts.
func TestDefaultBonds(t *testing.T) {
	tests := []struct {
		pair string
		size int
	}{
		{"equal", 50 << 20},
		{"lte-wifi", 50 << 20},
		{"dsl-lte", 50 << 20},
		{"bw-10to1", 50 << 20},
		{"three", 50 << 20},
		{"fiber-lte", 200 << 20},
		{"rtt-120", 100 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.pair, func(t *testing.T) {
			got := trial{tt.size, 32 << 20, 32 << 20, pairs()[tt.pair]}.bond(t, Default)[0]
			if got.benefit < 0.85 {
				t.Errorf("%d MiB: %.3f of what the other paths could add, want 0.85 or more", tt.size>>20, got.benefit)
			}
		})
	}
}

// Of all that bond, the default has the best worst case, and costs little elsewhere.
func TestDefaultBondsBest(t *testing.T) {
	names := []string{"aggregate", "blest", "ecf", "minrtt", "roundrobin"}
	worst, sum, n := map[string]float64{}, map[string]float64{}, 0.0
	for _, pair := range []string{"lte-wifi", "fiber-lte", "dsl-lte", "rtt-320", "lte-geo"} {
		for _, w := range []int{2 << 20, 32 << 20} {
			for _, size := range []int{1 << 20, 20 << 20} {
				n++
				for i, got := range (trial{size, w, w, pairs()[pair]}).bond(t, names...) {
					if old, ok := worst[names[i]]; !ok || got.ratio < old {
						worst[names[i]] = got.ratio
					}
					sum[names[i]] += got.ratio
				}
			}
		}
	}
	table := ""
	for _, name := range names {
		table += fmt.Sprintf("\n  %-10s worst %.3f, mean %.3f of the best single path", name, worst[name], sum[name]/n)
	}
	t.Log(table)
	for _, name := range names {
		if worst[name] > worst[Default]+0.005 || sum[name] > sum[Default]*1.02 {
			t.Errorf("%s bonds better than the default, %s:%s", name, Default, table)
		}
	}
}

// The same transfer twice is the same transfer.
func TestTransferRepeats(t *testing.T) {
	for _, name := range Names() {
		var took [2]time.Duration
		for i := range took {
			s, _ := New(name)
			took[i], _ = run(s, 4<<20, 2<<20, 2<<20, pairs()["lte-wifi"]...)
		}
		if took[0] != took[1] || took[0] <= 0 {
			t.Errorf("%s takes %v, then %v", name, took[0], took[1])
		}
	}
}
