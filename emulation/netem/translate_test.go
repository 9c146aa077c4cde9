package netem

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestLimit(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
		mtu  int
		want uint32
	}{
		{"nothing", emulation.Impairments{}, 1500, unlimitedQueue + 1},
		{"no rate", emulation.Impairments{Delay: time.Second, Jitter: time.Second}, 1500, unlimitedQueue + 1},
		// 10 Mbit/s carries 10e6 × 0.1 / (8 × 1514) = 82.6 frames in 100 ms.
		{"line, no queue", emulation.Impairments{Rate: 10e6, Delay: 100 * ms}, 1500, 83 + unlimitedQueue + 1},
		{"packets", emulation.Impairments{Rate: 10e6, Delay: 100 * ms, Queue: emulation.Queue{Packets: 7}}, 1500, 83 + 7 + 1},
		{"jitter", emulation.Impairments{Rate: 10e6, Delay: 100 * ms, Jitter: 40 * ms, Queue: emulation.Queue{Packets: 70}}, 1500, 83 + 70 + 1},
		{"jitter beyond the queue", emulation.Impairments{Rate: 10e6, Delay: 60 * ms, Jitter: 40 * ms, Queue: emulation.Queue{Packets: 7}}, 1500, 83 + 1},
		{"time", emulation.Impairments{Rate: 10e6, Queue: emulation.Queue{Time: 100 * ms}}, 1500, 82 + 1},
		{"bytes", emulation.Impairments{Rate: 10e6, Queue: emulation.Queue{Bytes: 3 * 1514}}, 1500, 3 + 1},
		{"bytes, not quite", emulation.Impairments{Rate: 10e6, Queue: emulation.Queue{Bytes: 3*1514 - 1}}, 1500, 2 + 1},
		{"no room to wait", emulation.Impairments{Rate: 10e6, Queue: emulation.Queue{Bytes: 100}}, 1500, 1},
		{"whole frames", emulation.Impairments{Rate: 1514 * 8, Delay: 3 * time.Second, Queue: emulation.Queue{Packets: 1}}, 1500, 3 + 1 + 1},
		{"wide jitter", emulation.Impairments{Rate: 10e6, Delay: 60 * ms, Jitter: 10 * ms, Distribution: emulation.Pareto, Queue: emulation.Queue{Packets: 7}}, 1500, 83 + 1},
		{"slots alone", emulation.Impairments{Slot: emulation.Slot{Max: ms}, Queue: emulation.Queue{Packets: 7}}, 1500, 7},
		{"jumbo", emulation.Impairments{Rate: 10e6, Delay: 100 * ms, Queue: emulation.Queue{Packets: 7}}, 9000, 14 + 7 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := limit(c.imp, c.mtu)
			if err != nil || got != c.want {
				t.Errorf("limit of %+v at mtu %d: %d, %v, want %d", c.imp, c.mtu, got, err, c.want)
			}
		})
	}
}

func TestFraction(t *testing.T) {
	for _, c := range []struct {
		p    float64
		want uint32
	}{
		{0, 0}, {1e-12, 1}, {0.25, 1 << 30}, {0.5, 1 << 31}, {1 - 1e-12, math.MaxUint32}, {1, math.MaxUint32},
	} {
		if got := fraction(c.p); got != c.want {
			t.Errorf("fraction(%v) = %d, want %d", c.p, got, c.want)
		}
	}
}

// TestTranslationReturns says that what Check lets pass comes back from netem's
// parameters as it went in, but for a rate's last bits, a loss's last digits,
// and the queue, which comes back in packets.
func TestTranslationReturns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mtu := rapid.IntRange(68, 65_535).Draw(t, "mtu")
		imp := emulation.Impairments{
			Rate:  emulation.Rate(rapid.Int64Range(0, int64(unlimitedRate)).Draw(t, "rate")),
			Delay: time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "delay")),
			Loss:  rapid.Float64Range(0, 1).Draw(t, "loss"),

			Duplicate: rapid.Float64Range(0, 1).Draw(t, "duplicate"),
			Corrupt:   rapid.Float64Range(0, 1).Draw(t, "corrupt"),
		}
		if imp.Delay > 0 && rapid.Bool().Draw(t, "reorders") {
			imp.Reorder = emulation.Reorder{Probability: rapid.Float64Range(0.001, 1).Draw(t, "reorder"), Gap: rapid.IntRange(2, 9).Draw(t, "gap")}
		}
		imp.Jitter = time.Duration(rapid.Int64Range(0, int64(min(imp.Delay, maxJitter))).Draw(t, "jitter"))
		if imp.Rate > 0 {
			imp.Queue.Packets = rapid.IntRange(0, unlimitedQueue-1).Draw(t, "queue")
		}
		if Check(imp, mtu) != nil {
			return
		}
		n, err := translate(imp, mtu, 1)
		if err != nil {
			t.Fatalf("Check passed %+v, translate did not: %v", imp, err)
		}
		if n.limit == 0 {
			t.Fatalf("limit 0: nothing would pass")
		}
		if imp.Jitter > 0 && n.rate.bytes == 0 {
			t.Fatalf("jitter without a rate: netem would reorder")
		}
		got, err := impairments(&n, mtu)
		if err != nil {
			t.Fatal(err)
		}
		if d := got.Rate - imp.Rate; d < -4 || d > 4 {
			t.Errorf("rate %d came back as %d", imp.Rate, got.Rate)
		}
		// Near where netem can no longer do both, a little of the one is a lot of the other.
		for _, p := range []struct {
			name      string
			got, want float64
		}{
			{"loss", got.Loss, imp.Loss},
			{"duplicate", got.Duplicate * (1 - got.Loss), imp.Duplicate * (1 - imp.Loss)},
			{"corrupt", got.Corrupt, imp.Corrupt},
			{"reorder", got.Reorder.Probability, imp.Reorder.Probability},
		} {
			if math.Abs(p.got-p.want) > 4.0/(1<<32) {
				t.Errorf("%s %v came back as %v", p.name, p.want, p.got)
			}
		}
		// The line is worked out from the rate that is set: 4 bit/s in 20 s are less
		// than one frame.
		if d := got.Queue.Packets - imp.Queue.Packets; imp.Jitter == 0 && (d < -1 || d > 1) {
			t.Errorf("queue %d came back as %d", imp.Queue.Packets, got.Queue.Packets)
		}
		if got.Delay != imp.Delay || got.Jitter != imp.Jitter || got.Reorder.Gap != imp.Reorder.Gap {
			t.Errorf("%+v came back as %+v", imp, got)
		}
	})
}

// TestKernelLoss plays netem's order of duplication and loss with the parameters that
// kernelLoss returns, and wants the model's shares of packets that leave not at all,
// once and twice.
func TestKernelLoss(t *testing.T) {
	for _, c := range []struct{ loss, duplicate float64 }{
		{0, 0}, {0.1, 0}, {0, 0.3}, {0, 1}, {1, 0}, {1, 1}, {0.01, 0.01}, {0.1, 0.2}, {0.3, 0.1}, {1e-6, 0.5}, {0.02, 0.5},
	} {
		l, d, err := kernelLoss(c.loss, c.duplicate)
		if err != nil {
			t.Errorf("loss %v, duplicate %v: %v", c.loss, c.duplicate, err)
			continue
		}
		none, twice := (1-d)*l, d*(1-l)*(1-l)
		if math.Abs(none-c.loss) > 1e-9 || math.Abs(twice-(1-c.loss)*c.duplicate) > 1e-9 {
			t.Errorf("loss %v, duplicate %v: %v do not leave, %v leave twice", c.loss, c.duplicate, none, twice)
		}
		if loss, duplicate := modelLoss(l, d); math.Abs(loss-c.loss) > 1e-9 || c.loss < 1 && math.Abs(duplicate-c.duplicate) > 1e-9 {
			t.Errorf("loss %v, duplicate %v come back as %v, %v", c.loss, c.duplicate, loss, duplicate)
		}
	}
	for _, c := range []struct{ loss, duplicate float64 }{{0.5, 1}, {0.01, 0.999}, {0.3, 0.5}, {0.02, 0.7}, {math.Nextafter(1, 0), 1}} {
		if l, d, err := kernelLoss(c.loss, c.duplicate); err == nil {
			t.Errorf("loss %v, duplicate %v: netem has %v, %v", c.loss, c.duplicate, l, d)
		}
	}
}

// TestNextSeed: the seeds of a run's changes follow from the first, and none comes again.
func TestNextSeed(t *testing.T) {
	seen := map[uint64]bool{}
	for seed, n := uint64(7), 0; n < 10_000; seed, n = nextSeed(seed), n+1 {
		if seen[seed] {
			t.Fatalf("the seed after %d changes is one of before", n)
		}
		seen[seed] = true
	}
	if nextSeed(7) == nextSeed(8) {
		t.Error("a seed does not follow from the one before")
	}
}

// TestTranslate has what netem is told where it is not the request itself.
func TestTranslate(t *testing.T) {
	const half = 1 << 31
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
		want options // loss, copies and reordering
	}{
		{
			"gilbert-elliott with loss",
			emulation.Impairments{Loss: 0.5, GilbertElliott: emulation.GilbertElliott{P: 0.25, R: 0.5, H: 0.5, K: 1}},
			options{model: lossModel{lossGilbertElliott, [5]uint32{half / 2, half, half / 2, half}}},
		},
		{
			"four-state, sums of 1",
			emulation.Impairments{FourState: emulation.FourState{P13: 0.5, P31: 1, P32: 0, P23: 0.5, P14: 0.5}},
			options{model: lossModel{lossFourState, [5]uint32{half - 1, all, 0, half, half}}},
		},
		{"blackhole", emulation.Impairments{Blackhole: true, Duplicate: 1, GilbertElliott: emulation.GilbertElliott{}}, options{loss: all}},
		{"reorder, each may", emulation.Impairments{Delay: 1, Reorder: emulation.Reorder{Probability: 0.5}}, options{gap: 1, reorder: half}},
		{"reorder, gap", emulation.Impairments{Delay: 1, Reorder: emulation.Reorder{Probability: 0.5, Gap: 3}}, options{gap: 3, reorder: half}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := translate(c.imp, 1500, 1)
			got := options{loss: o.loss, duplicate: o.duplicate, model: o.model, gap: o.gap, reorder: o.reorder}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(options{}, rate{}, lossModel{}, slot{})); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestStands(t *testing.T) {
	want, err := translate(emulation.Impairments{Rate: 1e6, Delay: time.Second, Loss: 0.1}, 1500, 9)
	if err != nil {
		t.Fatal(err)
	}
	if err := stands(want, want); err != nil {
		t.Errorf("what was set: %v", err)
	}
	old := want
	old.seed, old.seeded = 0, false
	if err := stands(old, want); err != nil {
		t.Errorf("a kernel without a seed: %v", err)
	}
	other := want
	other.limit, other.seed, other.slot.packets, other.model.kind = 1000, 8, 1, lossFourState
	err = stands(other, want)
	for _, part := range []string{"limit is 1000", "seed is 8", "slot is", "loss model is"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
	other.nanoseconds = false
	if err := stands(other, want); err == nil || !strings.Contains(err.Error(), "4.16") {
		t.Errorf("a kernel without LATENCY64: %v", err)
	}
}
