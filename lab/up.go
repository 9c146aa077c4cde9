package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/nat"
	"github.com/tquiclab/tquiclab/lab/netns"
	"github.com/tquiclab/tquiclab/topologies"
)

// UpConfig says what to raise.
type UpConfig struct {
	Topology topologies.Topology
	Name     string // of the lab; empty means the topology's
	Backend  string // BackendAuto, BackendRelay or BackendNetem; empty means auto
	// OwnerPID, when not 0, is a process that the lab is not meant to outlive: once
	// it is gone, Up and Reap take the lab for a crash's remains.
	OwnerPID int
}

// UpResult says what Up did.
type UpResult struct {
	Lab *Lab
	// AlreadyUp: the lab was up from the same topology, and nothing was done.
	AlreadyUp bool
	// Repaired: remains of a crash were taken down first.
	Repaired bool
}

// Up raises a lab, or finds that it is up. A lab of the same name from another
// topology, or a foreign object in the way, is an error; remains of a crashed up,
// down or run are taken down first. When Up fails or ctx ends, nothing stays.
func (h Host) Up(ctx context.Context, c UpConfig) (UpResult, error) {
	name := c.Name
	if name == "" {
		name = c.Topology.Name
	}
	if err := errors.Join(checkName(name), CheckPrivileges()); err != nil {
		return UpResult{}, err
	}
	backend, err := h.Backend(c.Topology, c.Backend)
	if err != nil {
		return UpResult{}, err
	}
	l, err := h.lockLabs(ctx)
	if err != nil {
		return UpResult{}, err
	}
	defer l.unlock()

	found, err := h.examine(name)
	if err != nil {
		return UpResult{}, err
	}
	if found.whole() {
		return h.alreadyUp(name, found.state, c)
	}
	result := UpResult{Repaired: found.any()}
	if found.any() {
		h.log().Warn("taking down what a crash left", "lab", name, "because", found.broken)
		if _, err := h.lower(ctx, name, found); err != nil {
			return UpResult{}, fmt.Errorf("take down what a crash left: %w", err)
		}
	}
	result.Lab, err = h.raise(ctx, NewPlan(c.Topology, name, backend), c)
	if err != nil {
		return UpResult{}, fmt.Errorf("up %s: %w", name, err)
	}
	return result, nil
}

func (h Host) alreadyUp(name string, s state, c UpConfig) (UpResult, error) {
	if s.Topology.Hash() != c.Topology.Hash() {
		return UpResult{}, fmt.Errorf("lab %s is up from another topology: take it down with `tquiclab down %s`, or give this one another --name", name, name)
	}
	if c.Backend != "" && c.Backend != BackendAuto && c.Backend != s.Backend && s.Backend != BackendDirect {
		return UpResult{}, fmt.Errorf("lab %s is up with backend %s, not %s: take it down with `tquiclab down %s` first", name, s.Backend, c.Backend, name)
	}
	if c.OwnerPID == 0 && s.Owner != nil {
		// Someone else's run owns it; from now on it stays.
		s.Owner = nil
		if err := h.save(s); err != nil {
			return UpResult{}, err
		}
	}
	return UpResult{Lab: &Lab{host: h, state: s}, AlreadyUp: true}, nil
}

// raising is a lab in the making.
type raising struct {
	host   Host
	plan   Plan
	state  state
	spaces map[string]*netns.NS
}

func (h Host) raise(ctx context.Context, p Plan, c UpConfig) (*Lab, error) {
	r, err := h.newRaising(p, c)
	if err != nil {
		return nil, err
	}
	err = r.runSteps(ctx)
	for _, ns := range r.spaces {
		err = errors.Join(err, ns.Close())
	}
	if err == nil {
		r.state.Phase = phaseUp
		err = h.save(r.state)
	}
	if err != nil {
		// Not ctx: it may be what ended, and the undo must run.
		_, undo := h.lower(context.WithoutCancel(ctx), p.Lab, remains{state: r.state, folder: true})
		return nil, errors.Join(err, undo)
	}
	return &Lab{host: h, state: r.state}, nil
}

func (h Host) newRaising(p Plan, c UpConfig) (*raising, error) {
	mark, err := newMark(p.Lab, h.dir())
	if err != nil {
		return nil, err
	}
	maker, err := refOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	names, err := p.namespaces()
	if err != nil {
		return nil, err
	}
	r := &raising{host: h, plan: p, spaces: map[string]*netns.NS{}, state: state{
		Version: stateVersion, Mark: mark, Phase: phaseRaising, Maker: maker,
		Backend: p.Backend, Topology: p.Topology, Namespaces: names, Created: time.Now().UTC(),
	}}
	if c.OwnerPID != 0 {
		owner, err := refOf(c.OwnerPID)
		if err != nil {
			return nil, err
		}
		r.state.Owner = &owner
	}
	return r, h.save(r.state)
}

func (r *raising) runSteps(ctx context.Context) error {
	for _, s := range r.plan.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.run(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", s.Do, err)
		}
	}
	return nil
}

// namespaces returns the names that the plan is going to make, to be recorded before
// any of them is. A name that is taken is never recorded, so that its owner keeps it.
func (p Plan) namespaces() ([]string, error) {
	var names []string
	for _, s := range p.Steps {
		if s.namespace == "" {
			continue
		}
		if _, err := os.Lstat(filepath.Join(netns.Dir, s.namespace)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s exists and is not this lab's: remove it with `ip netns del %s` if nobody needs it, or give the lab another --name", s.namespace, s.namespace)
		}
		names = append(names, s.namespace)
	}
	return names, nil
}

func (r *raising) createNamespace(name string) error {
	ns, err := netns.Create(name, r.state.Mark.String())
	if err != nil {
		return err
	}
	r.spaces[name] = ns
	return nil
}

// setMPTCP leaves out a kernel without MPTCP: whoever runs an mptcp engine is
// told then.
func (r *raising) setMPTCP(namespace string, endpoints []link.Endpoint) error {
	err := link.SetMPTCP(r.spaces[namespace], endpoints)
	if errors.Is(err, link.ErrNoMPTCP) {
		r.host.log().Debug("MPTCP left out", "namespace", namespace, "because", err)
		return nil
	}
	return err
}

func (r *raising) setUpNAT(namespace string, config nat.Config) error {
	err := nat.SetUp(r.spaces[namespace], config)
	if errors.Is(err, nat.ErrNotSupported) {
		return fmt.Errorf("%w: %w: use a topology without NATs, or a kernel that has it", ErrUnsupported, err)
	}
	return err
}

// labName is what a lab may be called: part of a namespace's name and of a path.
var labName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func checkName(name string) error {
	if !labName.MatchString(name) {
		return fmt.Errorf("%q cannot name a lab: use up to 63 lower-case letters, digits and dashes", name)
	}
	return nil
}
