package conductor

import (
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/topologies"
)

// play does all that is due.
func (c *Conductor) play() {
	if !c.running {
		return
	}
	for _, a := range c.score.Take(time.Duration(c.Now() - c.epoch)) {
		var err error
		if a.Operation != nil {
			err = c.operate(a)
		} else {
			err = c.change(a)
		}
		if err != nil {
			c.fail("play the timeline", err)
		}
		late := time.Duration(c.Now()-c.epoch) - a.At
		c.status.Played++
		c.status.LateMax = max(c.status.LateMax, late)
		c.status.LateSum += late
	}
}

// operate carries out an operation.
func (c *Conductor) operate(a Action) error {
	op := *a.Operation
	e := journal.Entry{By: journal.Timeline, Link: op.Link, Node: op.Node}
	if a.LeftOut > 0 {
		c.status.LeftOut += uint64(a.LeftOut)
		left := e
		left.Kind = journal.Kind(op.Kind)
		c.recordPlayed(left, a.At, fmt.Errorf("%d turns were left out: the conductor cannot keep up", a.LeftOut))
	}
	var err error
	switch op.Kind {
	case topologies.EventDown:
		e.Kind, err = journal.Down, c.setLink(op.Link, CarrierOff)
	case topologies.EventUp:
		e.Kind, err = journal.Up, c.setLink(op.Link, CarrierOn)
	case topologies.EventRebind:
		e.Kind, err = journal.Rebind, c.Stage.Rebind(op.Node)
	default:
		return fmt.Errorf("unknown operation %q", op.Kind)
	}
	c.recordPlayed(e, a.At, err)
	return err
}

// setLink remembers which links to set up again. One that could not be set down may
// be half down.
func (c *Conductor) setLink(link string, carrier Carrier) error {
	err := c.Stage.SetLink(link, carrier)
	if carrier == CarrierOff {
		c.down[link] = true
	} else if err == nil {
		delete(c.down, link)
	}
	return err
}

// change gives a direction its new impairments.
func (c *Conductor) change(a Action) error {
	d := a.Direction
	err := c.Stage.Impair(d.Link, d.Way, d.Impairments, changeSeed(c.seed, way{d.Link, d.Way}, a.At))
	for _, taken := range d.Changes {
		patch := taken.Patch
		c.recordPlayed(journal.Entry{
			By: journal.Timeline, Kind: journal.Set, Link: d.Link, Way: d.Way, Set: &patch, Ramp: taken.Ramp,
		}, taken.At, err)
	}
	return err
}

// recordPlayed records a change that was due at an instant after the start.
func (c *Conductor) recordPlayed(e journal.Entry, due time.Duration, err error) {
	e.At = c.Now()
	e.Late = time.Duration(e.At-c.epoch) - due
	if err != nil {
		e.Error = err.Error()
	}
	c.record(e)
}

// Seed gives each direction of each link a seed of its own, as the model's.
func Seed(seed uint64, link, direction string) uint64 {
	return seedOf(emulation.NewSeed(seed, link, direction))
}

// changeSeed returns the seed of a change at an instant. The kernel begins its random
// numbers anew with each change: the same seed again would give the same few numbers
// again and again.
func changeSeed(seed uint64, w way, at time.Duration) uint64 {
	return seedOf(emulation.NewSeed(seed, w.Link, fmt.Sprintf("%s at %d", w.Way, at)))
}
