package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/lab/capture"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// Lab is what the runner needs of a lab that is up. *lab.Lab is one.
type Lab interface {
	// Start starts a command inside a node's namespace; the caller waits for it.
	Start(node string, cmd *exec.Cmd) error
	// Do runs f on a thread inside a node's namespace.
	Do(node string, f func() error) error
	// Wires returns what each impaired link has done so far.
	Wires(ctx context.Context) ([]lab.WireStatus, error)
	// UsePaths makes MPTCP use these paths only, all from one host to one other; none
	// means all there are.
	UsePaths(paths ...topologies.Path) error
	Timed
	// Drops follows what the wires drop; CheckDrops says whether they tell.
	Drops(ctx context.Context, following func(), each func(lab.Drop) error) error
	CheckDrops() error
}

// Timed is what goes by the clock in a lab.
type Timed interface {
	// Arm puts the lab back to what its topology says and makes its clock wait for its
	// start; random numbers follow from the seed from then on.
	Arm(ctx context.Context, seed uint64) error
	// StartClock starts the clock.
	StartClock(ctx context.Context) error
	// Follow tells what changes from now on.
	Follow() (*lab.Follow, error)
}

// Config says what to run.
type Config struct {
	Lab      Lab
	LabName  string
	Topology topologies.Topology
	// Backend is relay, netem or direct, or BackendSim: virtual time, in this process,
	// where Lab, Agent and Drop are not looked at.
	Backend string
	Engines engine.Registry
	// Experiment says who sends to whom, with which engines (`name` or
	// `name@link+link`), what and how often.
	Experiment topologies.Experiment
	Seed       uint64 // of the order and of the data
	// Baseline adds, for each multipath engine, an arm on each of its paths alone, in
	// every round, so that the aggregation benefit can be computed.
	Baseline bool
	// QLOG makes the engines that can write a qlog file of each connection into the
	// folder, under qlog/ROUND-ORDER-ENGINE. It costs them speed.
	QLOG bool
	// Capture has the points at which each trial's packets are captured, with the
	// secrets that decrypt them, to capture/ROUND-ORDER-ENGINE.pcapng in the folder.
	// None means that nothing is. It costs the machine CPU time.
	Capture []capture.Point
	// Drops makes a series of every packet that the emulated paths drop, with its reason
	// and what waited then, beside that of each trial. Only the relay tells.
	Drops bool
	// Calibration is what the paths were found to give; empty means that nobody
	// looked, which the result will say.
	Calibration []results.Calibration

	// Folder takes the records, and is Run's from then on.
	Folder *results.Run
	// Manifest has what the caller knows (command line, build, machine, what was
	// read back from the lab); Run fills in the rest and writes it.
	Manifest results.Manifest
	// Steal returns the CPU time in seconds that the host took away since boot.
	Steal func() (float64, error)

	// Agent returns a new command that runs agent.Main. Run starts it in a node.
	Agent func() *exec.Cmd
	// Drop is the user that the agents become once their sockets are open; nil
	// means that they stay who they are.
	Drop *agent.Credential
	// Patience is how long setting a trial up may take, and how much longer than
	// due its transfer; 0 means 30 s.
	Patience time.Duration
	// Progress, which may be nil, is called every 100 ms and after each trial, from
	// one goroutine at a time. It must not block.
	Progress func(Progress)
	Log      *slog.Logger // nil means silent
}

const defaultPatience = 30 * time.Second

// validate returns every reason why c cannot run, joined, or nil.
func (c Config) validate() error {
	var errs []error
	missing := func(absent bool, what string) {
		if absent {
			errs = append(errs, errors.New("run: there is no "+what))
		}
	}
	missing(c.Lab == nil && c.Backend != BackendSim, "lab")
	missing(c.Folder == nil, "results folder")
	missing(c.Agent == nil && c.Backend != BackendSim, "agent command")
	missing(c.Steal == nil, "source of the steal time")
	if len(c.Capture) > 0 && c.Backend == BackendSim {
		errs = append(errs, errors.New("run: nothing can be captured in a simulation: it has no packets on a wire"))
	}
	if c.Drops && c.Lab != nil {
		errs = append(errs, c.Lab.CheckDrops())
	}
	x := c.Experiment
	if len(x.Engines) == 0 {
		errs = append(errs, errors.New("run: no engine is chosen: name some with --engine"))
	}
	if x.Rounds < 1 {
		errs = append(errs, fmt.Errorf("run: %d rounds are none: ask for 1 or more", x.Rounds))
	}
	errs = append(errs, checkWorkload(x.Workload)...)
	if len(c.paths()) == 0 {
		errs = append(errs, fmt.Errorf("run: no path of %s leads from %q to %q or back: name two hosts with links or routers between them", c.Topology.Name, x.From, x.To))
	}
	return errors.Join(errs...)
}

// paths returns all paths of the experiment, from the dialler on.
func (c Config) paths() []topologies.Path {
	return c.Topology.Paths(c.Topology.Dialler(c.Experiment.From, c.Experiment.To))
}

// withDefaults fills in what zero values stand for.
func (c Config) withDefaults() Config {
	if c.Patience == 0 {
		c.Patience = defaultPatience
	}
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
