package emulationtest

import (
	"math"

	"github.com/tquiclab/tquiclab/emulation"
)

// Chain is a Markov chain that loses packets: each packet meets a state, is lost with
// that state's probability, and moves the chain.
type Chain struct {
	Move [][]float64 // from a state (row) to a state (column)
	Lose []float64   // of each state
}

// OfLoss returns the chain of independent loss.
func OfLoss(p float64) Chain { return Chain{[][]float64{{1}}, []float64{p}} }

// OfGilbertElliott returns the chain of g: good state, bad state.
func OfGilbertElliott(g emulation.GilbertElliott) Chain {
	return Chain{[][]float64{{1 - g.P, g.P}, {g.R, 1 - g.R}}, []float64{1 - g.K, 1 - g.H}}
}

// OfFourState returns the chain of f, states 1 to 4. A packet's fate is that of the
// state which it leads to; over many packets that is the same.
func OfFourState(f emulation.FourState) Chain {
	return Chain{[][]float64{
		{1 - f.P13 - f.P14, 0, f.P13, f.P14},
		{0, 1 - f.P23, f.P23, 0},
		{f.P31, f.P32, 1 - f.P31 - f.P32, 0},
		{1, 0, 0, 0},
	}, []float64{0, 0, 1, 1}}
}

// step returns the distribution over the states one packet later.
func (c Chain) step(from []float64) []float64 {
	to := make([]float64, len(from))
	for i, p := range from {
		for j, move := range c.Move[i] {
			to[j] += p * move
		}
	}
	return to
}

// stationary returns the long-run distribution over the states, by iteration. Steps
// are averaged in pairs, so that a chain with a period converges, too.
func (c Chain) stationary() []float64 {
	at := make([]float64, len(c.Lose))
	at[0] = 1
	for range 100_000 {
		next := c.step(at)
		change := 0.0
		for i := range next {
			next[i] = (next[i] + at[i]) / 2
			change += math.Abs(next[i] - at[i])
		}
		at = next
		if change < 1e-15 {
			break
		}
	}
	return at
}

// lost returns the probability of a loss under a distribution over the states.
func (c Chain) lost(at []float64) float64 {
	sum := 0.0
	for i, p := range at {
		sum += p * c.Lose[i]
	}
	return sum
}

// Loss returns the share of packets lost in the long run.
func (c Chain) Loss() float64 { return c.lost(c.stationary()) }

// MeanBurst returns the mean number of packets lost one after the other: how many
// are lost for each that is lost behind one that passed.
func (c Chain) MeanBurst() float64 {
	passed := c.stationary()
	loss := c.lost(passed)
	for i := range passed {
		passed[i] *= 1 - c.Lose[i]
	}
	return loss / c.lost(c.step(passed))
}

// BurstDeviation returns the standard deviation of the number of packets lost one
// after the other.
func (c Chain) BurstDeviation() float64 {
	at := c.stationary()
	for i := range at {
		at[i] *= 1 - c.Lose[i]
	}
	// The probabilities of bursts of that length and more, up to a factor.
	var sum, mean, square float64
	for length := 1.0; length < 1e6; length++ {
		at = c.step(at)
		longer := 0.0
		for i := range at {
			at[i] *= c.Lose[i]
			longer += at[i]
		}
		if length == 1 {
			sum = longer
		}
		mean += longer / sum
		square += (2*length - 1) * longer / sum
		if longer <= sum*1e-15 {
			break
		}
	}
	return math.Sqrt(max(0, square-mean*mean))
}

// PacketsForBurst returns how many packets it takes for their mean burst to lie within
// that share of MeanBurst, with all but the two-sided probability outside: to the
// normal approximation, and at least twenty bursts' worth.
func (c Chain) PacketsForBurst(within, outside float64) int {
	mean := c.MeanBurst()
	root := Quantile(1-outside/2) * c.BurstDeviation() / (within * mean)
	return int(math.Ceil(max(20, root*root) * mean / c.Loss()))
}

// Interval returns where the number of losses among n packets lies with all but the
// two-sided probability outside, to the normal approximation, widened to whole
// numbers. The variance is that of the chain, whose losses come together.
func (c Chain) Interval(n int, outside float64) (low, high float64) {
	at := c.stationary()
	loss := c.lost(at)
	variance := loss * (1 - loss)
	lost := make([]float64, len(at))
	for i := range at {
		lost[i] = at[i] * c.Lose[i]
	}
	for lag := 1; lag < n; lag++ {
		lost = c.step(lost)
		covariance := c.lost(lost) - loss*loss
		variance += 2 * covariance
		if math.Abs(covariance) < 1e-12 {
			break
		}
	}
	half := Quantile(1-outside/2)*math.Sqrt(float64(n)*variance) + 0.5
	return float64(n)*loss - half, float64(n)*loss + half
}

// Quantile returns the value below which the standard normal distribution has p.
func Quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
