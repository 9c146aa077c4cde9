package emulation

import (
	"math"
	"time"
)

// codel is the state of CoDel in the words of RFC 8289, section 5.
type codel struct {
	target, interval time.Duration
	above            bool // waiting is too long now
	firstAbove       Time // if above: when it will have been so for an interval
	dropNext         Time
	count, lastCount uint32
	dropping         bool
	largest          ByteCount // packet seen
}

// set takes the parameters; the state goes on.
func (c *codel) set(q Queue) {
	c.target, c.interval = q.Target, q.Interval
	if c.target == 0 {
		c.target = codelTarget
	}
	if c.interval == 0 {
		c.interval = codelInterval
	}
}

// controlLaw spaces drops by the interval over the square root of their count
// (RFC 8289, section 5.4).
func (c *codel) controlLaw(t Time) Time {
	return t.Add(time.Duration(float64(c.interval) / math.Sqrt(float64(c.count))))
}

// mayDrop reports whether a packet that leaves the queue at now, with backlog
// behind it, has stood in a queue that was too long for a whole interval
// (RFC 8289, section 5.6).
func (c *codel) mayDrop(now Time, waited time.Duration, backlog ByteCount) bool {
	if waited < c.target || backlog <= c.largest {
		c.above = false
		return false
	}
	if !c.above {
		c.above, c.firstAbove = true, now.Add(c.interval)
		return false
	}
	return now >= c.firstAbove
}

// enter starts to drop, at the rate that controlled the queue the last time when
// that is not long ago.
func (c *codel) enter(now Time) {
	c.dropping = true
	delta := c.count - c.lastCount
	c.count = 1
	if delta > 1 && now.Sub(c.dropNext) < 16*c.interval {
		c.count = delta
	}
	c.dropNext = c.controlLaw(now)
	c.lastCount = c.count
}

// takeControlled is take under CoDel (RFC 8289, section 5.5). It never takes the
// last packet away: one that may be dropped has others behind it.
func (d *Direction) takeControlled() (w waiting, start Time) {
	c := &d.codel
	w, start, ok := d.nextControlled()
	if c.dropping {
		c.dropping = ok
		for c.dropping && start >= c.dropNext {
			c.count++
			if d.markInstead(&w) {
				c.dropNext = c.controlLaw(c.dropNext)
				break
			}
			d.discard(start, &w, DropAQM)
			w, start, ok = d.nextControlled()
			if c.dropping = ok; ok {
				c.dropNext = c.controlLaw(c.dropNext)
			}
		}
		return w, start
	}
	if ok {
		at := start
		if !d.markInstead(&w) {
			d.discard(start, &w, DropAQM)
			w, start, _ = d.nextControlled()
		}
		c.enter(at)
	}
	return w, start
}

// nextControlled takes the packet at the head, with the start of its transmission
// and whether CoDel may drop it.
func (d *Direction) nextControlled() (w waiting, start Time, ok bool) {
	w = d.queue.pop()
	d.queueBytes -= w.Size
	start = d.starts(&w)
	d.codel.largest = max(d.codel.largest, w.Size)
	return w, start, d.codel.mayDrop(start, start.Sub(w.arrived), d.queueBytes)
}

// markInstead marks a packet that CoDel would drop, where that is asked for and
// the packet is capable of ECN.
func (d *Direction) markInstead(w *waiting) bool {
	return d.imp.Queue.ECN && d.mark(&w.Packet)
}
