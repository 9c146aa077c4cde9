package breadth

import (
	"context"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/lab/runner"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// virtual is how a topology's experiment is run in virtual time, with one engine.
type virtual struct {
	engine   engine.Engine
	rounds   int
	bytes    int64 // of a transfer; 0: what the topology says
	baseline bool  // each path alone, too
	// Empty: the engine's default.
	scheduler, congestion string
}

// patience is how much longer than due a transfer may take, in virtual time: a path of
// much loss alone is slow, and what it brings is wanted.
const patience = time.Hour

// run runs a topology that has an experiment, and leaves the records in dir.
func (v virtual) run(ctx context.Context, t topologies.Topology, dir string) (results.Summary, error) {
	folder, err := results.Create(dir)
	if err != nil {
		return results.Summary{}, err
	}
	x := *t.Experiment
	x.Engines, x.Rounds = []string{v.engine.Name()}, v.rounds
	if v.bytes > 0 {
		x.Workload.Bytes, x.Workload.Duration = v.bytes, 0
	}
	if v.scheduler != "" {
		x.Schedulers = []string{v.scheduler}
	}
	if v.congestion != "" {
		x.Congestions = []string{v.congestion}
	}
	return runner.Run(ctx, runner.Config{
		LabName: t.Name, Topology: t, Backend: runner.BackendSim, Engines: engine.NewRegistry(v.engine),
		Experiment: x, Seed: t.Seed, Baseline: v.baseline, Folder: folder, Patience: patience,
		// Nobody's CPU time counts in virtual time.
		Steal: func() (float64, error) { return 0, nil },
	})
}
