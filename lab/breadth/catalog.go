package breadth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// Catalog says how to run the catalogue's topologies.
type Catalog struct {
	// Engine is a multipath one that can be simulated: tquic.
	Engine engine.Engine
	// Names of topologies. Empty: all that have several paths, and send as fast as it
	// goes.
	Names  []string
	Rounds int // each with luck of its own; 0: 5
	// Bytes, when above 0, is the size of each transfer, for the topology's workload.
	Bytes int64
	// Scheduler and Congestion of tquic. Empty: its defaults.
	Scheduler, Congestion string
	Workers               int // topologies at a time; 0: one a core
	// Out is a folder that takes each topology's results, as of `tquiclab run`. Empty:
	// they are thrown away.
	Out string
	// Progress, which may be nil, is told how many topologies are done, from one
	// goroutine at a time.
	Progress func(done, all int)
}

// Bond is what a topology came to. Goodputs are medians over the rounds.
type Bond struct {
	Topology string    `json:"topology"`
	Paths    []string  `json:"paths"`
	AloneBPS []float64 `json:"alone_bps"` // in Paths' order
	// BondedBPS is that over all paths, Shares its parts in Paths' order, of the first
	// round.
	BondedBPS float64   `json:"bonded_bps"`
	Shares    []float64 `json:"shares"`
	// Ratio is the median over the rounds of what the bond had of the best single path of
	// its round, Benefit of the aggregation benefit; nil: there is none.
	Ratio   float64  `json:"ratio"`
	Benefit *float64 `json:"benefit"`
	// Reinjected is the bytes sent again on another path before they were lost, of those
	// delivered, over all rounds.
	Reinjected float64 `json:"reinjected"`
	// StallMS is the longest time without a byte, over all rounds.
	StallMS      float64 `json:"stall_ms"`
	PublishedBPS float64 `json:"published_bps,omitempty"`
	Failed       int     `json:"failed"` // transfers
	// Refused says why there are no figures.
	Refused string `json:"refused,omitempty"`
}

// Run runs the topologies and returns what came of each, by name. Those that cannot be
// simulated are Refused; without Names, those with fewer than two paths are left out, and
// those that send what is due and no more.
func (c Catalog) Run(ctx context.Context) ([]Bond, error) {
	c.Rounds = cmp.Or(c.Rounds, 5)
	if c.Rounds < 0 || c.Bytes < 0 {
		return nil, fmt.Errorf("%d rounds of %d bytes: neither may be negative", c.Rounds, c.Bytes)
	}
	chosen, err := c.choose()
	if err != nil {
		return nil, err
	}
	if c.Out == "" {
		dir, err := os.MkdirTemp("", "tquiclab-breadth-")
		if err != nil {
			return nil, fmt.Errorf("make a folder for results: %w", err)
		}
		defer os.RemoveAll(dir)
		c.Out = dir
	}
	var mu sync.Mutex
	done := 0
	bonds, errs := make([]Bond, len(chosen)), make([]error, len(chosen))
	err = spread(ctx, c.Workers, len(chosen), func(i int) {
		bonds[i], errs[i] = c.bond(ctx, chosen[i])
		mu.Lock()
		defer mu.Unlock()
		done++
		if c.Progress != nil {
			c.Progress(done, len(chosen))
		}
	})
	if err := cmp.Or(err, errors.Join(errs...)); err != nil {
		return nil, fmt.Errorf("run the catalogue: %w", err)
	}
	return bonds, nil
}

// chosen is a topology under its name in the catalogue.
type chosen struct {
	name string
	topologies.Topology
}

// choose returns the topologies to run.
func (c Catalog) choose() ([]chosen, error) {
	loader := topologies.Loader{}
	names := c.Names
	if len(names) == 0 {
		for _, e := range topologies.Catalog() {
			names = append(names, e.Name)
		}
	}
	var all []chosen
	var errs []error
	for _, name := range names {
		t, err := loader.Find(name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case t.Experiment == nil || len(t.PathNames(t.Experiment.From, t.Experiment.To)) < 2:
			if len(c.Names) > 0 {
				errs = append(errs, fmt.Errorf("topology %s has no two paths to bond", name))
			}
		case t.Experiment.Workload.Timed():
			if len(c.Names) > 0 {
				errs = append(errs, fmt.Errorf("topology %s sends what is due (%s), which shows no bond's worth", name, t.Experiment.Workload.Kind))
			}
		default:
			all = append(all, chosen{name, t})
		}
	}
	return all, errors.Join(errs...)
}

// bond runs one topology.
func (c Catalog) bond(ctx context.Context, t chosen) (Bond, error) {
	b := Bond{Topology: t.name, PublishedBPS: published(t.name)}
	v := virtual{
		engine: c.Engine, rounds: c.Rounds, bytes: c.Bytes, baseline: true,
		scheduler: c.Scheduler, congestion: c.Congestion,
	}
	summary, err := v.run(ctx, t.Topology, filepath.Join(c.Out, strings.ReplaceAll(t.name, "/", "-")))
	if errors.Is(err, engine.ErrUnsupported) {
		b.Refused = strings.ReplaceAll(err.Error(), "\n", "; ")
		return b, nil
	}
	if err != nil {
		return b, fmt.Errorf("topology %s: %w", t.name, err)
	}
	b.read(summary.Trials)
	return b, nil
}

// read takes the figures from the trials.
func (b *Bond) read(trials []results.Trial) {
	alone := map[string][]float64{}
	best := map[int]float64{} // by round
	var bonded, ratios, benefits []float64
	var reinjected, delivered float64
	for _, t := range trials {
		if !t.OK() {
			b.Failed++
		}
		if len(t.Arm.Paths) == 1 {
			alone[t.Arm.Paths[0]] = append(alone[t.Arm.Paths[0]], t.GoodputBPS)
			best[t.Round] = max(best[t.Round], t.GoodputBPS)
		}
	}
	for _, t := range trials {
		if len(t.Arm.Paths) == 1 {
			continue
		}
		b.Paths = t.Arm.Paths
		bonded = append(bonded, t.GoodputBPS)
		ratios = append(ratios, t.GoodputBPS/best[t.Round])
		if t.AggregationBenefit != nil {
			benefits = append(benefits, *t.AggregationBenefit)
		}
		b.StallMS = max(b.StallMS, t.StallMaxMS)
		delivered += float64(t.Bytes)
		for _, p := range t.Paths {
			reinjected += float64(p.ReinjectedBytes)
			if t.Round == 1 {
				b.Shares = append(b.Shares, p.Share)
			}
		}
	}
	for _, p := range b.Paths {
		b.AloneBPS = append(b.AloneBPS, quantile(alone[p], 0.5))
	}
	if len(bonded) == 0 {
		b.Refused = "no transfer used several paths: the engine has no multipath"
		return
	}
	b.BondedBPS, b.Ratio = quantile(bonded, 0.5), quantile(ratios, 0.5)
	if len(benefits) > 0 {
		b.Benefit = new(quantile(benefits, 0.5))
	}
	if delivered > 0 {
		b.Reinjected = reinjected / delivered
	}
}
