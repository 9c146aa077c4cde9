package lab

import (
	"context"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/netem"
	"github.com/tquiclab/tquiclab/lab/conductor"
	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/netns"
	"github.com/tquiclab/tquiclab/topologies"
)

// netemBackend serves the wires by the kernel: a bridge in each wire's namespace
// with a netem on each of its ports. A direction's netem stands on the port that
// faces its receiver.
type netemBackend struct{}

func (netemBackend) probe() error {
	_, err := netem.Probe()
	if errors.Is(err, netem.ErrNotSupported) {
		return fmt.Errorf("%w: %w; or use --backend %s", ErrUnsupported, err, BackendRelay)
	}
	return err
}

func (netemBackend) check(t topologies.Topology) error {
	var errs []error
	for _, l := range t.Links {
		if !l.Impaired() {
			continue
		}
		for direction, imp := range map[string]emulation.Impairments{"up": l.Up, "down": l.Down} {
			for _, err := range checkNetem(imp, t.Timeline(l.Name, direction), l.MTU) {
				errs = append(errs, fmt.Errorf("link %s %s: %w", l.Name, direction, err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w; or use --backend %s", ErrUnsupported, err, BackendRelay)
	}
	return nil
}

// checkNetem returns what netem cannot do, at the start or in the course of time.
func checkNetem(base emulation.Impairments, timeline emulation.Timeline, mtu int) []error {
	var errs []error
	if err := netem.Check(base, mtu); err != nil {
		errs = append(errs, err)
	}
	for at, state := range timeline.States(base) {
		if err := netem.Check(state, mtu); err != nil {
			errs = append(errs, fmt.Errorf("from %v on: %w", at, err))
		}
	}
	return errs
}

func (netemBackend) attach(ctx context.Context, r *raising) error {
	for _, l := range r.plan.Topology.Links {
		if !l.Impaired() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := attachNetem(r.spaces[WireNamespace(r.plan.Lab, l.Name)], l, r.plan.Topology.Seed); err != nil {
			return fmt.Errorf("link %s: %w", l.Name, err)
		}
	}
	return nil
}

func attachNetem(ns *netns.NS, l topologies.Link, seed uint64) error {
	ports, err := netemPorts(ns, l)
	if err != nil {
		return err
	}
	if err := netem.Join(ns.Fd(), [2]int{ports[0].Index, ports[1].Index}); err != nil {
		return err
	}
	// Up leaves towards the second endpoint, down towards the first.
	return errors.Join(
		netem.Apply(ports[1], l.Up, netemSeed(seed, l.Name, "up")),
		netem.Apply(ports[0], l.Down, netemSeed(seed, l.Name, "down")))
}

// netemPorts returns the wire's ports, each facing the endpoint of its index.
func netemPorts(ns *netns.NS, l topologies.Link) ([2]netem.Port, error) {
	var ports [2]netem.Port
	for i, node := range l.Endpoints {
		index, err := link.Index(ns, node)
		if err != nil {
			return ports, err
		}
		ports[i] = netem.Port{NS: ns.Fd(), Index: index, MTU: l.MTU}
	}
	return ports, nil
}

// netemSeed gives each direction of each link a seed of its own, as the model's.
func netemSeed(seed uint64, link, direction string) uint64 {
	return conductor.Seed(seed, link, direction)
}

func (netemBackend) wires(_ context.Context, l *Lab) ([]WireStatus, error) {
	var wires []WireStatus
	for _, topologyLink := range l.state.Topology.Links {
		if !topologyLink.Impaired() {
			continue
		}
		wire, err := l.netemWire(topologyLink)
		if err != nil {
			return nil, fmt.Errorf("link %s: %w", topologyLink.Name, err)
		}
		wires = append(wires, wire)
	}
	return wires, nil
}

func (l *Lab) netemWire(topologyLink topologies.Link) (WireStatus, error) {
	wire := WireStatus{Link: topologyLink.Name}
	ns, err := l.openNamespace(WireNamespace(l.Name(), topologyLink.Name))
	if err != nil {
		return wire, err
	}
	defer ns.Close()
	ports, err := netemPorts(ns, topologyLink)
	if err != nil {
		return wire, err
	}
	for port, direction := range map[netem.Port]*DirectionStatus{ports[1]: &wire.Up, ports[0]: &wire.Down} {
		state, err := netem.Read(port)
		if err != nil {
			return wire, err
		}
		*direction = netemDirection(state.Counters)
	}
	return wire, nil
}

// netemDirection translates netem's counters. The kernel does not tell losses
// from full queues: both are drops.
func netemDirection(c netem.Counters) DirectionStatus {
	return DirectionStatus{
		ArrivedPackets: uint64(c.SentPackets) + uint64(c.Drops) + uint64(c.BacklogPackets),
		PassedPackets:  uint64(c.SentPackets),
		PassedBytes:    c.SentBytes,
		Dropped:        map[string]uint64{"loss or queue": uint64(c.Drops)},
		HeldPackets:    int(c.BacklogPackets),
	}
}
