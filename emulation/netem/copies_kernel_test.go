package netem

import (
	"fmt"
	"math/bits"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
)

// times returns how often each of n packets left.
func times(n int, departures []emulationtest.Departure) []int {
	count := make([]int, n)
	for _, d := range departures {
		count[d.Number]++
	}
	return count
}

// shares returns an error unless the share of values equal to want lies in the 99 %
// interval of p.
func shares(what string, values []int, want int, p float64) error {
	hits := 0
	for _, v := range values {
		if v == want {
			hits++
		}
	}
	if low, high := emulationtest.OfLoss(p).Interval(len(values), 0.01); float64(hits) < low || float64(hits) > high {
		return fmt.Errorf("%s: %d of %d, want %.0f to %.0f", what, hits, len(values), low, high)
	}
	return nil
}

// testDuplicate counts how often each packet left: not at all, once or twice. With
// loss beside it netem's own parameters are others than the model's.
func testDuplicate(t *testing.T) {
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
	}{
		{"alone", emulation.Impairments{Duplicate: 0.1}},
		{"with loss", emulation.Impairments{Duplicate: 0.2, Loss: 0.1}},
		{"all", emulation.Impairments{Duplicate: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 12_000
			r := joined(t, 1500)
			again(t, func() error {
				r.must(Apply(r.ports[1], c.imp, 1))
				w := r.watch(manyFrames)
				w.sendAll(r.flow(0, 60), n)
				got := times(n, w.kernel())
				if p := emulationtest.SameCounts(got, times(n, w.play(c.imp, 1))); p < falseAlarm {
					t.Errorf("copies differ from the model's: p = %g", p)
				}
				if err := shares("lost", got, 0, c.imp.Loss); err != nil {
					return err
				}
				return shares("twice", got, 2, (1-c.imp.Loss)*c.imp.Duplicate)
			})
		})
	}
}

// testCorrupt compares each frame that leaves with the one that arrived. Copies are
// corrupted by themselves.
func testCorrupt(t *testing.T) {
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
	}{
		{"alone", emulation.Impairments{Corrupt: 0.1}},
		{"with copies", emulation.Impairments{Corrupt: 0.1, Duplicate: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 5000
			copies := 1 + int(c.imp.Duplicate)
			r := joined(t, 1500)
			again(t, func() error {
				r.must(Apply(r.ports[1], c.imp, 1))
				w := r.watch(manyFrames)
				f := r.flow(0, 100)
				// Checksums must be whole on arrival: netem completes that of a frame
				// which it corrupts.
				r.offload(0, "tx-checksum-ip-generic")
				r.option(f.from, unix.SOL_UDP, unix.UDP_SEGMENT, 0)
				for i := range n {
					f.sendOne()
					if i%256 == 255 || i == n-1 {
						w.reach(i + 1)
					}
				}
				w.finish(n)
				if len(w.departures) != n*copies {
					return fmt.Errorf("%d frames left, want %d", len(w.departures), n*copies)
				}
				flipped := make([]int, 0, n*copies)
				for i, f := range w.departures {
					flipped = append(flipped, differingBits(f.data, w.arrivals[i/copies].data))
				}
				for i, bits := range flipped {
					if bits > 1 {
						t.Fatalf("frame %d has %d bits wrong", i, bits)
					}
				}
				return shares("corrupt", flipped, 1, c.imp.Corrupt)
			})
		})
	}
}

func differingBits(a, b []byte) int {
	n := 8 * max(len(a)-len(b), len(b)-len(a))
	for i := range min(len(a), len(b)) {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

// testReorder says which packets took no delay: as many as asked, as far apart as in
// the model, and the rest in order.
func testReorder(t *testing.T) {
	const n, delay = 8000, 400 * time.Millisecond
	for _, c := range []struct {
		name  string
		imp   emulation.Reorder
		share float64
	}{
		{"any", emulation.Reorder{Probability: 0.1}, 0.1},
		// After Gap-1 packets that wait, one more for each that the draw keeps.
		{"gap", emulation.Reorder{Probability: 0.25, Gap: 5}, 1 / (4 + 1/0.25)},
		{"every fourth", emulation.Reorder{Probability: 1, Gap: 4}, 0.25},
	} {
		t.Run(c.name, func(t *testing.T) {
			imp := emulation.Impairments{Delay: delay, Reorder: c.imp}
			r := joined(t, 1500)
			again(t, func() error {
				r.must(Apply(r.ports[1], imp, 1))
				w := r.watch(manyFrames)
				w.sendAll(r.flow(0, 60), n)
				got, err := aheads(n, w.kernel(), w.modelArrivals(), delay/2)
				if err != nil {
					return err
				}
				want, err := aheads(n, w.play(imp, 1), w.modelArrivals(), delay/2)
				r.must(err)
				if p := emulationtest.SameCounts(distances(got), distances(want)); p < falseAlarm {
					t.Errorf("distances differ from the model's: p = %g", p)
				}
				hits := emulationtest.Mean(distances(got))
				if hits < 0.9/c.share || hits > 1.1/c.share {
					return fmt.Errorf("one in %.2f went ahead, want one in %.2f within 10 %%", hits, 1/c.share)
				}
				return nil
			})
		})
	}
}

// aheads returns which of n packets were held for less than limit; the others, all
// there, must be in order.
func aheads(n int, departures []emulationtest.Departure, arrivals []emulationtest.Arrival, limit time.Duration) ([]bool, error) {
	ahead := make([]bool, n)
	last := -1
	for _, d := range departures {
		if d.At.Sub(arrivals[d.Number].At) < limit {
			ahead[d.Number] = true
			continue
		}
		if d.Number <= last {
			return nil, fmt.Errorf("packet %d left behind %d", d.Number, last)
		}
		last = d.Number
	}
	if len(departures) != n {
		return nil, fmt.Errorf("%d packets left, want %d", len(departures), n)
	}
	return ahead, nil
}

// distances returns the differences between the places of true.
func distances(at []bool) []int {
	var out []int
	last := -1
	for i, hit := range at {
		if hit {
			if last >= 0 {
				out = append(out, i-last)
			}
			last = i
		}
	}
	return out
}

// testECN says that a loss is a loss for packets that could be marked, too, and that
// codepoints pass as they are.
func testECN(t *testing.T) {
	const n, loss = 4000, 0.3
	for _, ecn := range []emulation.ECN{emulation.ECT0, emulation.ECT1, emulation.CE} {
		t.Run(fmt.Sprint(ecn), func(t *testing.T) {
			r := joined(t, 1500)
			again(t, func() error {
				r.must(Apply(r.ports[1], emulation.Impairments{Loss: loss}, 1))
				w := r.watch(manyFrames)
				f := r.flow(0, 60)
				r.option(f.from, unix.SOL_IP, unix.IP_TOS, int(ecn))
				w.sendAll(f, n)
				for _, d := range w.kernel() {
					if d.ECN != ecn {
						t.Fatalf("packet %d left with the codepoint %d, want %d", d.Number, d.ECN, ecn)
					}
				}
				return shares("lost", times(n, w.kernel()), 0, loss)
			})
		})
	}
}
