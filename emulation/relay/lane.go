package relay

import (
	"sync/atomic"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	// settle is how long after its time stamp a frame may take to be seen.
	settle = 20 * time.Microsecond
	// maxOlder bounds the courses that may still hold packets when another begins.
	maxOlder = 16
)

// lane is the emulation of one direction for as long as the relay lives: the course in
// force, and those before it whose packets have not all left. Its forwarder owns it
// and uses it as it would a Direction; commands come through orders.
type lane struct {
	*course
	older []*course          // the oldest first
	past  emulation.Counters // of the courses that hold nothing any more
	log   *dropLog           // of the drops

	refused uint64 // changes of the timeline that the model refused
	refusal error  // of the latest

	orders atomic.Pointer[order] // the one to be carried out; nil: none
}

// order is a command to a lane, to be carried out at an instant that all lanes of one
// command share.
type order struct {
	instant *atomic.Int64 // never, until it is decided
	patch   emulation.Patch
	arm     *course    // in place of a patch: the next course
	done    chan error // has room for the one answer
}

func (o *order) at() emulation.Time { return emulation.Time(o.instant.Load()) }

func newLane(c *course) *lane {
	l := &lane{log: &dropLog{}}
	l.take(c)
	return l
}

// take makes c the course in force.
func (l *lane) take(c *course) {
	l.course = c
	c.direction.ObserveDrops(func(d emulation.Drop) { l.log.add(d, c) })
}

// meets reports whether a frame that arrives at a time meets the lane as it is.
func (l *lane) meets(at emulation.Time) bool {
	return l.begun && at < l.due && l.orders.Load() == nil
}

// meet brings the lane to the arrival of a frame, which starts the clock if it is the
// first packet.
func (l *lane) meet(at emulation.Time, frame []byte) {
	if l.meets(at) {
		return
	}
	l.catchUp(at)
	if !l.known && l.start.byPacket && startsClock(frame) {
		l.start.set(at) // unless another wire was quicker
		l.catchUp(at)
	}
}

// catchUp carries out all that is due by a time, each at its own.
func (l *lane) catchUp(t emulation.Time) {
	if o := l.orders.Load(); o != nil {
		if at := o.at(); at <= t {
			l.playTo(at, l.refuse)
			err := l.carryOut(o, at)
			l.orders.Store(nil)
			o.done <- err
		}
	}
	l.playTo(t, l.refuse)
}

func (l *lane) carryOut(o *order, at emulation.Time) error {
	if o.arm == nil {
		return l.patch(at, o.patch)
	}
	l.older = append(l.older, l.course)
	l.take(o.arm)
	return nil
}

func (l *lane) refuse(err error) {
	l.refused++
	l.refusal = err
}

// play carries out what is due by a time, as far as all arrivals before it are known,
// which they are up to seen. It returns up to when packets may depart: not past a
// change that is to come.
func (l *lane) play(now, seen emulation.Time) emulation.Time {
	for _, c := range l.older { // nothing arrives there
		c.playTo(now, l.refuse)
	}
	if l.meets(now) {
		return now
	}
	l.catchUp(min(now, seen))
	if next := l.nextChange(); next <= now {
		return next - 1
	}
	return now
}

// nextChange returns when the next change comes that is known; never when none is.
func (l *lane) nextChange() emulation.Time {
	next := l.due
	if o := l.orders.Load(); o != nil {
		next = min(next, o.at())
	}
	for _, c := range l.older {
		next = min(next, c.due)
	}
	return next
}

// Enqueue is Direction.Enqueue of the course in force.
func (l *lane) Enqueue(at emulation.Time, p emulation.Packet) emulation.Verdict {
	return l.direction.Enqueue(at, p)
}

// NextDeparture is Direction.NextDeparture over all courses.
func (l *lane) NextDeparture() (emulation.Time, bool) {
	at, ok := l.direction.NextDeparture()
	for _, c := range l.older {
		if t, any := c.direction.NextDeparture(); any && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// Dequeue is Direction.Dequeue over all courses, in the order of their ideal times.
func (l *lane) Dequeue(now emulation.Time) (emulation.Packet, emulation.Time, bool) {
	if len(l.older) == 0 {
		return l.direction.Dequeue(now)
	}
	for {
		from := l.direction
		at, ok := from.NextDeparture()
		for _, c := range l.older {
			if t, any := c.direction.NextDeparture(); any && (!ok || t <= at) {
				at, ok, from = t, true, c.direction
			}
		}
		if !ok || at > now {
			return emulation.Packet{}, 0, false
		}
		// Up to that time and no later. There may be none with Reorder; the next answer is
		// later then.
		if p, ideal, ok := from.Dequeue(at); ok {
			return p, ideal, true
		}
	}
}

// Discarded is Direction.Discarded over all courses. It is asked after each Enqueue
// and Dequeue, and forgets the courses that hold nothing any more.
func (l *lane) Discarded() (emulation.Packet, bool) {
	if p, ok := l.direction.Discarded(); ok || len(l.older) == 0 {
		return p, ok
	}
	for _, c := range l.older {
		if p, ok := c.direction.Discarded(); ok {
			return p, true
		}
	}
	kept := l.older[:0]
	for _, c := range l.older {
		if n := c.direction.Counters(); n.HeldPackets > 0 {
			kept = append(kept, c)
		} else {
			l.past = l.past.Plus(n)
		}
	}
	clear(l.older[len(kept):])
	l.older = kept
	return emulation.Packet{}, false
}

// Counters is Direction.Counters over all courses.
func (l *lane) Counters() emulation.Counters {
	sum := l.past.Plus(l.direction.Counters())
	for _, c := range l.older {
		sum = sum.Plus(c.direction.Counters())
	}
	return sum
}
