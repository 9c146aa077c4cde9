package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/sched"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// What a path is, as traced: the words of PathState, and these.
const (
	tracedSuspect = "suspect" // active, but late with its acknowledgements
	tracedClosed  = "closed"  // forgotten
)

// Why data is sent again, as traced.
const (
	reinjectedSilent = "path_silent" // its path is late, or dead
	reinjectedClosed = "path_closed" // its path was abandoned
	reinjectedTail   = "tail"        // a faster path brings it earlier
)

func (c *Conn) tracePathState(now clock.Time, p *path, state string) {
	if e := c.eventOf(now, p, TracePathState); e != nil {
		e.Trigger, e.Local, e.Remote = state, p.local, p.tuple.remote
		c.tracer.Trace(e)
	}
}

// tracePathClosing traces that a path is abandoned, and why.
func (c *Conn) tracePathClosing(now clock.Time, p *path) {
	if e := c.eventOf(now, p, TracePathState); e != nil {
		e.Trigger, e.Err = PathClosing.String(), &wire.TransportError{Code: p.abandonment.code}
		c.tracer.Trace(e)
	}
}

// decision is what was last traced of the scheduler. The zero value is nothing yet.
type decision struct {
	known, wait bool
	path        wire.PathID
}

// traceScheduled traces what the scheduler decided, the index of a view or sched.Wait, when
// that is not what it decided before. To wait while no path has room is no decision.
func (c *Conn) traceScheduled(now clock.Time, need sched.Need, i int) {
	if c.tracer == nil {
		return
	}
	sc := &c.multi.scheduling
	d, s := decision{known: true, wait: i < 0}, Scheduling{Wait: i < 0, Ready: need.Ready, Trains: sc.trains}
	if i >= 0 {
		d.path, s.Room, s.SRTT = sc.of[i].id, sc.views[i].Room, sc.views[i].SRTT
	} else {
		for j := range sc.views {
			s.Room += sc.views[j].Room
		}
	}
	if d == sc.traced || s.Room == 0 {
		return
	}
	sc.traced, sc.trains = d, 0
	e := c.event(now, TraceScheduled)
	e.Path, e.Scheduling, e.Trigger = d.path, s, c.cfg.Scheduler
	c.tracer.Trace(e)
}

// traceReinjected traces that data of p is to be sent again, on to if that is decided.
func (c *Conn) traceReinjected(now clock.Time, p, to *path, r Reinjection) {
	if c.tracer == nil || r.Frames == 0 {
		return
	}
	e := c.eventOf(now, p, TraceReinjected)
	e.Reinjection, e.Trigger = r, reinjectedSilent
	switch {
	case to != nil:
		e.Reinjection.To, e.Trigger = to.id, reinjectedTail
	case p.state == PathClosing:
		e.Trigger = reinjectedClosed
	}
	e.Reinjection.Anywhere = to == nil
	c.tracer.Trace(e)
}
