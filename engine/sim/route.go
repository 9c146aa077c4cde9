package sim

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// How long a client waits before it opens a path again over a link whose last one
// could not be opened or was closed: from the first, twice as long each time, to the
// last.
const (
	firstReopen = time.Second
	lastReopen  = 30 * time.Second
)

// routeState is how far a client is with a link.
type routeState uint8

const (
	routeIdle    routeState = iota // no path yet, or no more
	routeWaiting                   // a path is to be opened at route.at
	routeBlocked                   // until the peer allows more paths
	routeOpening                   // a path is being validated
	routeOpen                      // there is a path
)

// route is a link that a client keeps a path over: the path manager's part.
type route struct {
	link  *labLink
	state routeState
	id    wire.PathID // of the path, when opening or open
	wait  time.Duration
	at    clock.Time
}

func newRoute(k *labLink) *route { return &route{link: k, wait: firstReopen} }

func (r *route) local() netip.AddrPort  { return netip.AddrPortFrom(r.link.Client, port) }
func (r *route) remote() netip.AddrPort { return netip.AddrPortFrom(r.link.Server, port) }

// handlePath does what a path manager has to do about an event.
func (c *Conn) handlePath(now clock.Time, e proto.Event) {
	switch e.Kind {
	case proto.PathClosed:
		if r := c.routeOf(e.Path); r != nil {
			r.backOff(now)
		}
	case proto.PathOpened:
		for _, r := range c.routes {
			if r.local() == e.Local && r.remote() == e.Remote {
				r.id, r.state = e.Path, routeOpening
			}
		}
	case proto.PathValidated:
		if r := c.routeOf(e.Path); r != nil {
			r.state, r.wait = routeOpen, firstReopen
		}
	case proto.HandshakeConfirmed:
		c.confirmed = true
		for _, r := range c.routes {
			if r.state == routeIdle {
				c.open(now, r)
			}
		}
	case proto.PathsAvailable:
		for _, r := range c.routes {
			if r.state == routeBlocked {
				c.open(now, r)
			}
		}
	case proto.Closed:
		c.routes = nil
	}
}

// routeOf returns the route that has the path, or nil.
func (c *Conn) routeOf(id wire.PathID) *route {
	for _, r := range c.routes {
		if (r.state == routeOpening || r.state == routeOpen) && r.id == id {
			return r
		}
	}
	return nil
}

// open begins a path over the link, unless that is down.
func (c *Conn) open(now clock.Time, r *route) {
	if r.link.down {
		r.state = routeIdle // until it is up again
		return
	}
	id, err := c.proto.OpenPath(now, r.local(), r.remote())
	switch {
	case err == nil:
		r.id, r.state = id, routeOpening
	case errors.Is(err, proto.ErrNoMultipath):
		c.routes = nil
	case errors.Is(err, proto.ErrPathsBlocked):
		r.state = routeBlocked
	default:
		r.backOff(now)
	}
}

// backOff plans the next try.
func (r *route) backOff(now clock.Time) {
	r.state, r.at = routeWaiting, now.Add(r.wait)
	r.wait = min(2*r.wait, lastReopen)
}

// nextReopen returns when reopen is due.
func (c *Conn) nextReopen() clock.Time {
	at := clock.Never
	for _, r := range c.routes {
		if r.state == routeWaiting {
			at = min(at, r.at)
		}
	}
	return at
}

// reopen opens the paths whose time has come.
func (c *Conn) reopen(now clock.Time) {
	for _, r := range c.routes {
		if r.state == routeWaiting && r.at <= now {
			c.open(now, r)
		}
	}
}

// carrier reacts to a link that has gone down or come up. A connection keeps its only
// path: it may come back.
func (c *Conn) carrier(now clock.Time, k *labLink) {
	for _, r := range c.routes {
		switch {
		case r.link != k:
		case !k.down && r.state != routeOpen && r.state != routeOpening && r.state != routeBlocked && c.confirmed:
			r.wait = firstReopen
			c.open(now, r)
		case k.down && (r.state == routeOpen || r.state == routeOpening):
			if c.proto.ClosePath(now, r.id, wire.PathUnstableOrPoor) == nil {
				r.state = routeIdle
			}
		case k.down && r.state == routeWaiting:
			r.state = routeIdle
		}
	}
}

// leave is carrier for a server, which opens no paths: it gives up those from addresses
// whose link has gone down, but for the last one.
func (c *Conn) leave(now clock.Time, addresses []netip.Addr) {
	for _, p := range c.proto.Stats().Paths {
		if slices.Contains(addresses, p.Local.Addr()) && p.State == proto.PathActive {
			// An error says that it is the last one.
			_ = c.proto.ClosePath(now, p.ID, wire.PathUnstableOrPoor)
		}
	}
}
