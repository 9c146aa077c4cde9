package trace

import (
	"math/rand/v2"
	"time"
)

// starlink is Starlink's downlink. Every 15 s, at seconds 12, 27, 42 and 57 of the
// minute everywhere, the ground is given satellites anew (Mohan and others, WWW
// 2024): the rate of an epoch has little to do with that of the one before, and
// around the boundary less than a second is degraded, with up to half of the
// packets lost (Kassem and others, IMC 2022). The rates lie about the 50 to
// 300 Mbit/s of the measurements of 2022. The trace begins with a minute, so that
// the boundaries of all links coincide.
type starlink struct {
	random *rand.Rand
	drift  drift
	ms     int
	epoch  float64 // bit/s
	until  int     // the degradation lasts, ms
	share  float64 // of the rate that is left in it
}

const (
	starlinkEpoch  = 15_000 // ms
	starlinkFirst  = 12_000 // ms of the minute
	starlinkLeast  = 50e6
	starlinkMost   = 300e6
	starlinkMemory = 200 * time.Millisecond
)

func newStarlink(random *rand.Rand) *starlink {
	s := &starlink{random: random, drift: newDrift(random, 0.1, starlinkMemory)}
	s.epoch = s.drawRate()
	return s
}

func (s *starlink) drawRate() float64 {
	return starlinkLeast + (starlinkMost-starlinkLeast)*s.random.Float64()
}

func (s *starlink) rate() float64 {
	if s.ms%starlinkEpoch == starlinkFirst {
		s.epoch = s.drawRate()
		s.until = s.ms + 100 + s.random.IntN(800)
		s.share = 0.5 * s.random.Float64()
	}
	rate := min(s.epoch*s.drift.next(), starlinkMost)
	if s.ms < s.until {
		rate *= s.share
	}
	s.ms++
	return rate
}
