package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// DownResult says what Down found and did.
type DownResult struct {
	Lab        string    `json:"lab"`
	WasUp      bool      `json:"was_up"` // anything of the lab was there
	Namespaces []string  `json:"namespaces_removed"`
	Ended      []Process `json:"processes_ended"`
	// Left are processes in the lab's namespaces that are not the lab's. They go on
	// without links.
	Left []Process `json:"processes_left"`
}

// Down takes a lab down, whole, half-made or crashed. A lab that is not there is
// no error.
func (h Host) Down(ctx context.Context, name string) (DownResult, error) {
	if err := errors.Join(checkName(name), CheckPrivileges()); err != nil {
		return DownResult{}, err
	}
	l, err := h.lockLabs(ctx)
	if err != nil {
		return DownResult{}, err
	}
	found, err := h.examine(name)
	if err != nil {
		return DownResult{}, errors.Join(err, h.release(l))
	}
	result, err := h.lower(ctx, name, found)
	if err != nil {
		err = fmt.Errorf("down %s: %w", name, err)
	}
	return result, errors.Join(err, h.release(l))
}

// DownAll takes every lab of the Host down, and says what it did for each.
func (h Host) DownAll(ctx context.Context) ([]DownResult, error) {
	names, err := h.allNames()
	var results []DownResult
	errs := []error{err}
	for _, name := range names {
		r, err := h.Down(ctx, name)
		errs = append(errs, err)
		results = append(results, r)
	}
	return results, errors.Join(errs...)
}

// allNames returns every lab of which anything is there: a folder, a namespace
// or a process.
func (h Host) allNames() ([]string, error) {
	if err := CheckPrivileges(); err != nil {
		return nil, err
	}
	names, err1 := h.labNames()
	spaces, err2 := h.markedNamespaces()
	for _, ns := range spaces {
		names = append(names, ns.mark.Lab)
	}
	dir, err3 := filepath.Abs(h.dir())
	_, err4 := markedProcesses(func(m Mark) bool {
		if m.Dir == dir {
			names = append(names, m.Lab)
		}
		return false
	})
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(n string) bool { return checkName(n) != nil })
	return names, errors.Join(err1, err2, err3, err4)
}

// release lets go of the lock; when no lab is left, the folders go too.
func (h Host) release(l *lock) error {
	_ = os.Remove(h.labsDir()) // fails while a lab is there, as it should
	if names, err := h.labNames(); err != nil || len(names) > 0 {
		return errors.Join(err, l.unlock())
	}
	err := l.remove()
	_ = os.Remove(h.dir()) // fails when somebody put a file there
	return err
}

// lower takes down what was found. The Host's lock is held. It goes on past
// errors: the more is gone, the better.
func (h Host) lower(ctx context.Context, name string, found remains) (DownResult, error) {
	result := DownResult{Lab: name, WasUp: found.any()}
	var errs []error
	if found.folder && found.state.Version != 0 {
		found.state.Phase = phaseLowering
		if maker, err := refOf(os.Getpid()); err == nil {
			found.state.Maker = maker
		}
		errs = append(errs, h.save(found.state))
	}
	mine, err := h.ofLab(name)
	if err != nil {
		return result, errors.Join(append(errs, err)...)
	}
	ended, err := h.endProcesses(ctx, mine)
	result.Ended = ended
	errs = append(errs, err)

	spaces, err := h.namespacesOf(name, found.state)
	errs = append(errs, err)
	left, err := strangersIn(spaces, ended)
	result.Left = left
	errs = append(errs, err)
	for _, ns := range spaces {
		if err := netns.Remove(ns.name); err != nil {
			errs = append(errs, err)
			continue
		}
		result.Namespaces = append(result.Namespaces, ns.name)
	}
	if err := errors.Join(errs...); err != nil {
		return result, err // the state stays: the next down tries again
	}
	return result, h.removeState(name)
}

// ofLab returns the test for marks of one lab, any raising of it.
func (h Host) ofLab(name string) (func(Mark) bool, error) {
	dir, err := filepath.Abs(h.dir())
	if err != nil {
		return nil, err
	}
	return func(m Mark) bool { return m.Dir == dir && m.Lab == name }, nil
}

// namespacesOf returns the namespaces that bear the lab's mark, and the empty
// files that an interrupted creation left under names that the state recorded.
func (h Host) namespacesOf(lab string, s state) ([]markedNamespace, error) {
	all, err := h.markedNamespaces()
	found := slices.DeleteFunc(all, func(ns markedNamespace) bool { return ns.mark.Lab != lab })
	for _, name := range s.Namespaces {
		ns, openErr := netns.Open(name)
		if openErr == nil {
			openErr = ns.Close()
		}
		if errors.Is(openErr, netns.ErrNotNamespace) {
			found = append(found, markedNamespace{name: name})
		}
	}
	return found, err
}

// endProcesses ends the lab's processes, but not the ones that called this: a
// shell that the lab's exec started may well say down.
func (h Host) endProcesses(ctx context.Context, mine func(Mark) bool) ([]Process, error) {
	callers := ancestors(os.Getpid())
	processes, err := markedProcesses(mine)
	errs := []error{err}
	var ended []Process
	for _, p := range processes {
		if callers[p.PID] {
			continue
		}
		if err := endProcess(ctx, p.PID, mine); err != nil {
			errs = append(errs, err)
			continue
		}
		ended = append(ended, p)
	}
	return ended, errors.Join(errs...)
}

// strangersIn returns the processes that use the namespaces and were not ended.
func strangersIn(spaces []markedNamespace, ended []Process) ([]Process, error) {
	inodes := map[uint64]bool{}
	for _, ns := range spaces {
		if ns.inode != 0 {
			inodes[ns.inode] = true
		}
	}
	if len(inodes) == 0 {
		return nil, nil
	}
	left, err := processesIn(inodes)
	return slices.DeleteFunc(left, func(p Process) bool {
		return slices.ContainsFunc(ended, func(e Process) bool { return e.PID == p.PID })
	}), err
}
