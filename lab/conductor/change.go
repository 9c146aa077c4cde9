package conductor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/netem"
	"github.com/tquiclab/tquiclab/lab/journal"
)

// Setting is a change by hand of one direction.
type Setting struct {
	Link  string          `json:"link"`
	Way   string          `json:"way"` // up or down
	Patch emulation.Patch `json:"patch"`
}

// InForce is what one direction's packets suffer at the moment.
type InForce struct {
	Link        string                `json:"link"`
	Way         string                `json:"way"`
	MTU         int                   `json:"mtu"` // of the link
	Impairments emulation.Impairments `json:"impairments"`
	// Omitted are fields that are too long to tell.
	Omitted emulation.Fields `json:"omitted,omitempty"`
}

// Status is what a conductor says about itself.
type Status struct {
	Lab     string   `json:"lab"`
	PID     int      `json:"pid"`
	Started *Started `json:"started,omitempty"` // nil while the clock stands
	// Next is when something happens, after the start; nil when nothing does any more,
	// or the clock stands.
	Next       *time.Duration `json:"next_ns,omitempty"`
	Played     uint64         `json:"played"`             // changes that were due
	LateMax    time.Duration  `json:"late_max_ns"`        // behind the timeline, until it had taken effect
	LateSum    time.Duration  `json:"late_sum_ns"`        // over all that were played
	LeftOut    uint64         `json:"left_out,omitempty"` // turns of operations for which it was too late
	Recorded   uint64         `json:"recorded"`
	Unrecorded uint64         `json:"unrecorded,omitempty"` // changes that the journal had no room for
	Failures   uint64         `json:"failures,omitempty"`
	Failure    string         `json:"failure,omitempty"`    // the latest
	DownLinks  []string       `json:"down_links,omitempty"` // without a carrier
	InForce    []InForce      `json:"in_force,omitempty"`   // where the conductor sets the impairments
}

// Status returns how the conductor is doing.
func (c *Conductor) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, func(context.Context) error {
		s = c.status
		s.Lab, s.PID = c.Spec.Lab, os.Getpid()
		if c.running {
			s.Started = &Started{At: c.epoch}
			if at, ok := c.score.Next(); ok {
				s.Next = &at
			}
		}
		for link := range c.down {
			s.DownLinks = append(s.DownLinks, link)
		}
		slices.Sort(s.DownLinks)
		s.InForce = c.inForce()
		return nil
	})
	return s, err
}

func (c *Conductor) inForce() []InForce {
	var all []InForce
	for _, d := range c.score.directions {
		all = append(all, InForce{Link: d.Link, Way: d.Way, MTU: d.mtu, Impairments: d.player.Impairments()})
	}
	return all
}

// Rest stops the clock and gives every link its carrier back. It returns those that
// had none.
func (c *Conductor) Rest(ctx context.Context) ([]string, error) {
	var links []string
	err := c.call(ctx, func(context.Context) error {
		c.rest()
		var errs []error
		for link := range c.down {
			links = append(links, link)
			errs = append(errs, c.setLink(link, CarrierOn))
		}
		slices.Sort(links)
		return errors.Join(errs...)
	})
	return links, err
}

// Arm puts everything back to what the file says and makes the clock wait for its
// start anew. Random numbers follow from the seed from then on.
func (c *Conductor) Arm(ctx context.Context, seed uint64) error {
	return c.call(ctx, func(loop context.Context) error {
		c.rest()
		c.seed, c.score = seed, NewScore(c.Spec)
		err := c.arm(ctx)
		if err == nil {
			c.record(journal.Entry{At: c.Now(), By: journal.Hand, Kind: journal.Arm, Seed: &seed})
		}
		c.await(loop)
		return err
	})
}

func (c *Conductor) arm(ctx context.Context) error {
	var errs []error
	for link := range c.down {
		errs = append(errs, c.setLink(link, CarrierOn))
	}
	for _, d := range c.score.directions {
		errs = append(errs, c.Stage.Impair(d.Link, d.Way, d.base, Seed(c.seed, d.Link, d.Way)))
	}
	return errors.Join(append(errs, c.Clock.Arm(ctx, c.seed))...)
}

// Start starts the clock. An error wraps ErrRunning when it runs.
func (c *Conductor) Start(ctx context.Context) error {
	return c.call(ctx, func(loop context.Context) error {
		if c.running {
			return ErrRunning
		}
		if c.stopAwait == nil {
			c.await(loop)
		}
		if err := c.Clock.Start(ctx); err != nil {
			return err
		}
		select {
		case s := <-c.starts:
			return c.begin(s)
		case <-ctx.Done():
			return fmt.Errorf("wait for the clock: %w", ctx.Err())
		}
	})
}

// Impair changes directions by hand: all of them, or none when one of the settings
// cannot be, or cannot be applied.
func (c *Conductor) Impair(ctx context.Context, settings []Setting) error {
	return c.call(ctx, func(context.Context) error {
		if _, err := Change(c.Stage, c.inForce(), settings, c.seed+uint64(c.Now())); err != nil {
			return err
		}
		for _, s := range settings {
			patch := s.Patch
			c.score.direction(way{s.Link, s.Way}).player.Patch(patch)
			c.record(journal.Entry{At: c.Now(), By: journal.Hand, Kind: journal.Set, Link: s.Link, Way: s.Way, Set: &patch})
		}
		return nil
	})
}

// SetLink gives a link its carrier or takes it, by hand.
func (c *Conductor) SetLink(ctx context.Context, link string, carrier Carrier) error {
	return c.call(ctx, func(context.Context) error {
		if err := c.setLink(link, carrier); err != nil {
			return err
		}
		c.record(CarrierEntry(link, carrier, c.Now()))
		return nil
	})
}

// CarrierEntry is how the journal has a carrier that was changed by hand.
func CarrierEntry(link string, carrier Carrier, at int64) journal.Entry {
	kind := journal.Up
	if carrier == CarrierOff {
		kind = journal.Down
	}
	return journal.Entry{At: at, By: journal.Hand, Kind: kind, Link: link}
}

// Rebind makes a NAT forget its mappings, by hand.
func (c *Conductor) Rebind(ctx context.Context, node string) error {
	return c.call(ctx, func(context.Context) error {
		if err := c.Stage.Rebind(node); err != nil {
			return err
		}
		c.record(journal.Entry{At: c.Now(), By: journal.Hand, Kind: journal.Rebind, Node: node})
		return nil
	})
}

// Change applies settings to what is in force, one direction after another, and
// returns what is in force then. Every setting is checked before the first is
// applied; when one cannot be applied, those before it are taken back.
func Change(stage Stage, current []InForce, settings []Setting, seed uint64) ([]InForce, error) {
	after := slices.Clone(current)
	touched := map[int]bool{}
	var errs []error
	for _, s := range settings {
		i := slices.IndexFunc(after, func(f InForce) bool { return f.Link == s.Link && f.Way == s.Way })
		if i < 0 {
			errs = append(errs, fmt.Errorf("link %s %s: there is no such direction", s.Link, s.Way))
			continue
		}
		after[i].Impairments = after[i].Impairments.With(s.Patch)
		touched[i] = true
	}
	for i := range after {
		if !touched[i] {
			continue
		}
		f := after[i]
		if err := netem.Check(f.Impairments, f.MTU); err != nil {
			errs = append(errs, fmt.Errorf("link %s %s: %w", f.Link, f.Way, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return current, err
	}
	return applyAll(stage, current, after, touched, seed)
}

func applyAll(stage Stage, before, after []InForce, touched map[int]bool, seed uint64) ([]InForce, error) {
	var applied []int
	for i, f := range after {
		if !touched[i] {
			continue
		}
		applied = append(applied, i)
		err := stage.Impair(f.Link, f.Way, f.Impairments, Seed(seed, f.Link, f.Way))
		if err == nil {
			continue
		}
		errs := []error{fmt.Errorf("link %s %s: %w", f.Link, f.Way, err)}
		for _, k := range applied {
			b := before[k]
			errs = append(errs, stage.Impair(b.Link, b.Way, b.Impairments, Seed(seed, b.Link, b.Way)))
		}
		return before, errors.Join(errs...)
	}
	return after, nil
}

// seedOf makes a number of a seed.
func seedOf(s emulation.Seed) uint64 { return binary.LittleEndian.Uint64(s[:]) }
