package topologies

import (
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Event is one entry of a topology's timeline. Times count from the lab's start.
type Event struct {
	At    time.Duration `json:"at_ns"`
	Every time.Duration `json:"every_ns,omitempty"` // again and again after At; zero: once
	Times int           `json:"times,omitempty"`    // how often in all, with Every; zero: without end
	Kind  EventKind     `json:"kind"`

	Link string `json:"link,omitempty"` // of all kinds but EventRebind
	Way  string `json:"way,omitempty"`  // up or down; empty: both ways
	Node string `json:"node,omitempty"` // EventRebind: a NAT

	Set  emulation.Patch `json:"set,omitzero"`      // EventSet
	Ramp time.Duration   `json:"ramp_ns,omitempty"` // EventSet: spread over this time
	// For ends EventDown and EventBlackhole after a time; zero: they stay.
	For time.Duration `json:"for_ns,omitempty"`
}

// EventKind says what happens.
type EventKind string

// The kinds.
const (
	EventSet       EventKind = "set"       // impairments change
	EventBlackhole EventKind = "blackhole" // packets vanish, the interfaces stay up
	EventThrough   EventKind = "through"   // a black hole ends
	EventDown      EventKind = "down"      // both ends lose the carrier
	EventUp        EventKind = "up"        // they have it again
	EventRebind    EventKind = "rebind"    // a NAT forgets its mappings, new ones get other ports
)

// Timeline returns what the events do to the packets of one direction of a link,
// "up" or "down".
func (t Topology) Timeline(link, way string) emulation.Timeline {
	var changes emulation.Timeline
	for _, e := range t.Events {
		if e.Link != link || e.Way != "" && e.Way != way {
			continue
		}
		change := emulation.Change{At: e.At, Every: e.Every, Times: e.Times}
		switch e.Kind {
		case EventSet:
			change.Patch, change.Ramp = e.Set, e.Ramp
			changes = append(changes, change)
		case EventBlackhole, EventThrough:
			change.Patch = blackhole(e.Kind == EventBlackhole)
			changes = append(changes, change)
			if e.For > 0 {
				change.At, change.Patch = e.At+e.For, blackhole(false)
				changes = append(changes, change)
			}
		}
	}
	return changes
}

func blackhole(on bool) emulation.Patch {
	return emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: on}}
}

// Operation is what the events do to an interface or a NAT.
type Operation struct {
	At    time.Duration
	Every time.Duration // zero: once
	Times int           // zero: without end
	Kind  EventKind     // EventDown, EventUp or EventRebind
	Link  string        // of EventDown and EventUp
	Node  string        // of EventRebind
}

// Operations returns what the events do beside changing impairments, in the file's
// order.
func (t Topology) Operations() []Operation {
	var ops []Operation
	for _, e := range t.Events {
		op := Operation{At: e.At, Every: e.Every, Times: e.Times, Kind: e.Kind, Link: e.Link, Node: e.Node}
		switch e.Kind {
		case EventDown:
			ops = append(ops, op)
			if e.For > 0 {
				op.At, op.Kind = e.At+e.For, EventUp
				ops = append(ops, op)
			}
		case EventUp, EventRebind:
			ops = append(ops, op)
		}
	}
	return ops
}
