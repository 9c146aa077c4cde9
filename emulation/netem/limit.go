package netem

import (
	"fmt"
	"math"
	"math/bits"
	"time"

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

// limit returns netem's limit in packets; see the package comment.
func limit(imp emulation.Impairments, mtu int) (uint32, error) {
	mean, longest := delays(imp)
	line, err := lineFrames(imp.Rate, mean, mtu)
	if err != nil {
		return 0, err
	}
	least, err := lineFrames(imp.Rate, longest, mtu)
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
	sending := int64(0) // slots alone do not
	if imp.Rate > 0 || imp.Queue == (emulation.Queue{}) {
		sending = 1
	}
	if queue > maxLimit-sending-line || least > maxLimit-sending {
		return 0, fmt.Errorf("a queue of %d packets behind a line of %d is more than netem's limit takes", queue, max(line, least))
	}
	return uint32(max(1, max(line+queue, least)+sending)), nil
}

// queueOf is the way back where the delay does not vary: the queue that a limit
// makes.
func queueOf(limit uint32, r emulation.Rate, delay time.Duration, mtu int) (emulation.Queue, error) {
	line, err := lineFrames(r, delay, mtu)
	if err != nil {
		return emulation.Queue{}, err
	}
	queue := int64(limit) - line - 1
	if queue >= unlimitedQueue {
		return emulation.Queue{}, nil
	}
	return emulation.Queue{Packets: int(max(0, queue))}, nil
}

// lineFrames returns how many largest frames a line of that delay holds at rate.
func lineFrames(r emulation.Rate, delay time.Duration, mtu int) (int64, error) {
	frame := uint64(mtu + ethernetHeader)
	return frames(r, delay, mtu, 8*uint64(time.Second)*frame-1)
}

// frames returns how many largest frames rate carries in d, rounded down after
// round (in bit-nanoseconds) was added.
func frames(r emulation.Rate, d time.Duration, mtu int, round uint64) (int64, error) {
	frame := uint64(mtu+ethernetHeader) * 8 * uint64(time.Second)
	hi, lo := bits.Mul64(uint64(r), uint64(d))
	lo, carry := bits.Add64(lo, round, 0)
	hi += carry
	if hi >= frame {
		return 0, fmt.Errorf("%d bit/s for %v is more than netem's limit takes", r, d)
	}
	n, _ := bits.Div64(hi, lo, frame)
	if n > maxLimit {
		return 0, fmt.Errorf("%d bit/s for %v is %d packets, more than netem's limit takes", r, d, n)
	}
	return int64(n), nil
}
