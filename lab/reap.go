package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// remains is what there is of a lab.
type remains struct {
	state      state
	folder     bool
	namespaces []string
	processes  bool   // marked ones
	broken     string // why it is not whole; empty when it is
}

// any reports whether there is anything of the lab.
func (r remains) any() bool { return r.folder || len(r.namespaces) > 0 || r.processes }

// whole reports whether the lab is up with all that belongs to it.
func (r remains) whole() bool { return r.any() && r.broken == "" }

// examine looks at a lab from outside: state, namespaces, processes.
func (h Host) examine(name string) (remains, error) {
	var found remains
	_, err := os.Lstat(h.labDir(name))
	found.folder = err == nil // also one in which no state was written yet
	s, err := h.load(name)
	switch {
	case err == nil:
		found.state = s
	case errors.Is(err, ErrNotUp):
		found.broken = "its state is gone"
	default:
		found.broken = err.Error()
	}
	spaces, err := h.namespacesOf(name, s)
	if err != nil {
		return found, err
	}
	for _, ns := range spaces {
		if ns.mark == s.Mark {
			found.namespaces = append(found.namespaces, ns.name)
		} else {
			found.broken = "namespace " + ns.name + " is of another raising"
			found.namespaces = append(found.namespaces, ns.name)
		}
	}
	mine, err := h.ofLab(name)
	if err != nil {
		return found, err
	}
	processes, err := markedProcesses(mine)
	if err != nil {
		return found, err
	}
	found.processes = len(processes) > 0
	if found.broken == "" {
		found.broken = found.diagnose()
	}
	return found, nil
}

// diagnose says what keeps the lab from being whole.
func (r remains) diagnose() string {
	s := r.state
	switch {
	case s.Phase != phaseUp:
		return fmt.Sprintf("process %d was %s it and is gone", s.Maker.PID, s.Phase)
	case s.Owner != nil && !s.Owner.alive():
		return fmt.Sprintf("the run that raised it (process %d) is gone", s.Owner.PID)
	case s.Backend == BackendRelay && (s.Relay == nil || !s.Relay.alive()):
		return "its relay process died"
	case needsConductor(s.Topology, s.Backend) && (s.Conductor == nil || !s.Conductor.alive()):
		return "its conductor process died"
	}
	for _, name := range s.Namespaces {
		if !slices.Contains(r.namespaces, name) {
			return "namespace " + name + " is gone"
		}
	}
	return ""
}

// Reap takes down what crashed runs left: labs that are not whole, of which
// nobody raises or lowers the rest. Whole labs are left alone.
func (h Host) Reap(ctx context.Context) ([]DownResult, error) {
	names, err := h.allNames()
	errs := []error{err}
	var results []DownResult
	for _, name := range names {
		r, err := h.reapOne(ctx, name)
		errs = append(errs, err)
		if r.WasUp {
			results = append(results, r)
		}
	}
	errs = append(errs, h.removeEmpty(ctx))
	return results, errors.Join(errs...)
}

// removeEmpty removes the folders that a command made which ended before it made
// anything else, if no lab is there.
func (h Host) removeEmpty(ctx context.Context) error {
	if _, err := os.Lstat(h.dir()); err != nil {
		return nil // nothing to remove
	}
	l, err := h.lockLabs(ctx)
	if err != nil {
		return err
	}
	return h.release(l)
}

func (h Host) reapOne(ctx context.Context, name string) (DownResult, error) {
	// Under the lock nobody raises or lowers: whatever is not whole was left.
	l, err := h.lockLabs(ctx)
	if err != nil {
		return DownResult{}, err
	}
	found, err := h.examine(name)
	if err != nil || !found.any() || found.whole() {
		return DownResult{}, errors.Join(err, h.release(l))
	}
	result, err := h.lower(ctx, name, found)
	if err != nil {
		err = fmt.Errorf("reap %s: %w", name, err)
	}
	return result, errors.Join(err, h.release(l))
}
