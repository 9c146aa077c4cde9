package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Outage is when a link goes down, or comes up again.
type Outage struct {
	At    time.Duration // from the first packet on any link
	Every time.Duration // again and again after At; zero: once
	Times int           // how often in all, with Every; zero: without end
	Down  bool          // or up
}

func (o Outage) validate() error {
	switch {
	case o.At < 0 || o.At > emulation.MaxTimeline:
		return fmt.Errorf("outage at %v: want 0 to %v", o.At, emulation.MaxTimeline)
	case o.Every != 0 && (o.Every < emulation.MinEvery || o.Every > emulation.MaxTimeline):
		return fmt.Errorf("outage every %v: want %v to %v", o.Every, emulation.MinEvery, emulation.MaxTimeline)
	case o.Times < 0 || o.Times > 0 && o.Every == 0:
		return fmt.Errorf("outage %d times without a time between them", o.Times)
	}
	return nil
}

// planOutages has a link or a trunk go down and up, as set does it. Of two outages at
// one instant the later in the list is the later in effect.
func (l *Lab) planOutages(name string, outages []Outage, set func(down bool)) error {
	for _, o := range outages {
		if err := o.validate(); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	l.network.OnStart(func() {
		start := l.Elapsed()
		for _, o := range outages {
			l.planOutage(start+o.At, o, set)
		}
	})
	return nil
}

func (l *Lab) planOutage(at time.Duration, o Outage, set func(down bool)) {
	l.At(at, func() {
		set(o.Down)
		if o.Every == 0 || o.Times == 1 {
			return
		}
		if o.Times > 0 {
			o.Times--
		}
		l.planOutage(at+o.Every, o, set)
	})
}

// setDown takes the carrier away from one of the client's links, or gives it back, at both
// ends, as a lab does. The hosts act at once, as a path manager that listens to its kernel
// does: they give up the link's path, and the client opens it again. At a router nobody
// does.
func (l *Lab) setDown(name string, down bool) {
	k, err := l.link(name)
	if err != nil {
		return // it was planned before the link was made, and that failed
	}
	k.wire.SetDown(down)
	if k.down == down {
		return
	}
	k.down = down
	for _, c := range l.Client.conns {
		c.carrier(l.Client.now(), k)
		l.Client.touch(c)
	}
	if k.Router == "" && down {
		l.leave(k.Server)
	}
}

// setTrunkDown takes the carrier away from a trunk, or gives it back. The server hears of
// its end, a router acts on nothing.
func (l *Lab) setTrunkDown(t *labTrunk, down bool) {
	t.wire.SetDown(down)
	if t.down == down {
		return
	}
	t.down = down
	if down {
		l.leave(t.server...)
	}
}

// leave has the server give up what goes over its addresses.
func (l *Lab) leave(addresses ...netip.Addr) {
	for _, c := range l.Server.conns {
		c.leave(l.Server.now(), addresses)
		l.Server.touch(c)
	}
}
