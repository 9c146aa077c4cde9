package netem

import (
	"fmt"
	"testing"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/emulationtest"
)

// falseAlarm is below which probability a difference between netem and the model is
// taken for one. Each comparison is made once and fails by chance once in a million.
const falseAlarm = 1e-6

// testLossModels holds netem's losses to theory and to the model: the number within
// the 99 % interval, the mean burst within 10 %, and the lengths of the bursts as one
// distribution with those of the model.
func testLossModels(t *testing.T) {
	gilbert := emulation.GilbertElliott{P: 0.05, R: 0.3, H: 0.1, K: 0.995}
	folded := gilbert
	folded.H *= 0.95
	folded.K *= 0.95
	four := emulation.FourState{P13: 0.03, P31: 0.25, P32: 0.2, P23: 0.3, P14: 0.02}
	for _, c := range []struct {
		name  string
		imp   emulation.Impairments
		chain emulationtest.Chain
	}{
		{"independent", emulation.Impairments{Loss: 0.1}, emulationtest.OfLoss(0.1)},
		{"gilbert", emulation.Impairments{GilbertElliott: emulation.GilbertElliott{P: 0.04, R: 0.25, K: 1}}, emulationtest.OfGilbertElliott(emulation.GilbertElliott{P: 0.04, R: 0.25, K: 1})},
		{"gilbert-elliott", emulation.Impairments{GilbertElliott: gilbert}, emulationtest.OfGilbertElliott(gilbert)},
		{"gilbert-elliott and independent", emulation.Impairments{GilbertElliott: gilbert, Loss: 0.05}, emulationtest.OfGilbertElliott(folded)},
		{"four-state", emulation.Impairments{FourState: four}, emulationtest.OfFourState(four)},
		{"four-state, full sums", emulation.Impairments{FourState: emulation.FourState{P13: 0.5, P14: 0.5, P31: 0.5, P32: 0.5, P23: 0.5}}, emulationtest.OfFourState(emulation.FourState{P13: 0.5, P14: 0.5, P31: 0.5, P32: 0.5, P23: 0.5})},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 24_000
			r := joined(t, 1500)
			again(t, func() error {
				r.must(Apply(r.ports[1], c.imp, 5))
				w := r.watch(manyFrames)
				f := r.flow(0, 60)
				w.sendAll(f, n)
				lost := w.lost()
				bursts := emulationtest.Bursts(lost)
				count := 0
				for _, length := range bursts {
					count += length
				}
				if p := emulationtest.SameCounts(bursts, emulationtest.Bursts(emulationtest.Lost(n, w.play(c.imp, 1)))); p < falseAlarm {
					t.Errorf("bursts differ from the model's: p = %g", p)
				}
				if low, high := c.chain.Interval(n, 0.01); float64(count) < low || float64(count) > high {
					return fmt.Errorf("%d of %d packets lost, want %.0f to %.0f", count, n, low, high)
				}
				want := c.chain.MeanBurst()
				if got := emulationtest.Mean(bursts); got < 0.9*want || got > 1.1*want {
					return fmt.Errorf("mean burst %.3f, want %.3f within 10 %%", got, want)
				}
				return nil
			})
		})
	}
}
