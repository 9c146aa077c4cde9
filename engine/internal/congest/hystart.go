package congest

import (
	"math"
	"time"
)

// The constants of draft-ietf-tcpm-hystartplusplus-04, section 4.3.
const (
	hystartMinThresh = 4 * time.Millisecond
	hystartMaxThresh = 16 * time.Millisecond
	hystartSamples   = 8
	cssGrowthDivisor = 4
	cssRounds        = 5
)

const noRTT = time.Duration(math.MaxInt64)

// hystart is HyStart++ (draft-ietf-tcpm-hystartplusplus-04, section 4.2): it watches
// the least RTT of each round trip during slow start, slows the growth when that
// rises (conservative slow start), and ends slow start when it stays risen.
//
// The draft's limit L on growth per ACK is infinite here: sending is paced.
type hystart struct {
	last, current time.Duration // least RTT of the last and this round
	samples       int           // in this round
	css           bool
	baseline      time.Duration // least RTT at the start of conservative slow start
	rounds        int           // rounds of it begun
}

func newHystart() hystart { return hystart{last: noRTT, current: noRTT} }

// ack takes in an ACK and reports whether slow start is over.
func (h *hystart) ack(a Ack) (done bool) {
	if a.RoundStart {
		h.last, h.current, h.samples = h.current, noRTT, 0
		if h.css {
			// The round in which conservative slow start began counts, partial as it was.
			if h.rounds++; h.rounds > cssRounds {
				return true
			}
		}
	}
	if a.LatestRTT > 0 {
		h.current = min(h.current, a.LatestRTT)
		h.samples++
	}
	if h.samples < hystartSamples {
		return false
	}
	switch {
	case h.css:
		if h.current < h.baseline {
			// The rise was jitter.
			h.css, h.baseline = false, noRTT
		}
	case h.last != noRTT:
		thresh := min(max(h.last/8, hystartMinThresh), hystartMaxThresh)
		if h.current >= h.last+thresh {
			h.css, h.baseline, h.rounds = true, h.current, 1
		}
	}
	return false
}
