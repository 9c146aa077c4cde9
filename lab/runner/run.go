package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/tquiclab/tquiclab/results"
)

// run is the state of one call of Run. One goroutine owns it.
type run struct {
	Config
	dialler, listener string // the nodes
	plan              []planned
	venue             venue
	trials            []results.Trial
	warnings          []string
	began             time.Time
	stealStart        float64
	stealPerS         float64 // CPU seconds that the machine has in a second
}

// Run runs the experiment and returns its summary, which is in the folder by
// then. The folder is finished, or discarded when the run could not begin. Trials that failed are in it with their reasons and are no error of Run.
//
// When ctx ends, what is done is kept: the summary is written with Complete
// false and returned together with an error that wraps the context's cause. An
// engine that this machine cannot run, or that cannot be simulated where that was
// asked for, gives an error that wraps engine.ErrUnsupported before anything is
// measured.
func Run(ctx context.Context, c Config) (results.Summary, error) {
	if err := c.validate(); err != nil {
		if c.Folder != nil {
			err = errors.Join(err, c.Folder.Discard())
		}
		return results.Summary{}, err
	}
	r, err := newRun(c.withDefaults())
	if err != nil {
		return results.Summary{}, errors.Join(err, c.Folder.Discard())
	}
	watched, runErr := r.start(ctx)
	if runErr == nil {
		runErr = r.rounds(ctx, watched)
	}
	summary, err := r.finish(ctx, runErr)
	return summary, errors.Join(runErr, err)
}

// newRun plans the run and finds its venue.
func newRun(c Config) (*run, error) {
	arms, said, err := planArms(c)
	if err != nil {
		return nil, err
	}
	r := &run{
		Config:    c,
		plan:      planOrder(arms, c.Experiment.Rounds, c.Seed),
		warnings:  said,
		stealPerS: float64(runtime.NumCPU()),
	}
	r.dialler, r.listener = c.Topology.Dialler(c.Experiment.From, c.Experiment.To)
	if c.Backend == BackendSim {
		r.venue, err = newSimulation(r, arms)
	} else {
		r.venue, err = newField(r, arms)
	}
	return r, err
}

// start takes the first readings and writes the manifest with the order of
// trials, so that a killed run says what it meant to do. The context that it returns
// ends when the venue breaks.
func (r *run) start(ctx context.Context) (context.Context, error) {
	r.began = time.Now()
	watched, err := r.venue.begin(ctx)
	if err != nil {
		return nil, err
	}
	if r.stealStart, err = r.Steal(); err != nil {
		return nil, err
	}
	return watched, r.writeManifest()
}

// roundSeed gives each round luck of its own, and all arms of a round the same: the
// same losses, the same trace, the same events. The first round's is the run's.
func (r *run) roundSeed(p planned) uint64 { return r.Seed + uint64(p.round-1)<<32 }

func (r *run) writeManifest() error {
	topology, err := json.Marshal(r.Topology)
	if err != nil {
		return fmt.Errorf("encode the topology: %w", err)
	}
	experiment, err := json.Marshal(r.Experiment)
	if err != nil {
		return fmt.Errorf("encode the experiment: %w", err)
	}
	m := &r.Manifest
	m.Lab, m.Topology, m.TopologySHA256 = r.LabName, topology, r.Topology.Hash()
	m.Experiment, m.Backend, m.Seed = experiment, r.Backend, r.Seed
	m.StartedAt, m.StealStartS = r.began, &r.stealStart
	m.Order = nil
	for _, p := range r.plan {
		m.Order = append(m.Order, results.Planned{Round: p.round, Order: p.order, Arm: p.arm.Arm})
	}
	return r.Folder.WriteManifest(*m)
}

// rounds goes through the plan. It stops early when ctx ends, the venue breaks or
// the folder cannot be written.
func (r *run) rounds(ctx, watched context.Context) error {
	for _, p := range r.plan {
		trial, err := r.venue.trial(watched, p)
		if ctx.Err() != nil {
			return errors.Join(interrupted(ctx), err)
		}
		if err != nil {
			return err
		}
		if err := r.Folder.AppendTrial(trial); err != nil {
			return err
		}
		r.trials = append(r.trials, trial)
		r.warnings = append(r.warnings, trialWarnings(trial, p.label(), r.stealPerS)...)
		r.Progress(r.progressOf(p, &trial))
		r.Log.Debug("trial over", "round", p.round, "arm", p.arm.label(), "goodput_bps", trial.GoodputBPS, "error", trial.Error)
		if watched.Err() != nil {
			return context.Cause(watched)
		}
	}
	return nil
}

func interrupted(ctx context.Context) error {
	return fmt.Errorf("run: interrupted: %w", context.Cause(ctx))
}

// finish writes the end of the manifest and the summary. The counters are read
// even when ctx has ended: they say what the trials that are done were worth.
func (r *run) finish(ctx context.Context, runErr error) (results.Summary, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Patience)
	defer cancel()
	r.warnings = append(r.warnings, r.venue.end(ctx)...)
	r.warnings = append(r.warnings, balanceWarnings(r.trials, r.plan)...)
	r.warnings = append(r.warnings, r.qlogWarnings()...)

	results.FillBenefit(r.trials)
	summary := results.Summary{
		Schema:         results.Schema,
		Lab:            r.LabName,
		TopologySHA256: r.Topology.Hash(),
		Backend:        r.Backend,
		Seed:           r.Seed,
		Complete:       runErr == nil && len(r.trials) == len(r.plan),
		Trials:         r.trials,
		Arms:           results.Summarize(r.trials),
		Calibration:    r.Calibration,
		Warnings:       r.warnings,
	}
	m := r.Manifest
	seconds := time.Since(r.began).Seconds()
	m.DurationS = &seconds
	steal, err := r.Steal()
	if err == nil {
		m.StealEndS = &steal
	}
	if err := errors.Join(err, r.Folder.WriteManifest(m), r.Folder.Finish(summary)); err != nil {
		return summary, errors.Join(err, r.Folder.Close())
	}
	return summary, nil
}
