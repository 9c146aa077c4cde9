package trace

import (
	"math/rand/v2"
	"time"
)

// nr is 5G below 6 GHz, downlink. The figures are those of the dataset of
// University College Cork (Raca and others, MMSys 2020), static downloads: the
// median of one-second rates is 29 Mbit/s, one in ten is above 202 Mbit/s, the
// largest is 333 Mbit/s; outages below 0.1 Mbit/s last 2 s as a rule. The length of
// its memory is a guess.
type nr struct {
	drift drift
	out   outages
}

const (
	nrMedian = 29e6 // bit/s
	nrSpread = 1.51 // of the logarithm: ln(202/29) / 1.2816
	nrMost   = 333e6
	nrMemory = 8 * time.Second
)

func newNR(random *rand.Rand) *nr {
	return &nr{
		drift: newDrift(random, nrSpread, nrMemory),
		out: outages{random: random, gap: 90_000, length: func() float64 {
			return 1000 + 2000*random.Float64()
		}},
	}
}

func (n *nr) rate() float64 {
	rate := min(nrMedian*n.drift.next(), nrMost)
	if n.out.next() {
		return 0
	}
	return rate
}
