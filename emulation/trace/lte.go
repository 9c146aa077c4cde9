package trace

import (
	"math"
	"math/rand/v2"
	"time"
)

// lte is LTE as a driving receiver sees it. The shape is that of Sprout (Winstein
// and others, NSDI 2013, section 3.1): packets come as a Poisson process whose rate
// drifts, and now and then stops. The figures are those of the traces that were
// recorded for it and of those of 2016 that Mahimahi ships: 5 to 17 Mbit/s on
// average, one-second means that scatter by 0.6 to 0.8 of it, up to 60 Mbit/s, and
// gaps of 1 to 5 s.
type lte struct {
	random *rand.Rand
	drift  drift
	out    outages
}

const (
	lteMean   = 12e6 // bit/s
	lteSpread = 0.63 // of the logarithm: the deviation is 0.7 of the mean
	lteMost   = 60e6
	lteMemory = 4 * time.Second
)

func newLTE(random *rand.Rand) *lte {
	return &lte{
		random: random,
		drift:  newDrift(random, lteSpread, lteMemory),
		out: outages{random: random, gap: 60_000, length: func() float64 {
			return 1000 + 4000*random.Float64()
		}},
	}
}

func (l *lte) rate() float64 {
	rate := min(lteMean*math.Exp(-lteSpread*lteSpread/2)*l.drift.next(), lteMost)
	if n := poisson(l.random, rate/1000/opportunityBits); !l.out.next() {
		return float64(n) * opportunityBits * 1000
	}
	return 0
}

const opportunityBits = 12_000

// poisson draws a number with a small mean (Knuth, The Art of Computer Programming,
// volume 2, section 3.4.1).
func poisson(random *rand.Rand, mean float64) int {
	n := 0
	for limit, p := math.Exp(-mean), random.Float64(); p > limit; n++ {
		p *= random.Float64()
	}
	return n
}
