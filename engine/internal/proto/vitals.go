package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
)

// vitals is what is known of whether a path is alive. A path that owes acknowledgements
// for longer than they take is suspect: what is under way on it is sent again on
// another one, and nothing new is put on it. When probe timeouts bring nothing either it is
// dead: it is asked at intervals, and starts anew once it answers.
type vitals struct {
	heard   clock.Time // when a packet of the path was last acknowledged
	suspect bool
	ask     clock.Time // a dead path, or one to keep warm: when to send a PING
	ping    bool       // it is to be sent
	late    lateness
}

const (
	// leastSlack is what a late acknowledgement is granted beyond the round trip, at least.
	leastSlack = 10 * time.Millisecond
	// deadTimeouts is how many probe timeouts in a row end the hope.
	deadTimeouts = 2
	// askEvery is how often a dead path is asked.
	askEvery = 250 * time.Millisecond
	// resetAfter is how long a path must have been silent to begin congestion control anew.
	resetAfter = time.Second
)

// bonded reports whether there is another path to turn to.
func (c *Conn) bonded(p *path) bool {
	for _, o := range c.open {
		if o != p && o.state == PathActive && !o.vitals.suspect {
			return true
		}
	}
	return false
}

// suspectDeadline returns when something is due about whether p is alive.
func (c *Conn) suspectDeadline(p *path) clock.Time {
	if !c.multi.on || p.state == PathValidating {
		return clock.Never
	}
	v := &p.vitals
	if v.ping {
		return clock.Never
	}
	t := v.ask.OrNever()
	if v.suspect || p.state != PathActive || !c.bonded(p) {
		return t
	}
	oldest, ok := p.det.OldestEliciting(recovery.SpaceApplication)
	if !ok {
		return t
	}
	return min(t, max(oldest.Add(p.det.RTT().Smoothed), v.heard).Add(c.slack(p)))
}

// suspectTimeout finds out whether p is late, and asks it if it is dead.
func (c *Conn) suspectTimeout(now clock.Time, p *path) {
	if now < c.suspectDeadline(p) {
		return
	}
	v := &p.vitals
	if now >= v.ask.OrNever() {
		v.ping, v.ask = true, now.Add(askEvery)
		if p.state != PathDead {
			v.ask = 0
			c.keepWarm(now, p)
		}
	}
	if !v.suspect && p.state == PathActive && c.bonded(p) {
		v.suspect = true
		c.tracePathState(now, p, tracedSuspect)
		c.reinject(now, p, c.reinjectRoom())
	}
}

// asked notes that something left which the path should answer. It may have had to wait.
func (v *vitals) asked(now clock.Time) {
	if v.ping && v.ask != 0 {
		v.ask = max(v.ask, now.Add(askEvery))
	}
	v.ping = false
}

// probed follows a probe timeout of p.
func (c *Conn) probed(now clock.Time, p *path) {
	if !c.multi.on || p.state != PathActive || !c.bonded(p) {
		return
	}
	v := &p.vitals
	if !v.suspect {
		v.suspect = true
		c.tracePathState(now, p, tracedSuspect)
	}
	c.reinjectAll(now, p)
	if p.det.PTOCount() < deadTimeouts {
		return
	}
	p.state = PathDead
	c.tracePathState(now, p, PathDead.String())
	p.failures++
	v.ask = now.Add(askEvery)
	// Nothing of what is under way is waited for: it was all sent again.
	c.outcome.Reset()
	p.det.Discard(recovery.SpaceApplication, &c.outcome)
	p.trim(recovery.SpaceApplication)
	p.copies = copyQueue{}
	c.emit(Event{Kind: PathFailed, Path: p.id, Local: p.local, Remote: p.tuple.remote})
}

// heard notes that packets of p were acknowledged; due is when that should have been.
func (c *Conn) heard(now clock.Time, p *path, due clock.Time) {
	if !c.multi.on || len(c.outcome.Acked) == 0 {
		return
	}
	v := &p.vitals
	silent := now.Sub(v.heard)
	if due != clock.Never && p.state == PathActive {
		v.late.observe(now, min(now.Sub(due), c.mostSlack(p)))
	}
	if (v.suspect && p.state == PathActive) || p.state == PathDead {
		c.tracePathState(now, p, PathActive.String())
	}
	v.heard, v.suspect = now, false
	if p.state == PathDead {
		p.state = PathActive
		v.ask = 0
		if silent > resetAfter {
			// What the path could carry says little of what it can after such a time.
			c.removeController(p)
			p.det.Restart(now, c.newController(now, p))
		}
		c.emit(Event{Kind: PathRecovered, Path: p.id, Local: p.local, Remote: p.tuple.remote})
	}
	c.keepWarm(now, p)
}

// keepWarm sets when a path that is quiet is to be asked, if that is wanted.
func (c *Conn) keepWarm(now clock.Time, p *path) {
	if c.cfg.KeepWarm > 0 && p.state == PathActive {
		p.vitals.ask = now.Add(c.cfg.KeepWarm)
	}
}
