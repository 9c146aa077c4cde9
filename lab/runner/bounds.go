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

// transferBound returns how long a transfer over the paths may take before it is
// given up, the data going to node to.
func transferBound(w topologies.Workload, paths []topologies.Path, to string, patience time.Duration) time.Duration {
	slowest := assumedRate
	for _, p := range paths {
		for i := range p.Links {
			if rate := p.Toward(i, to).MeanRate(); rate > 0 {
				slowest = min(slowest, rate)
			}
		}
	}
	bits := float64(w.Bytes) * 8 * slowness
	if w.Bytes == 0 {
		bits = bufferedBytes * 8
	}
	seconds := w.Duration.Seconds() + patience.Seconds() + bits/float64(slowest)
	return time.Duration(min(seconds, maxBound.Seconds()) * float64(time.Second))
}
