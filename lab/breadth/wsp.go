package breadth

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/engine/sim"
	"github.com/tquiclab/tquiclab/engine/sim/wsp"
	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/results"
)

// WSP says how to run the experiment of engine/sim/wsp.
type WSP struct {
	Sample  int   // runs of each class, spread evenly over all 506; 0: all
	Repeats int   // transfers over the same links, each with luck of its own; 0: 3
	Bytes   int64 // of a transfer; 0: 20 MB
	// Congestion and Scheduler as in sim.Config.
	Congestion, Scheduler string
	Workers               int // simulations at a time; 0: one a core
	// Progress, which may be nil, is told how many runs are done, from one goroutine at a
	// time.
	Progress func(done, all int)
}

// wspBound is the virtual time after which a transfer has failed. The slowest path,
// 0.1 Mbit/s, carries 20 MB in 27 minutes.
const wspBound = 2 * time.Hour

// wspKeepAlive is what the engine tquic has in a lab.
const wspKeepAlive = 10 * time.Second

// Run is a scenario with one of its paths as the first. Goodputs are medians over the
// repeats, bytes over the time from the first packet of the handshake to the end of
// the transfer; 0 for a transfer that failed.
type Run struct {
	wsp.Scenario
	First     int        `json:"first"` // the path of the handshake, 0 or 1
	AloneBPS  [2]float64 `json:"alone_bps"`
	BondedBPS float64    `json:"bonded_bps"`
	// Benefit is the aggregation benefit, -1 for a bond that failed; nil when the second
	// path carries nothing alone, so that there is nothing to aggregate.
	Benefit *float64 `json:"benefit"`
	Failed  int      `json:"failed"`           // transfers over the bond, of the repeats
	Errors  []string `json:"errors,omitempty"` // of all its transfers
}

// Best returns the goodput of the better path alone.
func (r Run) Best() float64 { return max(r.AloneBPS[0], r.AloneBPS[1]) }

// Run runs the experiment and returns its runs by class, point and first path. The
// error says that it was interrupted or cannot be run.
func (x WSP) Run(ctx context.Context) ([]Run, error) {
	x.Repeats = cmp.Or(x.Repeats, 3)
	x.Bytes = cmp.Or(x.Bytes, 20_000_000)
	if x.Sample < 0 || x.Repeats < 0 || x.Bytes < 0 {
		return nil, fmt.Errorf("a sample of %d, %d repeats, %d bytes: none may be negative", x.Sample, x.Repeats, x.Bytes)
	}
	jobs, err := x.plan()
	if err != nil {
		return nil, err
	}
	all := 0
	for _, j := range jobs {
		all += len(j.firsts)
	}
	var mu sync.Mutex
	done := 0
	runs := make([][]Run, len(jobs))
	err = spread(ctx, x.Workers, len(jobs), func(i int) {
		runs[i] = x.scenario(ctx, jobs[i])
		mu.Lock()
		defer mu.Unlock()
		done += len(runs[i])
		if x.Progress != nil {
			x.Progress(done, all)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("run the experiment: %w", err)
	}
	return slices.Concat(runs...), nil
}

// job is a scenario, and which of its paths come first in its runs.
type job struct {
	wsp.Scenario
	firsts []int
}

// plan returns the scenarios of all classes, or of the sample.
func (x WSP) plan() ([]job, error) {
	var jobs []job
	for _, class := range wsp.Classes() {
		scenarios, err := class.Scenarios()
		if err != nil {
			return nil, err
		}
		if x.Sample == 0 || x.Sample >= 2*len(scenarios) {
			for _, s := range scenarios {
				jobs = append(jobs, job{s, []int{0, 1}})
			}
			continue
		}
		for i := range x.Sample {
			at := i * 2 * len(scenarios) / x.Sample / 2
			jobs = append(jobs, job{scenarios[at], []int{i % 2}}) // of two neighbours at one point each has another
		}
	}
	return jobs, nil
}

// scenario does the runs of one scenario.
func (x WSP) scenario(ctx context.Context, j job) []Run {
	links := j.Links()
	base := Run{Scenario: j.Scenario}
	for i, l := range links {
		base.AloneBPS[i], _ = x.median(ctx, &base, l)
	}
	var runs []Run
	for _, first := range j.firsts {
		r := base
		r.Errors = slices.Clone(base.Errors)
		r.First = first
		r.BondedBPS, r.Failed = x.median(ctx, &r, links[first], links[1-first])
		if r.BondedBPS == 0 {
			r.Benefit = new(-1.0)
		} else if b, ok := results.AggregationBenefit(r.BondedBPS, r.AloneBPS[:]); ok {
			r.Benefit = &b
		}
		runs = append(runs, r)
	}
	return runs
}

// median returns the goodput over the links and how many of the repeats failed, whose
// errors it notes.
func (x WSP) median(ctx context.Context, r *Run, links ...sim.Link) (bps float64, failed int) {
	var all []float64
	for i := range x.Repeats {
		g, err := x.goodput(ctx, uint64(i+1), links)
		if err != nil {
			failed++
			r.Errors = append(r.Errors, fmt.Sprintf("repeat %d over %s: %v", i+1, linkNames(links), err))
		}
		all = append(all, g)
	}
	return quantile(all, 0.5), failed
}

func linkNames(links []sim.Link) string {
	if len(links) == 1 {
		return links[0].Name
	}
	return links[0].Name + " and " + links[1].Name
}

// goodput simulates one transfer from the server to the client.
func (x WSP) goodput(ctx context.Context, seed uint64, links []sim.Link) (float64, error) {
	r, err := sim.Run(ctx, sim.Config{
		Links: links, Seed: seed, Bulk: workload.Bulk{Seed: seed, Bytes: x.Bytes, Streams: 1}, Sender: sim.Server,
		Congestion: x.Congestion, Scheduler: x.Scheduler, KeepAlive: wspKeepAlive, Bound: wspBound,
	})
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return 0, err
	}
	return float64(x.Bytes) * 8 / (r.SetUp + r.Elapsed).Seconds(), nil
}
