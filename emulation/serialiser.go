package emulation

import (
	"math"
	"math/bits"
	"time"
)

const nanosPerSecond = uint64(time.Second)

// serialiser puts packets on the wire one after the other at a rate. It works in
// whole nanoseconds and carries the fraction to the next packet of the same busy
// period, so that a long run at a rate such as 33.333 Mbit/s does not drift.
type serialiser struct {
	rate  Rate
	free  Time           // when the packet in transmission ends
	rest  uint64         // fraction of a nanosecond beyond free, in units of 1/rate ns
	trace *opportunities // in place of the rate, if not nil
	steps *steps         // in place of the rate, if not nil
}

// transmit starts a packet as soon as the serialiser is free, but not before
// ready, and returns when its last bit is out.
func (s *serialiser) transmit(ready Time, size ByteCount) Time {
	if ready > s.free {
		s.free, s.rest = ready, 0
	}
	if s.rate == 0 {
		return s.free
	}
	// size is at most maxPacketSize and rest is below the rate: the sum stays
	// below 2^20*8*1e9 + 2^63 < 2^64.
	work := uint64(size)*8*nanosPerSecond + s.rest
	s.free = s.free.Add(time.Duration(work / uint64(s.rate)))
	s.rest = work % uint64(s.rate)
	return s.free
}

// starts returns when a packet may start that is ready at ready.
func (s *serialiser) starts(ready Time) Time {
	if s.trace != nil {
		return s.trace.start(ready, s.free)
	}
	return max(s.free, ready)
}

// send starts a packet at start, which starts returned just now, and returns when
// its last bit is out.
func (s *serialiser) send(start Time, p *Packet) Time {
	switch {
	case s.trace != nil:
		s.free, s.rest = s.trace.transmit(min(max(0, ByteCount(p.IPSize)), maxPacketSize)), 0
	case s.steps != nil:
		if start > s.free {
			s.free, s.rest = start, 0
		}
		s.free, s.rest = s.steps.transmit(s.free, uint64(p.Size)*8*nanosPerSecond+s.rest)
	default:
		s.transmit(start, p.Size)
	}
	return s.free
}

// setRate changes the rate for the packets that start from now on.
func (s *serialiser) setRate(r Rate) {
	if s.rate != r {
		s.rate, s.rest = r, 0
	}
}

// bytesIn returns how many whole bytes leave at rate r within d, saturating.
func bytesIn(d time.Duration, r Rate) ByteCount {
	hi, lo := bits.Mul64(uint64(d), uint64(r))
	if hi >= 8*nanosPerSecond {
		return math.MaxInt64
	}
	n, _ := bits.Div64(hi, lo, 8*nanosPerSecond)
	return ByteCount(min(n, math.MaxInt64))
}
