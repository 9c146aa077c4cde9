package netem

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/florianl/go-tc"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	// ethernetHeader is what a frame has before its IP packet, as netem counts it.
	ethernetHeader = 14
	// unlimitedQueue is the queue, in packets, where none is asked for.
	unlimitedQueue = 1 << 20
	// maxLimit bounds the limit, far above any use and far below overflow.
	maxLimit = math.MaxInt32
)

// attributes returns netem's whole set of parameters for imp: a change keeps
// whatever it is not told (correlations, reordering, corruption and the rate
// persist in the kernel), so nothing is left out, not even what is zero. Slots
// and delay tables, which cannot be taken back, are never set.
func attributes(imp emulation.Impairments, mtu int, seed uint64) (tc.Netem, error) {
	limit, err := limit(imp, mtu)
	if err != nil {
		return tc.Netem{}, err
	}
	rate := imp.Rate
	if rate == 0 {
		rate = unlimitedRate
	}
	// The kernel takes the larger of the two rates, and 32 bits end at 34 Gbit/s.
	rate64 := bytesPerSecond(rate)
	rate32 := uint32(min(rate64, math.MaxUint32))
	delay, jitter := int64(imp.Delay), int64(imp.Jitter)
	ecn := uint32(0)
	return tc.Netem{
		Qopt:      tc.NetemQopt{Limit: limit, Loss: lossFraction(imp.Loss)},
		Corr:      &tc.NetemCorr{},
		Reorder:   &tc.NetemReorder{},
		Corrupt:   &tc.NetemCorrupt{},
		Rate:      &tc.NetemRate{Rate: rate32},
		Rate64:    &rate64,
		Latency64: &delay,
		Jitter64:  &jitter,
		Ecn:       &ecn,
		PrngSeed:  &seed,
	}, nil
}

// impairments is the way back: what netem's parameters do to a link of the given
// MTU. The queue is in packets, whatever it was asked for in, and absent where
// it has no end.
func impairments(n tc.Netem, mtu int) (emulation.Impairments, error) {
	if n.Latency64 == nil || n.Jitter64 == nil {
		return emulation.Impairments{}, fmt.Errorf("the kernel tells no delay in nanoseconds: it is older than Linux 4.16")
	}
	imp := emulation.Impairments{
		Delay:  time.Duration(*n.Latency64),
		Jitter: time.Duration(*n.Jitter64),
		Loss:   lossProbability(n.Qopt.Loss),
	}
	if rate := emulation.Rate(byteRate(n) * 8); rate != 0 && rate < unlimitedRate {
		imp.Rate = rate
		line, err := lineFrames(imp, mtu)
		if err != nil {
			return emulation.Impairments{}, err
		}
		if queue := int64(n.Qopt.Limit) - line - 1; queue < unlimitedQueue {
			imp.Queue.Packets = int(max(0, queue))
		}
	}
	return imp, nil
}

// limit returns netem's limit in packets; see the package comment.
func limit(imp emulation.Impairments, mtu int) (uint32, error) {
	line, err := lineFrames(imp, mtu)
	if err != nil {
		return 0, err
	}
	queue := int64(unlimitedQueue)
	switch frame := int64(mtu + ethernetHeader); {
	case imp.Queue.Packets > 0:
		queue = int64(imp.Queue.Packets)
	case imp.Queue.Bytes > 0:
		queue = int64(imp.Queue.Bytes) / frame
	case imp.Queue.Time > 0:
		queue, err = frames(imp.Rate, imp.Queue.Time, mtu, 0)
		if err != nil {
			return 0, err
		}
	}
	if queue > maxLimit-line-1 {
		return 0, fmt.Errorf("a queue of %d packets behind a line of %d is more than netem's limit takes", queue, line)
	}
	return uint32(line + queue + 1), nil
}

// lineFrames returns how many largest frames the delay line holds at imp's rate.
func lineFrames(imp emulation.Impairments, mtu int) (int64, error) {
	frame := uint64(mtu + ethernetHeader)
	return frames(imp.Rate, imp.Delay+imp.Jitter, mtu, 8*uint64(time.Second)*frame-1)
}

// frames returns how many largest frames rate carries in d, rounded down after
// round (in bit-nanoseconds) was added.
func frames(rate emulation.Rate, d time.Duration, mtu int, round uint64) (int64, error) {
	frame := uint64(mtu+ethernetHeader) * 8 * uint64(time.Second)
	hi, lo := bits.Mul64(uint64(rate), uint64(d))
	lo, carry := bits.Add64(lo, round, 0)
	hi += carry
	if hi >= frame {
		return 0, fmt.Errorf("%d bit/s for %v is more than netem's limit takes", rate, d)
	}
	n, _ := bits.Div64(hi, lo, frame)
	if n > maxLimit {
		return 0, fmt.Errorf("%d bit/s for %v is %d packets, more than netem's limit takes", rate, d, n)
	}
	return int64(n), nil
}

// bytesPerSecond returns a rate as netem counts it, to the nearest.
func bytesPerSecond(r emulation.Rate) uint64 { return (uint64(r) + 4) / 8 }

// byteRate returns the rate in force among netem's two attributes, bytes/s.
func byteRate(n tc.Netem) uint64 {
	var rate uint64
	if n.Rate != nil {
		rate = uint64(n.Rate.Rate)
	}
	if n.Rate64 != nil {
		rate = max(rate, *n.Rate64)
	}
	return rate
}

// lossFraction returns a probability as netem counts it. The kernel drops a
// packet when a random 32-bit number is not above it, so zero is never and the
// largest is always; a probability too small for it becomes the smallest.
func lossFraction(p float64) uint32 {
	if p <= 0 {
		return 0
	}
	return uint32(min(max(1, math.Round(p*(1<<32))), math.MaxUint32))
}

// lossProbability is the way back, to within 2^-32.
func lossProbability(fraction uint32) float64 {
	if fraction == math.MaxUint32 {
		return 1
	}
	return float64(fraction) / (1 << 32)
}
