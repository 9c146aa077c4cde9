package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/lab/conductor"
	"github.com/tquiclab/tquiclab/lab/journal"
)

// changer is the part of a backend that changes wires while they work, and keeps the
// clock where there is no conductor.
type changer interface {
	arm(ctx context.Context, l *Lab, seed uint64) error
	start(ctx context.Context, l *Lab) error
	// started is false where no clock runs, and where there is none.
	started(ctx context.Context, l *Lab) (at int64, ok bool, err error)
	// impair changes links that have wires: all or none.
	impair(ctx context.Context, l *Lab, settings []Setting) error
	inForce(ctx context.Context, l *Lab) ([]InForce, error)
}

func (l *Lab) changer() (changer, error) {
	switch l.state.Backend {
	case BackendNetem:
		return netemBackend{}, nil
	case BackendRelay:
		return relayBackend{}, nil
	case BackendDirect:
		return directBackend{}, nil
	}
	return nil, fmt.Errorf("unknown backend %q", l.state.Backend)
}

func (directBackend) arm(context.Context, *Lab, uint64) error { return nil }

func (directBackend) start(context.Context, *Lab) error { return ErrNoClock }

func (directBackend) started(context.Context, *Lab) (int64, bool, error) { return 0, false, nil }

func (directBackend) impair(_ context.Context, l *Lab, _ []Setting) error {
	return fmt.Errorf("lab %s has no wire that could change", l.Name())
}

func (directBackend) inForce(context.Context, *Lab) ([]InForce, error) { return nil, nil }

// arm sets every direction anew, where no conductor does.
func (netemBackend) arm(ctx context.Context, l *Lab, seed uint64) error {
	held, err := l.holdForce(ctx)
	if err != nil {
		return err
	}
	defer held.unlock()
	base := l.base()
	err = l.onStage(l.wired(), nil, func(k *conductor.Kernel) error {
		for _, f := range base {
			if err := k.Impair(f.Link, f.Way, f.Impairments, conductor.Seed(seed, f.Link, f.Way)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.saveForce(base)
}

func (netemBackend) start(context.Context, *Lab) error { return ErrNoClock }

func (netemBackend) started(context.Context, *Lab) (int64, bool, error) { return 0, false, nil }

// impair goes through the conductor, which plays what else changes; else this process
// does it, and notes what is in force: the kernel would tell it with netem's words.
func (netemBackend) impair(ctx context.Context, l *Lab, settings []Setting) error {
	each := bothWays(settings)
	c, err := l.dialConductor()
	if err != nil {
		return err
	}
	if c != nil {
		defer c.Close()
		return c.Impair(ctx, each)
	}
	held, err := l.holdForce(ctx)
	if err != nil {
		return err
	}
	defer held.unlock()
	current, err := l.force()
	if err != nil {
		return err
	}
	var after []InForce
	err = l.onStage(l.wired(), nil, func(k *conductor.Kernel) (err error) {
		after, err = conductor.Change(k, current, each, uint64(journal.Now()))
		return err
	})
	if err != nil {
		return err
	}
	if err := l.saveForce(after); err != nil {
		return err
	}
	return l.noteSettings(ctx, settings)
}

func (netemBackend) inForce(ctx context.Context, l *Lab) ([]InForce, error) {
	c, err := l.dialConductor()
	if err != nil {
		return nil, err
	}
	if c == nil {
		return l.force()
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil || len(s.InForce) > 0 {
		return s.InForce, err
	}
	return l.force()
}

// bothWays names the way of every setting.
func bothWays(settings []Setting) []conductor.Setting {
	var each []conductor.Setting
	for _, s := range settings {
		for _, way := range []string{"up", "down"} {
			if s.Way == "" || s.Way == way {
				each = append(each, conductor.Setting{Link: s.Link, Way: way, Patch: s.Patch})
			}
		}
	}
	return each
}

// noteSettings writes settings that took effect to the journal.
func (l *Lab) noteSettings(ctx context.Context, settings []Setting) error {
	var errs []error
	for _, s := range settings {
		errs = append(errs, l.note(ctx, journal.Entry{Kind: journal.Set, Link: s.Link, Way: s.Way, Set: &s.Patch}))
	}
	return errors.Join(errs...)
}

// base returns what the lab's file says of every direction that has a wire.
func (l *Lab) base() []InForce {
	var all []InForce
	for _, t := range l.wired() {
		for _, way := range []string{"up", "down"} {
			all = append(all, InForce{Link: t.Name, Way: way, MTU: t.MTU, Impairments: t.Direction(way)})
		}
	}
	return all
}

func (l *Lab) forcePath() string { return filepath.Join(l.host.labDir(l.Name()), "in-force.json") }

// holdForce keeps other processes from changing what is in force.
func (l *Lab) holdForce(ctx context.Context) (*lock, error) {
	const patience = 5 * time.Second
	return takeLock(ctx, l.forcePath()+".lock", patience)
}

// force returns what is in force where neither relay nor conductor knows.
func (l *Lab) force() ([]InForce, error) {
	data, err := os.ReadFile(l.forcePath())
	if errors.Is(err, fs.ErrNotExist) {
		return l.base(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is in force: %w", err)
	}
	var all []InForce
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("read what is in force: %s: %w", l.forcePath(), err)
	}
	same := func(a, b InForce) bool { return a.Link == b.Link && a.Way == b.Way }
	if !slices.EqualFunc(all, l.base(), same) {
		return nil, fmt.Errorf("read what is in force: %s is not of this lab", l.forcePath())
	}
	return all, nil
}

func (l *Lab) saveForce(all []InForce) error {
	data, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("note what is in force: %w", err)
	}
	path := l.forcePath()
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return fmt.Errorf("note what is in force: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("note what is in force: %w", err)
	}
	return nil
}
