package breadth

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/topologies"
)

// Failover says how to run the topology of that name in virtual time.
type Failover struct {
	// Engine is a multipath one that can be simulated: tquic.
	Engine engine.Engine
	Rounds int // each with luck of its own; 0: 5
	// Scheduler and Congestion of tquic. Empty: its defaults.
	Scheduler, Congestion string
	// Out is a folder that takes the records, as of `tquiclab run`. Empty: they are thrown
	// away.
	Out string
}

const failoverName = "failover"

// Recovery is what one outage did to one arm's transfers over several paths.
type Recovery struct {
	Outage
	// Arm is the engine, with its scheduler and congestion control.
	Arm string
	// GapsMS has of each good transfer the longest time without a byte that touches the
	// second from the outage on; 0: none of workload.MinGap. Where none is in the record
	// and that had no more room it is the shortest that is: a bound.
	GapsMS []float64
	// ReturnsMS has how long it took from the link's return until it carried data, as fine
	// as the series is; +Inf: it did not before the next outage, or the end.
	ReturnsMS []float64
	Failed    int // transfers, of which there are no figures
}

// Run runs the topology and returns what came of each of its outages, in order.
func (f Failover) Run(ctx context.Context) ([]Recovery, error) {
	f.Rounds = cmp.Or(f.Rounds, 5)
	if f.Rounds < 0 {
		return nil, fmt.Errorf("%d rounds are none", f.Rounds)
	}
	t, err := topologies.Loader{}.Find(failoverName)
	if err != nil {
		return nil, err
	}
	if f.Out == "" {
		parent, err := os.MkdirTemp("", "tquiclab-failover-")
		if err != nil {
			return nil, fmt.Errorf("make a folder for results: %w", err)
		}
		defer os.RemoveAll(parent)
		f.Out = filepath.Join(parent, "run")
	}
	v := virtual{engine: f.Engine, rounds: f.Rounds, scheduler: f.Scheduler, congestion: f.Congestion}
	if _, err := v.run(ctx, t, f.Out); err != nil {
		return nil, fmt.Errorf("topology %s: %w", t.Name, err)
	}
	return ReadFailover(f.Out)
}

// ReadFailover reads the folders of runs over topologies whose links go black or down,
// such as failover, and returns what came of each arm's transfers over several paths:
// arm by arm, each with its outages in order.
func ReadFailover(folders ...string) ([]Recovery, error) {
	var all []Recovery
	for _, dir := range folders {
		r, err := openFailover(dir)
		if err == nil {
			all, err = r.read(all)
		}
		if err != nil {
			return nil, fmt.Errorf("read the run in %s: %w", dir, err)
		}
	}
	var arms []string
	for _, r := range all {
		if !slices.Contains(arms, r.Arm) {
			arms = append(arms, r.Arm)
		}
	}
	slices.SortStableFunc(all, func(a, b Recovery) int {
		return cmp.Or(cmp.Compare(slices.Index(arms, a.Arm), slices.Index(arms, b.Arm)), cmp.Compare(a.At, b.At))
	})
	return all, nil
}
