package emulation

import (
	"fmt"
	"math"
	"testing"
)

// chain is a loss model as the theory has it: transition probabilities, and the
// probability that a packet in a state is lost.
type chain struct {
	move [][]float64
	lost []float64
}

// step moves a distribution of states on.
func (c chain) step(p []float64) []float64 {
	next := make([]float64, len(p))
	for i, row := range c.move {
		for j, v := range row {
			next[j] += p[i] * v
		}
	}
	return next
}

// stationary is the distribution in the long run.
func (c chain) stationary() []float64 {
	p := make([]float64, len(c.move))
	p[0] = 1
	for range 5000 {
		p = c.step(p)
	}
	return p
}

// loss returns the rate of loss, and the variance of the number lost of n packets
// divided by n: that of independent loss, and what correlation adds.
func (c chain) loss() (rate, variance float64) {
	p := c.stationary()
	for i, v := range c.lost {
		rate += p[i] * v
	}
	joint := make([]float64, len(p)) // in a state after a loss now
	for i, v := range c.lost {
		joint[i] = p[i] * v
	}
	variance = rate * (1 - rate)
	for range 500 {
		joint = c.step(joint)
		both := 0.0
		for i, v := range c.lost {
			both += joint[i] * v
		}
		variance += 2 * (both - rate*rate)
	}
	return rate, variance
}

// burst returns the mean number of packets lost in a row: the rate of loss over
// that at which bursts begin.
func (c chain) burst() float64 {
	p := c.stationary()
	rate, passed := 0.0, make([]float64, len(p))
	for i, v := range c.lost {
		rate += p[i] * v
		passed[i] = p[i] * (1 - v)
	}
	begins := 0.0
	for i, v := range c.step(passed) {
		begins += v * c.lost[i]
	}
	return rate / begins
}

func gilbertElliott(g GilbertElliott) chain {
	return chain{[][]float64{{1 - g.P, g.P}, {g.R, 1 - g.R}}, []float64{1 - g.K, 1 - g.H}}
}

func fourState(f FourState) chain {
	return chain{[][]float64{
		{1 - f.P13 - f.P14, 0, f.P13, f.P14},
		{0, 1 - f.P23, f.P23, 0},
		{f.P31, f.P32, 1 - f.P31 - f.P32, 0},
		{1, 0, 0, 0},
	}, []float64{0, 0, 1, 1}}
}

// The rate of loss and the mean length of its bursts lie within the 99 % interval
// of each model's theory. Seeds are fixed: the test never fails by chance.
func TestChainsLoseAsTheirTheorySays(t *testing.T) {
	const n = 100_000
	type test struct {
		imp  Impairments
		want chain
	}
	var tests []test
	for _, g := range []GilbertElliott{
		{P: 0.01, R: 0.3, H: 0, K: 1},    // Gilbert's
		{P: 0.05, R: 1, H: 0, K: 1},      // single losses
		{P: 0.02, R: 0.2, H: 0.4, K: 1},  // some pass in the bad state
		{P: 0.1, R: 0.1, H: 0.5, K: 0.9}, // some are lost in the good one
	} {
		tests = append(tests, test{Impairments{GilbertElliott: g}, gilbertElliott(g)})
	}
	for _, f := range []FourState{
		{P13: 0.02, P31: 0.25, P23: 1},
		{P13: 0.03, P31: 0.2, P32: 0.3, P23: 0.4, P14: 0.01},
		{P14: 0.05, P31: 1},
	} {
		tests = append(tests, test{Impairments{FourState: f}, fourState(f)})
	}
	for _, tc := range tests {
		t.Run(fmt.Sprintf("%+v%+v", tc.imp.GilbertElliott, tc.imp.FourState), func(t *testing.T) {
			s := newStory(t, tc.imp)
			var lengths []float64
			lost, run := 0.0, 0.0
			for range n {
				if v := s.d.Enqueue(0, packet(frame)); !v.Accepted {
					lost++
					run++
					continue
				}
				s.d.Dequeue(0)
				if run > 0 {
					lengths = append(lengths, run)
					run = 0
				}
			}
			rate, variance := tc.want.loss()
			if half := 2.576 * math.Sqrt(n*variance); math.Abs(lost-n*rate) > half {
				t.Errorf("%.0f of %d lost, want %.0f +- %.0f", lost, n, n*rate, half)
			}
			mean, deviation := meanOf(lengths)
			half := 2.576*deviation/math.Sqrt(float64(len(lengths))) + 1e-9
			if want := tc.want.burst(); math.Abs(mean-want) > half {
				t.Errorf("bursts of %.3f, want %.3f +- %.3f", mean, want, half)
			}
		})
	}
}

func meanOf(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, math.Sqrt(deviation)
}

func TestLoseEveryAndListed(t *testing.T) {
	s := newStory(t, Impairments{LoseEvery: 4, LosePackets: &PacketList{1, 6, 7}, MTU: 1400})
	for n := 1; n <= 12; n++ {
		size := ByteCount(1000)
		if n == 2 {
			s.wantDrop(0, 1500, DropMTU) // counts as an arrival
			continue
		}
		if n%4 == 0 || n == 1 || n == 6 || n == 7 {
			s.wantDrop(0, size, DropLoss)
		} else {
			s.arrive(0, size)
		}
	}
	s.set(0, Impairments{LoseEvery: 1})
	s.wantDrop(0, frame, DropLoss)
	s.set(0, Impairments{LosePackets: &PacketList{5, 15}}) // 13 have arrived
	s.arrive(0, frame)
	s.wantDrop(0, frame, DropLoss)
}

// A chain goes on while it is on, whatever changes beside it, and starts in its
// good state when it comes back.
func TestChainAcrossSet(t *testing.T) {
	stuck := Impairments{GilbertElliott: GilbertElliott{P: 1, R: 0, H: 0, K: 1}}
	s := newStory(t, stuck)
	s.arrive(0, frame)
	s.wantDrop(0, frame, DropLoss)
	slower := stuck
	slower.Delay = ms
	s.set(0, slower)
	s.wantDrop(0, frame, DropLoss)
	s.set(0, Impairments{})
	s.arrive(0, frame)
	s.set(0, stuck)
	s.arrive(0, frame)
	s.wantDrop(0, frame, DropLoss)

	four := Impairments{FourState: FourState{P13: 1}} // the burst never ends
	s.set(0, four)
	s.wantDrop(0, frame, DropLoss)
	s.set(0, Impairments{FourState: FourState{P31: 1}})
	s.arrive(0, frame)
	s.arrive(0, frame)
}
