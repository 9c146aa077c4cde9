package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/topologies"
)

// experimentFlags override a topology's experiment.
type experimentFlags struct {
	workloadFlags
	engines     []string
	paths       []string
	schedulers  []string
	congestions []string
	duration    string
	bytes       string
	streams     int
	connections int
	rounds      int
	seed        uint64
}

func (f *experimentFlags) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.engines, "engine", nil, "engines to run, instead of the topology's: a,b or a@link")
	c.Flags().StringSliceVar(&f.paths, "paths", nil, "only paths that engines without an @ use: link,link (default all)")
	c.Flags().StringSliceVar(&f.schedulers, "scheduler", nil, "schedulers of engines that can choose, an arm each: a,b")
	c.Flags().StringSliceVar(&f.congestions, "congestion", nil, "congestion controls of engines that can choose, an arm each: a,b")
	f.workloadFlags.add(c)
	c.Flags().StringVar(&f.duration, "duration", "", "how long each trial sends, such as 10s")
	c.Flags().StringVar(&f.bytes, "bytes", "", "how much each trial sends, such as 100MB, instead of a duration")
	c.Flags().IntVar(&f.streams, "streams", 0, "streams per connection")
	c.Flags().IntVar(&f.connections, "connections", 0, "connections per trial")
	c.Flags().IntVar(&f.rounds, "rounds", 0, "how often each engine runs")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "seed of the links' randomness, the data and the order, instead of the topology's")
}

// apply puts the flags that were given into the topology. The result is checked
// like a file: an experiment that a file could not have is a usage error.
func (f experimentFlags) apply(c *cobra.Command, t *topologies.Topology, engines []string) error {
	if t.Experiment == nil {
		x, err := defaultExperiment(*t, engines)
		if err != nil {
			return err
		}
		t.Experiment = x
	} else {
		x := *t.Experiment // the loaded one stays as it is
		t.Experiment = &x
	}
	x := t.Experiment
	for _, list := range []struct {
		from []string
		to   *[]string
	}{{f.engines, &x.Engines}, {f.paths, &x.Paths}, {f.schedulers, &x.Schedulers}, {f.congestions, &x.Congestions}} {
		if len(list.from) > 0 {
			*list.to = list.from
		}
	}
	if err := f.workloadFlags.apply(&x.Workload); err != nil {
		return err
	}
	if err := f.applyAmount(&x.Workload); err != nil {
		return err
	}
	for _, n := range []struct {
		flag string
		from int
		to   *int
	}{
		{"parallel", f.parallel, &x.Workload.Parallel},
		{"streams", f.streams, &x.Workload.Streams},
		{"connections", f.connections, &x.Workload.Connections},
		{"rounds", f.rounds, &x.Rounds},
	} {
		if c.Flags().Changed(n.flag) {
			*n.to = n.from
		}
	}
	if c.Flags().Changed("seed") {
		t.Seed = f.seed
	}
	return checkExperiment(*t, engines)
}

func (f experimentFlags) applyAmount(w *topologies.Workload) error {
	switch {
	case f.duration != "" && f.bytes != "":
		return usageError{errors.New("--duration and --bytes exclude each other")}
	case f.duration != "":
		d, err := topologies.ParseTime(f.duration)
		if err != nil {
			return usageError{fmt.Errorf("--duration: %w", err)}
		}
		w.Duration, w.Bytes = d, 0
	case f.bytes != "":
		n, err := topologies.ParseSize(f.bytes)
		if err != nil {
			return usageError{fmt.Errorf("--bytes: %w", err)}
		}
		w.Duration, w.Bytes = 0, int64(n)
	}
	return nil
}

// checkExperiment holds the experiment against the loader's rules, which are the only
// ones.
func checkExperiment(t topologies.Topology, engines []string) error {
	err := topologies.Loader{Engines: engines}.CheckExperiment(t)
	problems, ok := err.(topologies.Problems)
	if !ok {
		return err
	}
	text := ""
	for _, p := range problems {
		text += "\n  " + p.Path + ": " + p.Text
		if p.Expected != "" {
			text += ": expected " + p.Expected
		}
	}
	return usageError{fmt.Errorf("the experiment that the flags make of %s:%s", t.Name, text)}
}

// defaultExperiment sends from the second endpoint of the first link to the
// first, with every engine, as a download does.
func defaultExperiment(t topologies.Topology, engines []string) (*topologies.Experiment, error) {
	if len(t.Links) == 0 {
		return nil, usageError{fmt.Errorf("topology %s has no link to run over", t.Name)}
	}
	ends := t.Links[0].Endpoints
	return &topologies.Experiment{
		From: ends[1], To: ends[0], Engines: slices.Clone(engines), Rounds: 3,
		Workload: topologies.DefaultWorkload(),
	}, nil
}
