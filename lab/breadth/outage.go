package breadth

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/topologies"
)

// Outage is an event of a topology from which on a link is of no use, for a time.
type Outage struct {
	Link string
	// Kind is topologies.EventBlackhole, of which nobody is told, or EventDown: both hosts
	// lose the carrier.
	Kind    topologies.EventKind
	At, For time.Duration
	// GapGoal is how long a stream may stand still for it.
	GapGoal time.Duration
}

// The goals of failover: a stream stands still for less than goalBlack or goalRoundTrips
// of the black link's round trips, whichever is longer, and for less than goalDown where
// the hosts are told; a link that is back carries data again within goalReturn.
const (
	goalBlack      = 100 * time.Millisecond
	goalRoundTrips = 2
	goalDown       = 50 * time.Millisecond
	goalReturn     = time.Second
)

// outageWindow is for how long after an outage began a gap is one that it made.
const outageWindow = time.Second

// String says what happens and when: "wifi black at 5 s".
func (o Outage) String() string {
	what := string(o.Kind)
	if o.Kind == topologies.EventBlackhole {
		what = "black"
	}
	return fmt.Sprintf("%s %s at %.4g s", o.Link, what, o.At.Seconds())
}

// outages returns those of a topology in order of time.
func outages(t topologies.Topology) ([]Outage, error) {
	var all []Outage
	var errs []error
	for _, e := range t.Events {
		if e.Kind != topologies.EventBlackhole && e.Kind != topologies.EventDown {
			continue
		}
		o := Outage{Link: e.Link, Kind: e.Kind, At: e.At, For: e.For, GapGoal: goalDown}
		if e.Every != 0 || e.For == 0 || e.Way != "" {
			errs = append(errs, fmt.Errorf("%v: it is read only when it happens once, both ways, and for a time", o))
			continue
		}
		if o.Kind == topologies.EventBlackhole {
			o.GapGoal = max(goalBlack, goalRoundTrips*roundTrip(t, e.Link))
		}
		all = append(all, o)
	}
	if len(all)+len(errs) == 0 {
		errs = append(errs, errors.New("no link goes black or down in it"))
	}
	slices.SortStableFunc(all, func(a, b Outage) int { return cmp.Compare(a.At, b.At) })
	return all, errors.Join(errs...)
}

// roundTrip is what a link's delays come to, with no queue.
func roundTrip(t topologies.Topology, link string) time.Duration {
	for _, l := range t.Links {
		if l.Name == link {
			return l.Up.Delay + l.Down.Delay
		}
	}
	return 0
}
