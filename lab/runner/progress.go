package runner

import (
	"time"

	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/results"
)

// Progress is how far a run is. It is a value of its own: the receiver may keep it.
type Progress struct {
	Round, Rounds int // from 1
	Trial, Trials int // over all rounds, from 1
	Arm           results.Arm
	Label         string           // the arm as the user would type it
	Elapsed       time.Duration    // of the trial's transfer
	Bytes         int64            // delivered so far, as the receiver last said
	Paths         []PathRate       // in the arm's order
	BPS           float64          // sum of Paths
	Changes       []results.Change // what the network did since the last report
	Done          *results.Trial   // set once, when the trial is over; the rest is zero but for the numbering and the arm
}

// PathRate is what a link carries at the moment towards the receiver, frames, in
// bit/s.
type PathRate struct {
	Link string
	BPS  float64
}

// progressOf returns where p stands in the run.
func (r *run) progressOf(p planned, done *results.Trial) Progress {
	return Progress{
		Round:  p.round,
		Rounds: r.Experiment.Rounds,
		Trial:  len(r.plan)/r.Experiment.Rounds*(p.round-1) + p.order,
		Trials: len(r.plan),
		Arm:    p.arm.Arm,
		Label:  p.arm.label(),
		Done:   done,
	}
}

// progressAt returns how p is doing.
func (r *run) progressAt(p planned, s sampler.Sample, received int64) Progress {
	now := r.progressOf(p, nil)
	now.Elapsed, now.Bytes = s.At, received
	for i, g := range p.arm.arriving(r.Experiment.To) {
		now.Paths = append(now.Paths, PathRate{Link: p.arm.Paths[i], BPS: g.rate(s)})
		now.BPS += g.rate(s)
	}
	return now
}
