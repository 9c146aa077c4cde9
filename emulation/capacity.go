package emulation

import (
	"fmt"
	"slices"
	"sort"
	"time"
)

// Trace is a capacity by Mahimahi's rules: each element is a delivery opportunity
// of 1500 bytes of IP packets, as milliseconds from the beginning, ascending,
// repeated where there are several in one millisecond. The trace repeats with its
// last element as the period.
//
// An opportunity carries bytes: several small packets or a part of a large one.
// What packets that arrived before it do not use is lost.
type Trace []uint32

// Bounds of a trace. Opportunity is the payload of Mahimahi's PACKET_SIZE of 1504,
// which counts the 4 bytes that a TUN device puts before an IP packet.
const (
	Opportunity      ByteCount = 1500
	MaxOpportunities           = 1 << 24
)

// Period returns the time after which the trace repeats.
func (t Trace) Period() time.Duration {
	if len(t) == 0 {
		return 0
	}
	return time.Duration(t[len(t)-1]) * time.Millisecond
}

// MeanRate returns the mean capacity over a period.
func (t Trace) MeanRate() Rate {
	if t.Period() == 0 {
		return 0
	}
	return Rate(uint64(len(t)) * uint64(Opportunity) * 8 * 1000 / uint64(t[len(t)-1]))
}

// Validate returns why t is no trace, or nil.
func (t Trace) Validate() error {
	switch {
	case len(t) == 0:
		return fmt.Errorf("capacity trace is empty")
	case len(t) > MaxOpportunities:
		return fmt.Errorf("capacity trace has %d opportunities, more than %d", len(t), MaxOpportunities)
	case !slices.IsSorted(t):
		return fmt.Errorf("capacity trace is not in ascending order")
	case t.Period() == 0:
		return fmt.Errorf("capacity trace lasts no time")
	case t.MeanRate() == 0:
		return fmt.Errorf("capacity trace carries less than 1 bit/s")
	}
	return nil
}

// opportunities is a trace in the course of time.
type opportunities struct {
	trace Trace
	base  Time      // of the current period
	next  int       // the first opportunity that nothing has used
	left  ByteCount // bytes left in the one before it
	at    Time      // when that one was
}

// begin starts the trace at a time.
func (o *opportunities) begin(at Time) { o.base, o.next, o.left, o.at = at, 0, 0, at }

func (o *opportunities) time(i int) Time {
	return o.base.Add(time.Duration(o.trace[i]) * time.Millisecond)
}

// start returns when the first byte of a packet goes that is ready at ready and
// follows one that ended at free: it takes part in the opportunities after ready,
// as in Mahimahi, whose clock ticks in milliseconds and which uses up what is due
// before it looks at an arrival.
func (o *opportunities) start(ready, free Time) Time {
	if o.left > 0 && ready < o.at && free <= o.at {
		return o.at
	}
	o.left = 0
	if free > ready {
		ready = free - 1 // what remains of that instant is another opportunity
	}
	o.seek(ready)
	return o.time(o.next)
}

// transmit sends a packet for which start was asked just now, and returns when
// its last byte goes. A packet without bytes still needs an opportunity.
func (o *opportunities) transmit(size ByteCount) Time {
	if o.left == 0 {
		o.take()
	}
	for size > o.left {
		size -= o.left
		o.take()
	}
	o.left -= size
	return o.at
}

// take uses the next opportunity.
func (o *opportunities) take() {
	o.at, o.left = o.time(o.next), Opportunity
	if o.next++; o.next == len(o.trace) {
		o.next = 0
		o.base = o.base.Add(o.trace.Period())
	}
}

// seek skips the opportunities up to and at a time.
func (o *opportunities) seek(t Time) {
	if o.time(o.next) > t {
		return
	}
	period := o.trace.Period()
	periods := t.Sub(o.base) / period
	o.base = o.base.Add(periods * period)
	rest := t.Sub(o.base) // below the period, which is the last opportunity
	o.next = sort.Search(len(o.trace), func(i int) bool {
		return time.Duration(o.trace[i])*time.Millisecond > rest
	})
}
