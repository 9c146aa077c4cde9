package pathman

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
)

// Events is where a connection tells what becomes of its paths.
type Events interface {
	// PathsChanged receives when TakePathEvents has something.
	PathsChanged() <-chan struct{}
	TakePathEvents() (events []proto.Event, missed bool)
	// Done is closed with the connection.
	Done() <-chan struct{}
}

// Run feeds the Manager until the connection is over. watch, which may be nil, is the
// caller's.
func (m *Manager) Run(from Events, watch *Subscription) {
	base := time.Now()
	now := func() clock.Time { return clock.Time(time.Second + time.Since(base)) }
	var moved <-chan struct{}
	if watch != nil {
		moved = watch.Changed()
		m.SetAddresses(now(), watch.Addresses())
	} else {
		m.Reconcile(now())
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var due <-chan time.Time
		if next := m.NextTimeout(); next != clock.Never {
			timer.Reset(next.Sub(now()))
			due = timer.C
		}
		select {
		case <-from.Done():
			return
		case <-moved:
			m.SetAddresses(now(), watch.Addresses())
		case <-from.PathsChanged():
			events, missed := from.TakePathEvents()
			for _, ev := range events {
				m.HandleEvent(now(), ev)
			}
			if missed {
				m.blocked = false // what was missed may be that
				m.Reconcile(now())
			}
		case <-due:
			m.Reconcile(now())
		}
	}
}
