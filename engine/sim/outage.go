package sim

import (
	"fmt"
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

// planOutages has a link go down and up. Of two outages at one instant the later in
// the list is the later in effect.
func (l *Lab) planOutages(k Link) error {
	for _, o := range k.Outages {
		if err := o.validate(); err != nil {
			return fmt.Errorf("link %s: %w", k.Name, err)
		}
	}
	l.network.OnStart(func() {
		start := l.Elapsed()
		for _, o := range k.Outages {
			l.planOutage(start+o.At, o, k.Name)
		}
	})
	return nil
}

func (l *Lab) planOutage(at time.Duration, o Outage, name string) {
	l.At(at, func() {
		if k, err := l.link(name); err == nil {
			l.setDown(k, o.Down)
		}
		if o.Every == 0 || o.Times == 1 {
			return
		}
		if o.Times > 0 {
			o.Times--
		}
		l.planOutage(at+o.Every, o, name)
	})
}

// setDown takes a link's carrier away, or gives it back, at both ends, as a lab does. Both
// hosts act at once, as a path manager that listens to its kernel does: both give up the
// link's path, and the client opens it again.
func (l *Lab) setDown(k *labLink, down bool) {
	k.wire.SetDown(down)
	if k.down == down {
		return
	}
	k.down = down
	for _, c := range l.Client.conns {
		c.carrier(l.Client.now(), k)
		l.Client.touch(c)
	}
	for _, c := range l.Server.conns {
		c.leave(l.Server.now(), k)
		l.Server.touch(c)
	}
}
