package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/capture"
	"github.com/tquiclab/tquiclab/lab/runner"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/results/report"
	"github.com/tquiclab/tquiclab/topologies"
)

// runsFolder is where records go without --out.
const runsFolder = "runs"

type runFlags struct {
	experimentFlags
	name    string
	backend string
	out     string
	// baseline adds multipath engines on each path alone.
	baseline bool
	// drops keeps a log of every drop, uncalibrated leaves the links unmeasured.
	drops, uncalibrated bool
	qlog                bool
	capture             string // points, with commas; pointsDefault where only the flag was given
	points              []capture.Point
	json                bool
	verbose             bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run TOPOLOGY",
		Short: "Run transports over a topology and compare what they achieve",
		Long: `Runs every engine of the experiment in every round, in shuffled order, over the
topology's lab: raises the lab if it is not up, and takes it down again if it
raised it. Every byte received is checked.

An engine that uses several paths at once uses all links between the two nodes.
One that uses a single path runs once on each, so that the best single path is
measured. --paths limits both to some of the links; ENGINE@LINK or
ENGINE@LINK+LINK pins one engine.

With --baseline an engine that uses several paths runs on each of them alone, too, in
every round, with the same congestion control. Its aggregation benefit is computed
from the trials of one round: 0 is the best of its paths alone, 1 the sum of all.

--scheduler and --congestion name what engines are to use that let one choose. Of
several names each makes an arm, so they are compared. ENGINE:scheduler=NAME and
ENGINE:congestion=NAME, behind the links if there are any, are for one engine alone.
An engine that has a choice, but not that name, is an error that lists its names. One
without a choice keeps its own, which the result says.

The workload is bulk, as fast as it goes, unless the topology or --workload says
otherwise: rpc asks at a rate, cbr sends frames that have a deadline, handshake
sets sessions up again and again. The table then has their latencies, which count
from when each request or frame was due (docs/TOPOLOGY.md, "The workload").

With the environment variable SSLKEYLOGFILE the TLS secrets of all sessions are
appended to the file that it names, so that a capture can be decrypted.

The records go to a folder (--out): manifest.json, trials.jsonl, series/ and
summary.json, which --json also prints. run exits with 1 when a transfer failed
or was not intact.

With --qlog the engines that can, write a qlog file of each connection, on both
sides, to qlog/ROUND-ORDER-ENGINE in the folder. Writing them costs speed, so
compare such runs with each other only.

With --capture the packets of each trial are captured, with the TLS secrets that
decrypt them, to capture/ROUND-ORDER-ENGINE.pcapng in the folder: at each link's
first endpoint, or at the points that --capture=POINT,POINT names ("tquiclab capture
--help"). That costs CPU time, too.

With --backend sim the run takes place in virtual time, in this process: no lab,
no root, no waiting. Only engines that can be simulated take part, the links do
exactly what the topology says, and one seed gives one result. Computing takes no
time there, so CPU figures stay empty.

    sudo tquiclab run lte-wifi --duration 5s --engine quic-go-bond,mptcp,tcp@wifi
    sudo tquiclab run lte-wifi --workload cbr --rate 5mbit --deadline 200ms`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE:              func(c *cobra.Command, args []string) error { return a.runTopology(c, f, args[0]) },
	}
	f.experimentFlags.add(c)
	c.Flags().StringVar(&f.backend, "backend", lab.BackendAuto, "who emulates the impaired links: auto, netem, relay or sim")
	c.Flags().StringVar(&f.name, "name", "", "name of the lab, instead of the topology's")
	c.Flags().StringVar(&f.out, "out", "", "folder of the records (default "+runsFolder+"/LAB-DATE)")
	c.Flags().BoolVar(&f.baseline, "baseline", false, "run multipath engines on each path alone too, in every round, for the aggregation benefit")
	c.Flags().BoolVar(&f.uncalibrated, "no-calibration", false, "do not measure the links before the first trial")
	c.Flags().BoolVar(&f.drops, "drops", false, "keep every drop of the emulated paths, with its reason and the queue (backend relay)")
	c.Flags().BoolVar(&f.qlog, "qlog", false, "keep a qlog file of each connection, from the engines that can")
	c.Flags().StringVar(&f.capture, "capture", "", "capture each trial's packets, at the given points or at each link's first endpoint")
	c.Flags().Lookup("capture").NoOptDefVal = pointsDefault
	c.Flags().BoolVar(&f.json, "json", false, "print summary.json instead of the table")
	addVerboseFlag(c, &f.verbose)
	return c
}

// runTopology checks whatever can be checked before it raises the lab.
func (a *app) runTopology(c *cobra.Command, f runFlags, name string) error {
	simulated := f.backend == runner.BackendSim
	if !simulated {
		if err := checkBackend(f.backend); err != nil {
			return err
		}
	}
	t, err := a.loader().Find(name)
	if err != nil {
		return err
	}
	if err := f.apply(c, &t, a.loader().Engines); err != nil {
		return err
	}
	if err := runner.CheckArms(a.armsConfig(f, t)); err != nil {
		return usageError{err}
	}
	if err := a.keepAble(f.experimentFlags, t.Experiment); err != nil {
		return err
	}
	if f.points, err = capturePoints(f.capture, t, simulated); err != nil {
		return err
	}
	measure := a.measure
	if simulated {
		if err := a.keepSimulated(f, t.Experiment); err != nil {
			return err
		}
		measure = a.simulate
	} else if err := a.checkLab(c, f, t); err != nil {
		return err
	}
	user, err := a.invokingUser()
	if err != nil {
		return err
	}
	folder, err := a.createFolder(f, t)
	if err != nil {
		return err
	}
	summary, runErr := measure(c, f, t, folder, user)
	runErr = errors.Join(runErr, user.own(folder.Dir()))
	if f.out == "" {
		runErr = errors.Join(runErr, user.own(runsFolder))
	}
	if len(summary.Trials) == 0 {
		return runErr
	}
	return errors.Join(runErr, a.printSummary(f, *t.Experiment, summary, folder.Dir()), failedTrials(summary))
}

// checkLab says whether this user and this machine can raise the topology's lab.
func (a *app) checkLab(c *cobra.Command, f runFlags, t topologies.Topology) error {
	if err := lab.CheckPrivileges(); err != nil {
		return err
	}
	_, err := a.host(a.log(c)).Backend(t, f.backend)
	return err
}

// pointsDefault stands for --capture without points.
const pointsDefault = "default"

// capturePoints returns where a run captures, if it does.
func capturePoints(flag string, t topologies.Topology, simulated bool) ([]capture.Point, error) {
	if flag == "" {
		return nil, nil
	}
	if simulated {
		return nil, usageError{errors.New("--capture: a simulation has no packets on a wire: use --qlog, or another backend")}
	}
	var words []string
	if flag != pointsDefault {
		words = strings.Split(flag, ",")
	}
	points, err := capture.Points(t, words)
	if err != nil {
		return nil, usageError{fmt.Errorf("--capture: %w", err)}
	}
	return points, nil
}

func (a *app) createFolder(f runFlags, t topologies.Topology) (*results.Run, error) {
	out := f.out
	if out == "" {
		out = filepath.Join(runsFolder, cmp.Or(f.name, t.Name)+"-"+time.Now().Format("20060102-150405"))
	}
	return results.Create(out)
}

// measure runs the experiment in the lab, which it raises if need be.
func (a *app) measure(c *cobra.Command, f runFlags, t topologies.Topology, folder *results.Run, user *invokingUser) (results.Summary, error) {
	ctx := c.Context()
	up, err := a.host(a.log(c)).Up(ctx, lab.UpConfig{Topology: t, Name: f.name, Backend: f.backend, OwnerPID: os.Getpid()})
	if err != nil {
		return results.Summary{}, errors.Join(err, folder.Discard())
	}
	summary, err := a.measureIn(ctx, c, up.Lab, f, t, folder, user)
	// The run may have been interrupted; the lab goes down all the same.
	down, released, downErr := up.Lab.Release(context.WithoutCancel(ctx))
	if released {
		warnLeft(a.stderr, down)
	}
	return summary, errors.Join(err, downErr)
}

func (a *app) measureIn(ctx context.Context, c *cobra.Command, l *lab.Lab, f runFlags, t topologies.Topology, folder *results.Run, user *invokingUser) (results.Summary, error) {
	release, err := l.Reserve(ctx)
	if err != nil {
		return results.Summary{}, errors.Join(err, folder.Discard())
	}
	defer release()
	manifest, err := a.newManifest(l)
	if err != nil {
		return results.Summary{}, errors.Join(err, folder.Discard())
	}
	line := runner.NewLine(os.Stderr)
	defer line.Close()
	config := a.runConfig(c, f, t, folder, manifest)
	if !f.uncalibrated {
		if config.Calibration, err = a.calibrateBefore(ctx, l); err != nil {
			return results.Summary{}, errors.Join(err, folder.Discard())
		}
	}
	config.Lab, config.LabName, config.Backend = l, l.Name(), l.Backend()
	config.Agent = func() *exec.Cmd { return exec.Command(a.executable, agentVerb) }
	config.Drop = user.credential()
	config.Progress = line.Show
	return runner.Run(ctx, config)
}

// runConfig is what every run has, whatever its backend.
func (a *app) runConfig(c *cobra.Command, f runFlags, t topologies.Topology, folder *results.Run, m results.Manifest) runner.Config {
	config := a.armsConfig(f, t)
	config.Seed, config.QLOG, config.Drops, config.Capture = t.Seed, f.qlog, f.drops, f.points
	config.Folder, config.Manifest = folder, m
	config.Steal = func() (float64, error) { return results.ReadSteal(os.DirFS("/")) }
	config.Log = a.log(c)
	return config
}

// armsConfig is what says which arms a run has.
func (a *app) armsConfig(f runFlags, t topologies.Topology) runner.Config {
	return runner.Config{Topology: t, Engines: a.engines, Experiment: *t.Experiment, Baseline: f.baseline}
}

func (a *app) printSummary(f runFlags, x topologies.Experiment, s results.Summary, dir string) error {
	if f.json {
		return writeJSON(a.stdout, s)
	}
	if err := report.Table(a.stdout, s, report.Options{Width: widthOf(a.stdout), Workload: x.Workload.Text()}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "\nrecords: %s\n", dir)
	return err
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// failedTrials returns an error when not every transfer was intact.
func failedTrials(s results.Summary) error {
	var failed []string
	for _, t := range s.Trials {
		if !t.Intact {
			failed = append(failed, fmt.Sprintf("%s in round %d: %s", t.Arm.Engine, t.Round, t.Error))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d transfers failed:\n  %s", len(failed), len(s.Trials), strings.Join(failed, "\n  "))
}
