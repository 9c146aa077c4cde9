package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
)

// lateness is by how much a path's acknowledgements come later than they are due, over the
// last one or two spans. On a path that is in use they follow each other closely: silence
// says more there than the deviation of round trips, which counts how the path's queue
// comes and goes.
type lateness struct {
	since clock.Time // the newer span began
	spans [2]lateSpan
}

type lateSpan struct {
	worst time.Duration
	n     int // acknowledgements
}

const (
	lateFor = 5 * time.Second
	// lateEnough is how many acknowledgements make a judgement.
	lateEnough = 64
)

// observe takes an acknowledgement that came d after it was due; before: d is negative.
func (l *lateness) observe(now clock.Time, d time.Duration) {
	if age := now.Sub(l.since); age > lateFor {
		l.spans[1] = l.spans[0]
		if age > 2*lateFor {
			l.spans[1] = lateSpan{}
		}
		l.since, l.spans[0] = now, lateSpan{}
	}
	l.spans[0].worst = max(l.spans[0].worst, d)
	l.spans[0].n++
}

// worst returns how late the latest was, if there were enough.
func (l *lateness) worst() (d time.Duration, ok bool) {
	return max(l.spans[0].worst, l.spans[1].worst), l.spans[0].n+l.spans[1].n >= lateEnough
}

// slack returns how late an acknowledgement on p may be before p is suspect: half as much
// again as any was of late.
func (c *Conn) slack(p *path) time.Duration {
	most := c.mostSlack(p)
	if worst, ok := p.vitals.late.worst(); ok {
		return min(most, worst+worst/2+leastSlack)
	}
	return most
}

// mostSlack is slack on a path that little is known of: what a probe timeout adds to the
// round trip (RFC 9002, section 6.2.1).
func (c *Conn) mostSlack(p *path) time.Duration {
	return max(4*p.det.RTT().Var, leastSlack) + c.peerAckDelay()
}

// ackDue returns when p's next acknowledgement is due, clock.Never if nothing is under way.
func (c *Conn) ackDue(p *path) clock.Time {
	oldest, ok := p.det.OldestEliciting(recovery.SpaceApplication)
	if !ok || !c.multi.on {
		return clock.Never
	}
	return max(oldest.Add(p.det.RTT().Latest), p.vitals.heard)
}
