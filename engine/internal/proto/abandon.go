package proto

import (
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// frameState is where a frame is on its way that is said once.
type frameState uint8

const (
	frameNone frameState = iota
	frameQueued
	frameSent
	frameKnown // acknowledged
)

// abandonment is the end of a path (draft-ietf-quic-multipath-21, section 3.4).
type abandonment struct {
	frame frameState
	code  wire.ErrorCode
	until clock.Time // what is under way may arrive up to then
	// answered: the peer said so, too.
	answered bool
}

// lingerPTOs is how long a path is remembered that is abandoned (section 3.4).
const lingerPTOs = 3

// maxGone is how many paths that are over keep their statistics.
const maxGone = 64

// abandon gives a path up: nothing leaves on it any more, what it owes is sent again on
// another one, and the peer is told. draft-ietf-quic-multipath-21, section 3.4: it MUST be,
// whatever the reason; section 3.4.3: packets that are not acknowledged MUST be considered
// lost when the path's state goes, which is done at once.
func (c *Conn) abandon(now clock.Time, p *path, code wire.ErrorCode) {
	if p.state == PathClosing {
		return
	}
	opened := p.state != PathUnused
	if p.state == PathValidating {
		c.traceMigration(now, p, "probing_abandoned")
	}
	p.abandonment = abandonment{frame: frameQueued, code: code, until: now.Add(lingerPTOs * max(c.pto(), recovery.DefaultInitialRTT))}
	p.state = PathClosing
	p.peer.end()
	p.challenge.abandon()
	p.leaving.abandon()
	p.owed = owedResponses{}
	p.copies = copyQueue{}
	c.open = without(c.open, p)
	if opened && len(c.open) == 0 {
		c.multi.rescue.last = p
	}
	c.lingering = append(c.lingering, p)
	if opened {
		c.tracePathClosing(now, p)
		c.reinjectAll(now, p)
		c.datagramsFollowMTU()
		c.emit(Event{Kind: PathClosed, Path: p.id, Local: p.local, Remote: p.tuple.remote, Err: &wire.TransportError{Code: code}})
	}
}

func without(paths []*path, p *path) []*path {
	if i := slices.Index(paths, p); i >= 0 {
		return slices.Delete(paths, i, i+1)
	}
	return paths
}

// lingerTimeout forgets the paths whose time is over and whose end the peer knows of.
func (c *Conn) lingerTimeout(now clock.Time) {
	for i := 0; i < len(c.lingering); i++ {
		if p := c.lingering[i]; now >= p.abandonment.until && p.abandonment.frame == frameKnown {
			if p.det != nil {
				c.tracePathState(now, p, tracedClosed)
			}
			c.forget(p)
			i--
		}
	}
}

// lingerDeadline returns when lingerTimeout has something to do.
func (p *path) lingerDeadline() clock.Time {
	if p.abandonment.frame != frameKnown {
		return clock.Never
	}
	return p.abandonment.until
}

// ackDeadline returns when an acknowledgement of the path is due, on another one.
func (p *path) ackDeadline() clock.Time {
	if p.det == nil {
		return clock.Never
	}
	return p.spaces[recovery.SpaceApplication].acks.deadline()
}

// forget ends what is known of an abandoned path, and lets the peer use another ID
// instead.
func (c *Conn) forget(p *path) {
	for _, id := range p.issued.all() {
		c.emit(Event{Kind: RetiredID, ID: id})
	}
	if p.det != nil {
		s := p.stats()
		c.stats.gone = append(c.stats.gone, s)
		if n := len(c.stats.gone); n > maxGone {
			c.stats.gone = slices.Delete(c.stats.gone, 0, n-maxGone)
		}
		c.removeController(p)
		p.spaces[recovery.SpaceApplication].log.forget(p.spaces[recovery.SpaceApplication].log.next)
	}
	c.lingering = without(c.lingering, p)
	c.paths = without(c.paths, p)
	if c.multi.localMax < wire.MaxPathIDValue {
		c.multi.localMax++
		c.multi.maxQueued = true
	}
	c.provide()
}
