package proto

import (
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// rescue is how a connection goes on that has lost its last path: the peer abandoned it, most
// likely at the time when this side abandoned the other one, or no answer came on it.
//
// draft-ietf-quic-multipath-21, section 3.4: such a connection SHOULD be closed, but a client
// may try a new path instead and close only when that fails, and a server may wait for a
// client that does, for a short time.
type rescue struct {
	last *path // the last path that was open, to say the end on; nil: one is open
	// next is when a client tries other addresses, too, and when a server gives up; 0: not
	// at all.
	next clock.Time
	// tried are the addresses that were tried, until a path is validated.
	tried []tuple
	// heard is how many packets had come on a client's only path at its last probe timeout.
	heard uint64
}

// lose abandons p, be it the last path, and has the connection go on as long as a new path
// can be opened. Without that it ends with NO_VIABLE_PATH, for the reason why.
func (c *Conn) lose(now clock.Time, p *path, code wire.ErrorCode, why string) error {
	r := &c.multi.rescue
	failed := p.state == PathValidating
	c.abandon(now, p, code)
	if c.othersThan(p) {
		return nil
	}
	if failed && !slices.Contains(r.tried, p.tuple) {
		r.tried = append(r.tried, p.tuple)
	}
	if len(c.open) > 0 {
		if c.side == wire.Client && p.det != nil && r.next == 0 {
			r.next = now.Add(p.pto()) // those that are being validated come first
		}
		return nil
	}
	switch {
	case c.side == wire.Client && c.tryNext(now):
		return nil
	case c.side == wire.Server && c.unusedPath() != nil:
		if r.next == 0 {
			// As long as the client is at its first addresses.
			r.next = now.Add(challengePTOs * max(c.pto(), 3*recovery.DefaultInitialRTT))
		}
		return nil
	}
	return wire.Errorf(wire.NoViablePath, "%s", why)
}

// othersThan reports whether a path but p is open that was validated.
func (c *Conn) othersThan(p *path) bool {
	return slices.ContainsFunc(c.open, func(o *path) bool { return o != p && o.state != PathValidating })
}

// unusedPath returns the lowest path that may be opened, which both sides have given
// connection IDs for; nil when there is none.
func (c *Conn) unusedPath() *path {
	for _, p := range c.paths {
		if p.state == PathUnused && p.id <= min(c.multi.localMax, c.multi.peerMax) && len(p.issued.ids) > 0 && len(p.peer.spare) > 0 {
			return p
		}
	}
	return nil
}

// tryNext has a client open a path between the next addresses that it knows of; false: there
// is none, or no ID.
func (c *Conn) tryNext(now clock.Time) bool {
	r := &c.multi.rescue
	r.next = 0
	at, ok := c.knownAddresses()
	if !ok {
		return false
	}
	p := c.try(now, at)
	if p == nil {
		return false
	}
	r.next = now.Add(c.challengePeriod(p))
	return true
}

// try has a client open a path by itself; nil: there is no ID.
func (c *Conn) try(now clock.Time, at tuple) *path {
	p := c.unusedPath()
	if p == nil {
		return nil
	}
	p.peer.begin()
	c.multi.rescue.tried = append(c.multi.rescue.tried, at)
	c.start(now, p, at)
	c.emit(Event{Kind: PathOpened, Path: p.id, Local: at.local, Remote: at.remote})
	return p
}

// doubtLast follows a probe timeout of p. If it is a client's only path, while the server has
// not answered that another one is abandoned, then that may be because the server has
// abandoned this one, and its word of that was lost. A new path between the same addresses
// brings it here again.
func (c *Conn) doubtLast(now clock.Time, p *path) {
	r := &c.multi.rescue
	if c.side == wire.Server || p.state != PathActive || c.othersThan(p) {
		return
	}
	quiet := p.receivedPackets == r.heard
	r.heard = p.receivedPackets
	if p.det.PTOCount() < deadTimeouts || !quiet {
		return
	}
	unanswered := slices.ContainsFunc(c.lingering, func(o *path) bool {
		return !o.abandonment.answered && o.det != nil && o.det.RTT().HasSample
	})
	if unanswered && !slices.Contains(r.tried, p.tuple) && c.mayOpen(p.tuple) == nil {
		c.try(now, p.tuple)
	}
}

// knownAddresses returns where a client may reach the server, as far as it was not tried:
// those of the path that was abandoned last come first, then those that were called poor.
func (c *Conn) knownAddresses() (tuple, bool) {
	for _, poor := range []bool{false, true} {
		for _, p := range slices.Backward(c.lingering) {
			if p.det != nil && poor == (p.abandonment.code == wire.PathUnstableOrPoor) &&
				!slices.Contains(c.multi.rescue.tried, p.tuple) && c.mayOpen(p.tuple) == nil {
				return p.tuple, true
			}
		}
	}
	return tuple{}, false
}

// rescueTimeout does what is due while no path is validated.
func (c *Conn) rescueTimeout(now clock.Time) {
	if now < c.multi.rescue.next.OrNever() {
		return
	}
	if c.side == wire.Client {
		c.tryNext(now)
		return
	}
	c.fail(now, wire.Errorf(wire.NoViablePath, "the client abandoned the only path and opened no other"))
}
