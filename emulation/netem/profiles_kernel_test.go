package netem

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
	"github.com/tquiclab/tquiclab/topologies"
)

// profileDirections returns both directions of all profiles that the backend can do.
// What it refuses it must refuse by name.
func profileDirections(t *testing.T) map[string]emulation.Impairments {
	directions := map[string]emulation.Impairments{}
	for _, p := range topologies.Profiles() {
		for way, imp := range map[string]emulation.Impairments{"up": p.Up, "down": p.Down} {
			if err := Check(imp, 1500); err != nil {
				if checkFeatures(imp, 1500) == nil {
					t.Errorf("profile %s %s: %v", p.Name, way, err)
				}
				continue
			}
			directions[p.Name+" "+way] = imp
		}
	}
	if len(directions) < 6 {
		t.Errorf("netem can do no more than %d directions of all profiles", len(directions))
	}
	return directions
}

// testProfiles holds every profile to its figures: the mean delay of packets that do
// not wait, the rate, the share of losses.
func testProfiles(t *testing.T) {
	directions := profileDirections(t)
	t.Run("delay", func(t *testing.T) { testProfileDelays(t, directions) })
	for name, imp := range directions {
		t.Run(name, func(t *testing.T) {
			testProfileRate(t, imp)
			testProfileLoss(t, imp)
		})
	}
}

// testProfileDelays measures all directions at once. The mean may be off by 1 % or
// 0.2 ms, whichever is more, and by four standard errors of what is random.
func testProfileDelays(t *testing.T, directions map[string]emulation.Impairments) {
	const n = 150
	flows := map[string]*flow{}
	watches := map[string]*watch{}
	apart := 10 * time.Millisecond
	for name, imp := range directions {
		r := joined(t, 1500)
		r.must(Apply(r.ports[1], imp, 1))
		flows[name], watches[name] = r.flow(0, 60), r.watch(fewFrames)
		_, longest := delays(imp)
		apart = max(apart, 2*(longest-imp.Delay))
	}
	again(t, func() error {
		for name, w := range watches {
			w.arrivals, w.departures, flows[name].sent = nil, nil, 0
		}
		for range n {
			for _, f := range flows {
				f.send(1)
			}
			time.Sleep(apart)
		}
		for _, w := range watches {
			w.finish(n)
		}
		for name, imp := range directions {
			got := middle(watches[name].delays())
			want := middle(idleDelays(t, imp, apart))
			mean := emulationtest.Mean(want)
			most := max(0.01*mean, 0.2e-3) + 4*deviation(want)/math.Sqrt(float64(len(got)))
			least := most
			if imp.Slot != (emulation.Slot{}) {
				least += imp.Slot.Max.Seconds() // see Capabilities
			}
			off := emulationtest.Mean(got) - mean
			t.Logf("%s: mean delay %.3f ms, want %.3f", name, 1e3*(mean+off), 1e3*mean)
			if off > most || off < -least {
				return fmt.Errorf("%s: mean delay %.3f ms, want %.3f to %.3f", name, 1e3*(mean+off), 1e3*(mean-least), 1e3*(mean+most))
			}
		}
		return nil
	})
}

// idleDelays returns the model's delays for packets that do not wait.
func idleDelays(t *testing.T, imp emulation.Impairments, apart time.Duration) []float64 {
	t.Helper()
	arrivals := emulationtest.Every(apart+imp.Slot.Max, 20_000, 60+ethernetHeader)
	out, _, err := emulationtest.Play(imp, emulation.NewSeed(1, "idle", "up"), arrivals)
	if err != nil {
		t.Fatal(err)
	}
	return emulationtest.Delays(arrivals, out)
}

// testProfileRate sends packets back to back, for half a second or twenty packets.
// The machine makes few packets a second: where the rate is high they are large, and
// the kernel counts bytes.
func testProfileRate(t *testing.T, imp emulation.Impairments) {
	if imp.Rate == 0 || imp.Slot != (emulation.Slot{}) {
		return
	}
	size := 1500
	if imp.Rate > 20e6 {
		size = 65_000
	}
	imp.Queue = emulation.Queue{}
	// The first packets leave when their delays end: within half a second jitter would
	// move that by more than the 1 % that is asked for.
	imp.Jitter, imp.Distribution, imp.JitterTable = 0, emulation.Uniform, nil
	n := max(20, int(imp.Rate)/2/8/size)
	r := joined(t, size)
	again(t, func() error {
		r.must(Apply(r.ports[1], imp, 1))
		w := r.watch(manyFrames)
		w.sendAll(r.flow(0, size), n)
		if got := throughput(w.kernel(), size+ethernetHeader); math.Abs(got/float64(imp.Rate)-1) > 0.01 {
			return fmt.Errorf("%.0f bit/s, want %d within 1 %%", got, imp.Rate)
		}
		return nil
	})
}

// testProfileLoss counts losses among packets that do not wait.
func testProfileLoss(t *testing.T, imp emulation.Impairments) {
	chain := emulationtest.OfLoss(imp.Loss)
	switch g := imp.GilbertElliott; {
	case g != (emulation.GilbertElliott{}):
		g.H, g.K = g.H*(1-imp.Loss), g.K*(1-imp.Loss)
		chain = emulationtest.OfGilbertElliott(g)
	case imp.FourState != (emulation.FourState{}):
		chain = emulationtest.OfFourState(imp.FourState)
	case imp.Loss == 0:
		return
	}
	const n = 20_000
	only := emulation.Impairments{Loss: imp.Loss, GilbertElliott: imp.GilbertElliott, FourState: imp.FourState}
	r := joined(t, 1500)
	again(t, func() error {
		r.must(Apply(r.ports[1], only, 1))
		w := r.watch(manyFrames)
		w.sendAll(r.flow(0, 60), n)
		lost := n - len(w.departures)
		// Of few losses the interval's lower end is below zero: nothing to miss there.
		if low, high := chain.Interval(n, 0.01); float64(lost) < low || float64(lost) > high {
			return fmt.Errorf("%d of %d packets lost, want %.0f to %.0f", lost, n, low, high)
		}
		return nil
	})
}
