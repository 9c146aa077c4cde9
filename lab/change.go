package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/conductor"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/netns"
	"github.com/tquiclab/tquiclab/topologies"
)

var (
	// ErrClockRuns is wrapped when the clock of a lab is to start that runs.
	ErrClockRuns = conductor.ErrRunning
	// ErrNoClock is wrapped when there is nothing in a lab that goes by a clock.
	ErrNoClock = errors.New("nothing in this lab changes with time")
)

// Setting is a change of a link's impairments by hand.
type Setting struct {
	Link  string
	Way   string // up or down; empty: both
	Patch emulation.Patch
}

// Carrier says whether a link carries at all.
type Carrier = conductor.Carrier

// The carriers.
const (
	CarrierOn  = conductor.CarrierOn
	CarrierOff = conductor.CarrierOff
)

// Arm puts the lab back to what its file says: every link has its carrier and its
// impairments, and the clock of its timeline waits for its start again. Random
// numbers follow from the seed from then on. A clock that starts by itself waits for
// the first packet.
func (l *Lab) Arm(ctx context.Context, seed uint64) error {
	b, err := l.changer()
	if err != nil {
		return err
	}
	c, err := l.dialConductor()
	if err != nil {
		return err
	}
	if c == nil {
		if err := l.reconnect(ctx); err != nil {
			return err
		}
		if err := b.arm(ctx, l, seed); err != nil {
			return fmt.Errorf("arm the clock: %w", err)
		}
		return l.note(ctx, journal.Entry{Kind: journal.Arm, Seed: &seed})
	}
	defer c.Close()
	down, err := c.Rest(ctx)
	if err != nil {
		return fmt.Errorf("arm the clock: %w", err)
	}
	if err := l.awaitLinks(ctx, down); err != nil {
		return fmt.Errorf("arm the clock: %w", err)
	}
	if err := c.Arm(ctx, seed); err != nil {
		return fmt.Errorf("arm the clock: %w", err)
	}
	return nil
}

// StartClock starts the clock of the lab's timeline now. An error wraps ErrClockRuns
// when it runs, or ErrNoClock.
func (l *Lab) StartClock(ctx context.Context) error {
	b, err := l.changer()
	if err != nil {
		return err
	}
	c, err := l.dialConductor()
	if err != nil {
		return err
	}
	if c == nil {
		err = b.start(ctx, l)
	} else {
		defer c.Close()
		err = c.Start(ctx)
	}
	if err != nil {
		return fmt.Errorf("start the clock of lab %s: %w", l.Name(), err)
	}
	return nil
}

// Impair changes impairments while the lab runs: all of the settings, or none. They
// stay until the timeline sets the same field, or Arm.
func (l *Lab) Impair(ctx context.Context, settings []Setting) error {
	b, err := l.changer()
	if err != nil {
		return err
	}
	for _, s := range settings {
		if err := l.checkSetting(s); err != nil {
			return err
		}
	}
	return b.impair(ctx, l, settings)
}

func (l *Lab) checkSetting(s Setting) error {
	if _, err := l.wiredLink(s.Link); err != nil {
		return err
	}
	if s.Way != "" && s.Way != "up" && s.Way != "down" {
		return fmt.Errorf("link %s has no way %q: say up or down", s.Link, s.Way)
	}
	if s.Patch.IsZero() {
		return fmt.Errorf("link %s: nothing to change", s.Link)
	}
	return nil
}

// wiredLink returns a link whose wire can be changed.
func (l *Lab) wiredLink(name string) (topologies.Link, error) {
	var names []string
	for _, t := range l.state.Topology.Links {
		if t.Name == name && t.Impaired() {
			return t, nil
		}
		if t.Name == name {
			return t, fmt.Errorf("link %s of lab %s has no impairments and no events, hence no wire that could change", name, l.Name())
		}
		names = append(names, t.Name)
	}
	return topologies.Link{}, fmt.Errorf("lab %s has no link %q: it has %v", l.Name(), name, names)
}

// InForce is what one direction's packets suffer at the moment.
type InForce = conductor.InForce

// InForce returns what is in force in every direction that has a wire, in topology
// order, up before down.
func (l *Lab) InForce(ctx context.Context) ([]InForce, error) {
	b, err := l.changer()
	if err != nil {
		return nil, err
	}
	return b.inForce(ctx, l)
}

// Reverting returns the settings that bring back, of what was in force before, all
// that the given settings change: also what they put out of force, as a rate does a
// trace.
func Reverting(before []InForce, settings []Setting) ([]Setting, error) {
	var back []Setting
	for _, f := range before {
		var fields emulation.Fields
		for _, s := range bothWays(settings) {
			if s.Link == f.Link && s.Way == f.Way {
				fields |= s.Patch.Fields
			}
		}
		if fields == 0 {
			continue
		}
		fields = displaced(fields, f)
		if lost := fields & f.Omitted; lost != 0 {
			return nil, fmt.Errorf("link %s %s: %v is too long to be put back", f.Link, f.Way, lost)
		}
		back = append(back, Setting{Link: f.Link, Way: f.Way, Patch: emulation.Patch{Fields: fields, Values: f.Impairments}})
	}
	return back, nil
}

// displaced returns the fields with those that a change of them puts out of force.
func displaced(fields emulation.Fields, before InForce) emulation.Fields {
	const (
		fixed = emulation.FieldRate | emulation.FieldDelay | emulation.FieldLoss
		trace = emulation.FieldCapacity
		steps = emulation.FieldSteps
	)
	if fields&(fixed|trace|steps) == 0 {
		return fields
	}
	if before.Impairments.Capacity != nil || before.Omitted&trace != 0 {
		fields |= trace
	}
	if before.Impairments.Steps != nil || before.Omitted&steps != 0 {
		fields |= steps
	}
	if fields&trace != 0 {
		fields |= emulation.FieldRate
	}
	if fields&steps != 0 {
		fields |= fixed
	}
	return fields
}

// Reset puts the impairments of links back to what the lab's file says.
func (l *Lab) Reset(ctx context.Context, links ...string) error {
	var settings []Setting
	for _, name := range links {
		t, err := l.wiredLink(name)
		if err != nil {
			return err
		}
		for _, way := range []string{"up", "down"} {
			settings = append(settings, Setting{Link: name, Way: way, Patch: emulation.Patch{Fields: emulation.AllFields, Values: t.Direction(way)}})
		}
	}
	return l.Impair(ctx, settings)
}

// SetLink gives a link its carrier or takes it, at both ends. It stays so until the
// timeline says otherwise, or Arm.
func (l *Lab) SetLink(ctx context.Context, name string, c Carrier) error {
	t, err := l.wiredLink(name)
	if err != nil {
		return err
	}
	client, err := l.dialConductor()
	if err != nil {
		return err
	}
	if client != nil {
		defer client.Close()
		err = client.SetLink(ctx, name, c)
	} else {
		err = l.onStage([]topologies.Link{t}, nil, func(k *conductor.Kernel) error { return k.SetLink(name, c) })
		if err == nil {
			err = l.note(ctx, conductor.CarrierEntry(name, c, 0))
		}
	}
	if err != nil || c == CarrierOff {
		return err
	}
	return l.awaitLinks(ctx, []string{name})
}

// Rebind makes a NAT forget its mappings.
func (l *Lab) Rebind(ctx context.Context, node string) error {
	isNAT := func(n topologies.Node) bool { return n.Name == node && n.Kind == topologies.NAT }
	if !slices.ContainsFunc(l.state.Topology.Nodes, isNAT) {
		return fmt.Errorf("lab %s has no NAT %q", l.Name(), node)
	}
	client, err := l.dialConductor()
	if err != nil {
		return err
	}
	if client != nil {
		defer client.Close()
		return client.Rebind(ctx, node)
	}
	if err := l.onStage(nil, []string{node}, func(k *conductor.Kernel) error { return k.Rebind(node) }); err != nil {
		return err
	}
	return l.note(ctx, journal.Entry{Kind: journal.Rebind, Node: node})
}

// note writes what was done by hand, just now, to the journal.
func (l *Lab) note(ctx context.Context, e journal.Entry) error {
	e.At, e.By = journal.Now(), journal.Hand
	started, ok, err := l.started(ctx)
	if err != nil {
		return err
	}
	if ok {
		e.Since = new(time.Duration(e.At - started))
	}
	return journal.Append(l.host.journal(l.Name()), e)
}

// started returns when the lab's clock started (CLOCK_MONOTONIC, ns); false while it
// stands, or where there is none.
func (l *Lab) started(ctx context.Context) (int64, bool, error) {
	b, err := l.changer()
	if err != nil {
		return 0, false, err
	}
	c, err := l.dialConductor()
	if err != nil {
		return 0, false, err
	}
	if c == nil {
		return b.started(ctx, l)
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil || s.Started == nil {
		return 0, false, err
	}
	return s.Started.At, true, nil
}

// onStage opens the wires of the links and the NATs for f. Without a conductor, this
// process does what it would.
func (l *Lab) onStage(links []topologies.Link, nats []string, f func(*conductor.Kernel) error) error {
	var names []string
	var wires []conductor.Wire
	for _, t := range links {
		wires = append(wires, conductor.Wire{Link: t.Name, Namespace: len(names), Ends: t.Endpoints, MTU: t.MTU})
		names = append(names, WireNamespace(l.Name(), t.Name))
	}
	var nodes []conductor.NAT
	for _, n := range nats {
		nodes = append(nodes, conductor.NAT{Node: n, Namespace: len(names)})
		names = append(names, NodeNamespace(l.Name(), n))
	}
	k, err := conductor.NewKernel(wires, nodes, func(index int, _ string) (*netns.NS, error) {
		return l.openNamespace(names[index])
	})
	if err != nil {
		return err
	}
	return errors.Join(f(k), k.Close())
}

// wired returns the links that have a wire.
func (l *Lab) wired() []topologies.Link {
	return slices.DeleteFunc(slices.Clone(l.state.Topology.Links), func(t topologies.Link) bool { return !t.Impaired() })
}

// reconnect gives every link its carrier back.
func (l *Lab) reconnect(ctx context.Context) error {
	var down []string
	err := l.onStage(l.wired(), nil, func(k *conductor.Kernel) error {
		var errs []error
		for _, t := range l.wired() {
			c, err := k.Carrier(t.Name)
			if err == nil && c == CarrierOff {
				down = append(down, t.Name)
				err = k.SetLink(t.Name, CarrierOn)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return err
	}
	return l.awaitLinks(ctx, down)
}

// quiet is how long what a carrier brings with it takes: the nodes' multicast reports.
const quiet = 20 * time.Millisecond

// awaitLinks waits until the links carry packets at both ends, and nothing of the
// kernel's own is under way that could start a clock.
func (l *Lab) awaitLinks(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, carrierPatience)
	defer cancel()
	for _, t := range l.state.Topology.Links {
		if !slices.Contains(names, t.Name) {
			continue
		}
		for _, node := range t.Endpoints {
			if err := l.awaitUp(ctx, NodeNamespace(l.Name(), node), t.Name); err != nil {
				return err
			}
			if l.state.Backend != BackendNetem {
				continue
			}
			// Its bridge forwards to a port that is operational.
			if err := l.awaitUp(ctx, WireNamespace(l.Name(), t.Name), node); err != nil {
				return err
			}
		}
	}
	select {
	case <-time.After(quiet):
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (l *Lab) awaitUp(ctx context.Context, namespace, name string) error {
	ns, err := l.openNamespace(namespace)
	if err != nil {
		return err
	}
	return errors.Join(link.AwaitUp(ctx, ns, name), ns.Close())
}
