package emulationtest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s = %v, want %v within %v", what, got, want, within)
	}
}

// TestChainKnown holds the numbers to what is known in closed form.
func TestChainKnown(t *testing.T) {
	gilbert := emulation.GilbertElliott{P: 0.05, R: 0.25, H: 0, K: 1}
	c := OfGilbertElliott(gilbert)
	near(t, "Gilbert's loss", c.Loss(), gilbert.P/(gilbert.P+gilbert.R), 1e-12)
	near(t, "Gilbert's burst", c.MeanBurst(), 1/gilbert.R, 1e-9)
	near(t, "its deviation", c.BurstDeviation(), math.Sqrt(1-gilbert.R)/gilbert.R, 1e-9)
	low, high := c.Interval(10_000, 0.01)
	// Gilbert's correlation falls by 1-p-r a packet.
	loss, lambda := c.Loss(), 1-gilbert.P-gilbert.R
	sd := math.Sqrt(10_000 * loss * (1 - loss) * (1 + lambda) / (1 - lambda))
	near(t, "half of Gilbert's interval", (high-low)/2, 2.5758*sd+0.5, 0.01)

	c = OfLoss(0.1)
	near(t, "independent loss", c.Loss(), 0.1, 1e-12)
	near(t, "independent burst", c.MeanBurst(), 1/0.9, 1e-9)
	near(t, "its deviation", c.BurstDeviation(), math.Sqrt(0.1)/0.9, 1e-9)

	// Isolated losses alone: each is followed by a packet that passes.
	c = OfFourState(emulation.FourState{P14: 0.2})
	near(t, "isolated loss", c.Loss(), 0.2/1.2, 1e-12)
	near(t, "isolated burst", c.MeanBurst(), 1, 1e-9)
	near(t, "its deviation", c.BurstDeviation(), 0, 1e-6)
	near(t, "packets for twenty of them", float64(c.PacketsForBurst(0.1, 0.01)), 120, 1)
	// A chain that goes round and round.
	c = Chain{[][]float64{{0, 1}, {1, 0}}, []float64{0, 1}}
	near(t, "every other", c.Loss(), 0.5, 1e-12)
}

// chains are loss models with all their states in use.
var chains = []struct {
	name  string
	imp   emulation.Impairments
	chain Chain
}{
	{"gilbert-elliott", emulation.Impairments{GilbertElliott: emulation.GilbertElliott{P: 0.03, R: 0.2, H: 0.1, K: 0.99}}, OfGilbertElliott(emulation.GilbertElliott{P: 0.03, R: 0.2, H: 0.1, K: 0.99})},
	{"four-state", emulation.Impairments{FourState: emulation.FourState{P13: 0.03, P31: 0.2, P32: 0.2, P23: 0.3, P14: 0.02}}, OfFourState(emulation.FourState{P13: 0.03, P31: 0.2, P32: 0.2, P23: 0.3, P14: 0.02})},
}

// TestChainIsTheModels holds the theory to the model. The seed is fixed: this cannot
// fail by chance.
func TestChainIsTheModels(t *testing.T) {
	const n = 200_000
	for _, c := range chains {
		t.Run(c.name, func(t *testing.T) {
			out, counters, err := Play(c.imp, emulation.NewSeed(1, c.name, "up"), Every(time.Millisecond, n, 100))
			if err != nil {
				t.Fatal(err)
			}
			lost := float64(counters.Dropped[emulation.DropLoss])
			if low, high := c.chain.Interval(n, 0.01); lost < low || lost > high {
				t.Errorf("the model lost %v, want %v to %v", lost, low, high)
			}
			bursts := Bursts(Lost(n, out))
			near(t, "mean burst", Mean(bursts), c.chain.MeanBurst(), 0.03*c.chain.MeanBurst())
		})
	}
}

// TestPacketsForBurst says that so many packets are enough, and that a quarter of them
// are not. The seeds are fixed.
func TestPacketsForBurst(t *testing.T) {
	const runs = 100
	for _, c := range chains {
		within := func(n int) (hits int) {
			for seed := range uint64(runs) {
				out, _, err := Play(c.imp, emulation.NewSeed(seed, c.name, "up"), Every(time.Millisecond, n, 100))
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(Mean(Bursts(Lost(n, out)))/c.chain.MeanBurst()-1) <= 0.1 {
					hits++
				}
			}
			return hits
		}
		n := c.chain.PacketsForBurst(0.1, 0.01)
		if got := within(n); got < runs*97/100 {
			t.Errorf("%s: with %d packets %d of %d means lie within 10 %%", c.name, n, got, runs)
		}
		if got := within(n / 4); got > runs*90/100 {
			t.Errorf("%s: with %d packets %d of %d means lie within 10 %% already", c.name, n/4, got, runs)
		}
	}
}

// TestPower says that the comparisons tell what differs: same seeds apart, same
// model, p is not small; a slightly other model, p is tiny.
func TestPower(t *testing.T) {
	bursts := func(p, r float64, seed uint64) []int {
		imp := emulation.Impairments{GilbertElliott: emulation.GilbertElliott{P: p, R: r, K: 1}}
		out, _, err := Play(imp, emulation.NewSeed(seed, "l", "up"), Every(time.Millisecond, 24_000, 100))
		if err != nil {
			t.Fatal(err)
		}
		return Bursts(Lost(24_000, out))
	}
	delays := func(jitter time.Duration, d emulation.Distribution, seed uint64) []float64 {
		imp := emulation.Impairments{Delay: 100 * time.Millisecond, Jitter: jitter, Distribution: d}
		arrivals := Every(time.Second, 1200, 100)
		out, _, err := Play(imp, emulation.NewSeed(seed, "l", "up"), arrivals)
		if err != nil {
			t.Fatal(err)
		}
		return Delays(arrivals, out)
	}
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		p    float64
		same bool
	}{
		{"same bursts", SameCounts(bursts(0.05, 0.3, 1), bursts(0.05, 0.3, 2)), true},
		{"shorter bursts", SameCounts(bursts(0.05, 0.3, 1), bursts(0.05, 0.4, 2)), false},
		{"same delays", SameDistribution(delays(2*ms, emulation.Normal, 1), delays(2*ms, emulation.Normal, 2)), true},
		{"wider delays", SameDistribution(delays(2*ms, emulation.Normal, 1), delays(4*ms, emulation.Normal, 2)), false},
		{"another form", SameDistribution(delays(2*ms, emulation.Normal, 1), delays(2*ms, emulation.Pareto, 2)), false},
	} {
		if c.same && c.p < 1e-3 || !c.same && c.p > 1e-6 {
			t.Errorf("%s: p = %g", c.name, c.p)
		}
	}
}

// TestPValues says that p is uniform where nothing differs, as a p must be.
func TestPValues(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const runs = 2000
	var counts, distributions int
	for range runs {
		a, b := make([]int, 500), make([]int, 700)
		x, y := make([]float64, 300), make([]float64, 400)
		for i := range a {
			a[i] = int(random.ExpFloat64() * 2)
		}
		for i := range b {
			b[i] = int(random.ExpFloat64() * 2)
		}
		for i := range x {
			x[i] = random.NormFloat64()
		}
		for i := range y {
			y[i] = random.NormFloat64()
		}
		if SameCounts(a, b) < 0.1 {
			counts++
		}
		if SameDistribution(x, y) < 0.1 {
			distributions++
		}
	}
	near(t, "share of p < 0.1 of SameCounts", float64(counts)/runs, 0.1, 0.03)
	near(t, "share of p < 0.1 of SameDistribution", float64(distributions)/runs, 0.1, 0.03)
}

func TestUpperGamma(t *testing.T) {
	// Of the tables of chi-square: 3.841 and 18.307 at 5 %, 10.828 at 0.1 %.
	near(t, "1 degree", upperGamma(0.5, 3.8415/2), 0.05, 1e-5)
	near(t, "10 degrees", upperGamma(5, 18.307/2), 0.05, 1e-5)
	near(t, "1 degree, rare", upperGamma(0.5, 10.8276/2), 0.001, 1e-6)
	near(t, "10 degrees, common", upperGamma(5, 3.94/2), 0.95, 1e-4)
}

func TestBursts(t *testing.T) {
	for _, c := range []struct {
		lost string
		want []int
	}{{"", nil}, {"...", nil}, {"x..xx.xxx", []int{1, 2, 3}}, {"xxxx", []int{4}}} {
		var lost []bool
		for _, r := range c.lost {
			lost = append(lost, r == 'x')
		}
		if diff := cmp.Diff(c.want, Bursts(lost)); diff != "" {
			t.Errorf("Bursts(%q) (-want +got):\n%s", c.lost, diff)
		}
	}
}

func TestEmptySamples(t *testing.T) {
	if p := SameCounts(nil, nil); p != 1 {
		t.Errorf("nothing against nothing: p = %v", p)
	}
	if p := SameCounts([]int{1}, nil); p != 0 {
		t.Errorf("something against nothing: p = %v", p)
	}
}
