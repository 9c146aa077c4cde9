package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/topologies"
)

// field is the venue in real time: agents in the nodes of a lab that is up.
type field struct {
	*run
	counters   *sampler.Reader
	wiresStart []lab.WireStatus
	stop       func() // of the watching; nil before it began
}

// newField opens what trials read from.
func newField(r *run, arms []arm) (*field, error) {
	if err := checkTimed(r.Config, arms); err != nil {
		return nil, err
	}
	if err := checkEngines(r.Config, arms); err != nil {
		return nil, err
	}
	counters, err := sampler.Open(interfaces(r.paths()), r.Lab.Do)
	if err != nil {
		return nil, err
	}
	return &field{run: r, counters: counters}, nil
}

// begin implements venue.
func (r *field) begin(ctx context.Context) (context.Context, error) {
	var err error
	if r.wiresStart, err = r.Lab.Wires(ctx); err != nil {
		return nil, fmt.Errorf("read the wires' counters: %w", err)
	}
	watched, stop := r.watch(ctx)
	r.stop = stop
	return watched, nil
}

// end implements venue.
func (r *field) end(ctx context.Context) []string {
	if r.stop != nil {
		r.stop()
		// A lab that is left up must not stay limited to the last arm's paths.
		if err := r.usePaths(); err != nil {
			r.Log.Warn("let MPTCP use all paths again", "error", err)
		}
	}
	defer r.counters.Close()
	return append(r.wireWarnings(ctx), calibrationWarnings(r.Topology, r.Calibration)...)
}

// usePaths limits MPTCP to the paths; none means all. A kernel without MPTCP
// needs no limit.
func (r *field) usePaths(paths ...topologies.Path) error {
	if err := r.Lab.UsePaths(paths...); err != nil && !errors.Is(err, link.ErrNoMPTCP) {
		return fmt.Errorf("choose the paths of MPTCP: %w", err)
	}
	return nil
}

// checkEngines asks every engine of the arms whether this machine can run it, in
// both nodes, before anything is measured. An error wraps engine.ErrUnsupported.
func checkEngines(c Config, arms []arm) error {
	var errs []error
	asked := map[string]bool{}
	for _, a := range arms {
		e, err := c.Engines.Lookup(a.Engine)
		if err != nil || asked[a.Engine] {
			continue // planArms has found every engine of an arm
		}
		asked[a.Engine] = true
		probe := e.Capabilities().Probe
		if probe == nil {
			continue
		}
		for _, node := range []string{c.Experiment.From, c.Experiment.To} {
			if err := c.Lab.Do(node, probe); err != nil {
				errs = append(errs, fmt.Errorf("%s cannot run in %s: %w", a.Engine, node, err))
				break
			}
		}
	}
	return errors.Join(errs...)
}
