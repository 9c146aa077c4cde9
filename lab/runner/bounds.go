package runner

import (
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/topologies"
)

const (
	// assumedRate stands for a path without a rate: far below what a veth pair
	// gives, so the bound is generous.
	assumedRate emulation.Rate = 100e6
	// bufferedBytes is what may still be on its way when the sender's time is up:
	// the largest socket buffers and flow-control windows in use.
	bufferedBytes = 32 << 20
	// slowness is how many times slower than the slowest of its paths a transfer
	// may be before it counts as hung.
	slowness = 10
	maxBound = 24 * time.Hour
)

// transferBound returns how long a transfer over the links may take before it is
// given up, the sending being done by node from.
func transferBound(w topologies.Workload, links []topologies.Link, from string, patience time.Duration) time.Duration {
	slowest := assumedRate
	for _, l := range links {
		if rate := direction(l, from).MeanRate(); rate > 0 {
			slowest = min(slowest, rate)
		}
	}
	bits := float64(w.Bytes) * 8 * slowness
	if w.Bytes == 0 {
		bits = bufferedBytes * 8
	}
	seconds := w.Duration.Seconds() + patience.Seconds() + bits/float64(slowest)
	return time.Duration(min(seconds, maxBound.Seconds()) * float64(time.Second))
}

// direction returns the link's impairments for packets that leave node from.
func direction(l topologies.Link, from string) emulation.Impairments {
	if l.End(from) == 0 {
		return l.Up
	}
	return l.Down
}
