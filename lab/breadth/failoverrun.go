package breadth

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// failoverRun is a run whose links go black or down, as its folder has it.
type failoverRun struct {
	dir      string
	receiver string // the node
	outages  []Outage
	trials   []results.Trial
}

// openFailover reads a run's folder but for its series. A manifest without a topology
// stands for the catalogue's failover.
func openFailover(dir string) (*failoverRun, error) {
	m, s, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	t, err := topologyOf(m)
	if err != nil {
		return nil, err
	}
	r := &failoverRun{dir: dir, receiver: t.Experiment.To}
	if r.outages, err = outages(t); err != nil {
		return nil, fmt.Errorf("topology %s: %w", t.Name, err)
	}
	for _, trial := range s.Trials {
		if len(trial.Arm.Paths) > 1 {
			r.trials = append(r.trials, trial)
		}
	}
	if len(r.trials) == 0 {
		return nil, errors.New("it has no transfer over several paths")
	}
	return r, nil
}

// topologyOf returns what a run was over, with the experiment as it was run.
func topologyOf(m results.Manifest) (topologies.Topology, error) {
	var t topologies.Topology
	if len(m.Topology) == 0 {
		return topologies.Loader{}.Find(failoverName)
	}
	if err := json.Unmarshal(m.Topology, &t); err != nil {
		return t, fmt.Errorf("decode the manifest's topology: %w", err)
	}
	if len(m.Experiment) > 0 {
		if err := json.Unmarshal(m.Experiment, &t.Experiment); err != nil {
			return t, fmt.Errorf("decode the manifest's experiment: %w", err)
		}
	}
	if t.Experiment == nil {
		return t, errors.New("the manifest does not say who received")
	}
	return t, nil
}

// read adds the figures of the run's transfers to those of the same arm and outage.
func (r *failoverRun) read(all []Recovery) ([]Recovery, error) {
	for _, t := range r.trials {
		gaps, returns, err := r.figures(t)
		if err != nil {
			return nil, fmt.Errorf("round %d, %s: %w", t.Round, t.Arm.Engine, err)
		}
		for i, o := range r.outages {
			if !slices.Contains(t.Arm.Paths, o.Link) {
				continue
			}
			rec := recovery(&all, o, armText(t.Arm))
			if !t.OK() {
				rec.Failed++
				continue
			}
			rec.GapsMS, rec.ReturnsMS = append(rec.GapsMS, gaps[i]), append(rec.ReturnsMS, returns[i])
		}
	}
	return all, nil
}

// recovery finds that of an arm and an outage, or adds it.
func recovery(all *[]Recovery, o Outage, arm string) *Recovery {
	i := slices.IndexFunc(*all, func(r Recovery) bool { return r.Outage == o && r.Arm == arm })
	if i < 0 {
		i = len(*all)
		*all = append(*all, Recovery{Outage: o, Arm: arm})
	}
	return &(*all)[i]
}

func armText(a results.Arm) string {
	return strings.Join(strings.Fields(a.Engine+" "+a.Scheduler+" "+a.Congestion), " ")
}

// figures returns of each outage the longest gap and how long the link took to carry
// data again, in ms. Of a failed transfer there are none.
func (r *failoverRun) figures(t results.Trial) (gaps, returns []float64, err error) {
	switch {
	case !t.OK():
		return nil, nil, nil
	case t.ClockTMS == nil:
		return nil, nil, errors.New("the record does not say when the events' clock started (clock_t_ms)")
	case len(t.Stalls) == 0 && t.StallMaxMS >= ms(workload.MinGap):
		return nil, nil, errors.New("the record has no stalls, though the stream stood still: it is of an earlier version")
	}
	arrived, err := readArrivals(r.series(t), r.receiver)
	if err != nil {
		return nil, nil, err
	}
	for i, o := range r.outages {
		at := *t.ClockTMS + ms(o.At)
		until := math.Inf(1)
		for _, next := range r.outages[i+1:] {
			if next.Link == o.Link {
				until = *t.ClockTMS + ms(next.At)
				break
			}
		}
		gaps = append(gaps, longestGap(t.Stalls, at, at+ms(outageWindow)))
		if slices.Contains(t.Arm.Paths, o.Link) && len(arrived[o.Link]) == 0 {
			return nil, nil, fmt.Errorf("%s has no counters of %s at %s", r.series(t), o.Link, r.receiver)
		}
		returns = append(returns, carriesAgain(arrived[o.Link], at+ms(o.For), until))
	}
	return gaps, returns, nil
}

func (r *failoverRun) series(t results.Trial) string {
	name := results.Planned{Round: t.Round, Order: t.Order, Arm: t.Arm}.Name()
	return filepath.Join(r.dir, results.SeriesDir, name+".jsonl")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// longestGap returns the longest stall that touches a time. Where none does it is 0; or
// the shortest that was kept, if others had to give way.
func longestGap(stalls []results.Stall, from, to float64) float64 {
	longest, shortest := 0.0, math.Inf(1)
	for _, s := range stalls {
		shortest = min(shortest, s.MS)
		if s.AtMS < to && s.AtMS+s.MS > from {
			longest = max(longest, s.MS)
		}
	}
	if longest == 0 && len(stalls) >= workload.MaxGaps {
		return shortest
	}
	return longest
}

// arrivals is what had come to an interface by some time.
type arrivals struct {
	atMS  float64
	bytes uint64
}

// carries is what a link brings between two samples when it carries data, and not just
// questions whether it is there: less than an initial window of ten packets (RFC 6928),
// more than a few probes of a full packet.
const carries = 10_000

// carriesAgain returns how long it took from a link's return to the end of the first
// sample in which it carried data; +Inf: it did not until then.
func carriesAgain(all []arrivals, back, until float64) float64 {
	var before uint64
	for _, a := range all {
		if a.atMS > back && a.atMS <= until && a.bytes-min(a.bytes, before) >= carries {
			return a.atMS - back
		}
		before = a.bytes
	}
	return math.Inf(1)
}

// readArrivals reads from a series what came to a node over each link.
func readArrivals(path, node string) (map[string][]arrivals, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the series: %w", err)
	}
	defer f.Close()
	all := map[string][]arrivals{}
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		var l struct {
			TMS     float64 `json:"t_ms"`
			Node    string  `json:"node"`
			Link    string  `json:"link"`
			RxBytes uint64  `json:"rx_bytes"`
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if l.Node == node {
			all[l.Link] = append(all[l.Link], arrivals{l.TMS, l.RxBytes})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return all, nil
}
