package lab

import (
	"context"
	"fmt"

	"github.com/tquiclab/tquiclab/topologies"
)

// The backends that can serve a lab's wires, as --backend and results name them.
const (
	BackendAuto   = "auto"   // netem where the kernel has it and it can do all that is asked, else relay
	BackendNetem  = "netem"  // the kernel's queueing discipline
	BackendRelay  = "relay"  // a process of the lab
	BackendDirect = "direct" // no wire: no link is impaired
)

// backend makes a lab's wires work. Its methods are called while the lab is
// raised or runs; ending it is Down's work.
type backend interface {
	// probe returns nil when this machine has the backend, or an error that wraps
	// ErrUnsupported, or another one when that cannot be told.
	probe() error
	// check returns why the backend cannot emulate the topology, or nil.
	check(t topologies.Topology) error
	attach(ctx context.Context, r *raising) error
	// wires returns what each impaired link has done so far, in topology order.
	wires(ctx context.Context, l *Lab) ([]WireStatus, error)
}

func (h Host) backend(name string) (backend, error) {
	switch name {
	case BackendNetem:
		return netemBackend{}, nil
	case BackendRelay:
		return relayBackend{}, nil
	case BackendDirect:
		return directBackend{}, nil
	}
	return nil, fmt.Errorf("unknown backend %q: expected %s, %s or %s", name, BackendAuto, BackendNetem, BackendRelay)
}

// Backend returns the name of the backend that Up takes: the one asked for, or
// the first that can serve the topology. An error that wraps ErrUnsupported says
// what to do instead.
func (h Host) Backend(t topologies.Topology, asked string) (string, error) {
	if asked != "" && asked != BackendAuto {
		b, err := h.backend(asked)
		if err != nil {
			return "", err
		}
		if !impaired(t) {
			return BackendDirect, nil // nothing for another one to do
		}
		return asked, usable(b, asked, t)
	}
	if !impaired(t) {
		return BackendDirect, nil
	}
	why := usable(netemBackend{}, BackendNetem, t)
	if why == nil {
		return BackendNetem, nil
	}
	h.log().Debug("netem left out", "because", why)
	return BackendRelay, usable(relayBackend{}, BackendRelay, t)
}

func usable(b backend, name string, t topologies.Topology) error {
	for _, err := range []error{b.probe(), b.check(t)} {
		if err != nil {
			return fmt.Errorf("backend %s: %w", name, err)
		}
	}
	return nil
}

func impaired(t topologies.Topology) bool {
	for _, l := range t.Links {
		if l.Impaired() {
			return true
		}
	}
	return false
}

// attachBackend makes the wires of the lab in the making work.
func (r *raising) attachBackend(ctx context.Context) error {
	b, err := r.host.backend(r.plan.Backend)
	if err != nil {
		return err
	}
	return b.attach(ctx, r)
}

// directBackend serves labs without wires.
type directBackend struct{}

func (directBackend) probe() error { return nil }

func (directBackend) check(t topologies.Topology) error {
	if impaired(t) {
		return fmt.Errorf("%w: %s has impaired links, which backend %s does not do: use %s", ErrUnsupported, t.Name, BackendDirect, BackendAuto)
	}
	return nil
}

func (directBackend) attach(context.Context, *raising) error { return nil }

func (directBackend) wires(context.Context, *Lab) ([]WireStatus, error) { return nil, nil }
