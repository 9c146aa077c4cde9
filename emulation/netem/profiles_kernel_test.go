package netem

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
	"github.com/tquiclab/tquiclab/topologies"
)

// profileDirection is a direction of a profile, or several that ask for the same.
type profileDirection struct {
	name string
	imp  emulation.Impairments
}

// profileDirections returns both directions of all profiles that the backend can do.
// What it refuses it must refuse by name.
func profileDirections(t *testing.T) []profileDirection {
	var directions []profileDirection
	for _, p := range topologies.Profiles() {
		for _, d := range []profileDirection{{p.Name + " up", p.Up}, {p.Name + " down", p.Down}} {
			if err := Check(d.imp, 1500); err != nil {
				if checkFeatures(d.imp, 1500) == nil {
					t.Errorf("profile %s: %v", d.name, err)
				}
				continue
			}
			directions = append(directions, d)
		}
	}
	if len(directions) < 6 {
		t.Errorf("netem can do no more than %d directions of all profiles", len(directions))
	}
	return directions
}

// alike joins the directions that ask for the same: to netem they are one. The fastest
// comes first.
func alike(directions []profileDirection) []profileDirection {
	names := map[emulation.Impairments][]string{}
	for _, d := range directions {
		names[d.imp] = append(names[d.imp], d.name)
	}
	var out []profileDirection
	for imp, names := range names {
		out = append(out, profileDirection{strings.Join(names, ", "), imp})
	}
	slices.SortFunc(out, func(a, b profileDirection) int {
		return cmp.Or(cmp.Compare(b.imp.Rate, a.imp.Rate), strings.Compare(a.name, b.name))
	})
	return out
}

// testProfiles holds every profile to its figures: the mean delay of packets that do
// not wait, the rate, the share of losses and the length of their bursts.
func testProfiles(t *testing.T) {
	directions := profileDirections(t)
	t.Run("delays", func(t *testing.T) { testProfileDelays(t, alike(directions)) })
	t.Run("rates", func(t *testing.T) { testProfileRates(t, alike(directions)) })
	t.Run("losses", func(t *testing.T) {
		for i, d := range directions {
			imp := d.imp
			directions[i].imp = emulation.Impairments{Loss: imp.Loss, GilbertElliott: imp.GilbertElliott, FourState: imp.FourState}
		}
		for _, d := range alike(directions) {
			if !d.imp.IsZero() {
				t.Run(d.name, func(t *testing.T) { testProfileLoss(t, d.imp) })
			}
		}
	})
}

// testProfileLoss counts losses, and how many come one after the other, among packets
// that do not wait: the number within its 99 % interval, the mean burst within 10 %.
func testProfileLoss(t *testing.T, imp emulation.Impairments) {
	chain := emulationtest.OfLoss(imp.Loss)
	switch g := imp.GilbertElliott; {
	case g != (emulation.GilbertElliott{}):
		g.H, g.K = g.H*(1-imp.Loss), g.K*(1-imp.Loss)
		chain = emulationtest.OfGilbertElliott(g)
	case imp.FourState != (emulation.FourState{}):
		chain = emulationtest.OfFourState(imp.FourState)
	}
	n := max(20_000, chain.PacketsForBurst(0.1, 0.01))
	r := joined(t, 1500)
	again(t, func() error {
		r.must(Apply(r.ports[1], imp, 1))
		w := r.watch(manyFrames)
		w.sendAll(r.flow(0, 60), n)
		bursts := emulationtest.Bursts(w.lost())
		lost := 0
		for _, length := range bursts {
			lost += length
		}
		got, want := emulationtest.Mean(bursts), chain.MeanBurst()
		low, high := chain.Interval(n, 0.01)
		t.Logf("%d of %d packets lost, want %.0f to %.0f; mean burst %.4f, want %.4f", lost, n, low, high, got, want)
		if float64(lost) < low || float64(lost) > high {
			return fmt.Errorf("%d of %d packets lost, want %.0f to %.0f", lost, n, low, high)
		}
		if !(math.Abs(got/want-1) <= 0.1) {
			return fmt.Errorf("mean burst %.3f, want %.3f within 10 %%", got, want)
		}
		return nil
	})
}
