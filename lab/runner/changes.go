package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// maxRecorded is how many changes a trial's record has.
const maxRecorded = 1000

// changes collects what the network does during a trial. A nil one collects nothing.
type changes struct {
	follow *lab.Follow
	end    func() // returns when the following is over

	mu    sync.Mutex
	began int64 // the transfer, CLOCK_MONOTONIC; 0: not yet
	all   []journal.Entry
	taken int // of all
	err   error
}

// armClock makes the lab meet a trial as it met the others of the round, and follows
// what happens from then on.
func (r *field) armClock(ctx context.Context, p planned) (*changes, error) {
	if err := r.Lab.Arm(ctx, r.roundSeed(p)); err != nil {
		return nil, err
	}
	follow, err := r.Lab.Follow()
	if err != nil {
		return nil, err
	}
	c := &changes{follow: follow}
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	c.end = sync.OnceFunc(func() {
		cancel()
		<-done
		c.read(context.WithoutCancel(ctx))
	})
	go func() {
		defer close(done)
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		for {
			select {
			case <-following.Done():
				return
			case <-tick.C:
				c.read(following)
			}
		}
	}()
	return c, nil
}

// followEvery is how often a lab is asked what has changed, and followBound how long
// it may take to answer.
const (
	followEvery = 100 * time.Millisecond
	followBound = 2 * time.Second
)

// read takes what has changed since the last time.
func (c *changes) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, followBound)
	defer cancel()
	entries, err := c.follow.Next(ctx, journal.Now())
	if ctx.Err() == context.Canceled {
		err = nil // the last reading tries again
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, entries...)
	if err != nil && c.err == nil {
		c.err = err
	}
}

// startClock starts a clock that waits for that, with the transfer.
func (r *field) startClock(ctx context.Context) error {
	if r.Topology.Start != topologies.StartManual {
		return nil
	}
	err := r.Lab.StartClock(ctx)
	if errors.Is(err, lab.ErrNoClock) || errors.Is(err, lab.ErrClockRuns) {
		return nil // nothing to start, or somebody was faster
	}
	return err
}

// begin says when the transfer began.
func (c *changes) begin(at int64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = at
}

// clock returns when the lab's clock started, in ms since the transfer began; false:
// it is not known.
func (c *changes) clock() (tMS float64, ok bool) {
	if c == nil {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.all, func(e journal.Entry) bool { return e.Kind == journal.Start && e.Error == "" })
	if i < 0 || c.began == 0 {
		return 0, false
	}
	return c.since(c.all[i].At), true
}

// since returns an instant as ms since the transfer began.
func (c *changes) since(at int64) float64 { return float64((at-c.began)/1e3) / 1e3 }

// stop ends the following, once all that happened before is in. Idempotent.
func (c *changes) stop() {
	if c != nil {
		c.end()
	}
}

// take returns what came since the last call.
func (c *changes) take() []results.Change {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var fresh []results.Change
	for _, e := range c.all[c.taken:] {
		fresh = append(fresh, c.change(e))
	}
	c.taken = len(c.all)
	return fresh
}

// recorded returns what a trial's record has of it.
func (c *changes) recorded() []results.Change {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []results.Change
	for _, e := range c.all[:min(len(c.all), maxRecorded)] {
		all = append(all, c.change(e))
	}
	if c.err != nil {
		what := "the changes could not be followed: " + c.err.Error()
		all = append(all, results.Change{What: what, By: string(journal.Timeline), Error: c.err.Error()})
	}
	return all
}

func (c *changes) change(e journal.Entry) results.Change {
	change := results.Change{
		What: e.Text(), By: string(e.By), Error: e.Error,
		LateMS: float64(e.Late.Microseconds()) / 1e3,
	}
	if c.began != 0 {
		change.TMS = c.since(e.At)
	}
	return change
}

// changeLine is a line of a series.
type changeLine struct {
	Kind string `json:"kind"` // "change"
	results.Change
}

func (s *samples) addChanges(series *results.Series, changes []results.Change) {
	for _, c := range changes {
		if err := series.Append(changeLine{Kind: "change", Change: c}); err != nil && s.err == nil {
			s.err = err
		}
	}
}

// changeWarnings says what is odd about what happened during a trial.
func changeWarnings(name string, changes []results.Change) []string {
	var warnings []string
	byHand, latest := 0, 0.0
	for _, c := range changes {
		latest = max(latest, c.LateMS)
		switch {
		case c.Error != "":
			warnings = append(warnings, fmt.Sprintf("%s: %s", name, changeWords(c)))
		case c.By == string(journal.Hand):
			if byHand++; byHand <= maxHandWarnings {
				warnings = append(warnings, fmt.Sprintf("%s: changed by hand at %.1f s: %s", name, c.TMS/1e3, c.What))
			}
		}
	}
	if byHand > maxHandWarnings {
		warnings = append(warnings, fmt.Sprintf("%s: %d more changes by hand", name, byHand-maxHandWarnings))
	}
	if limit := float64(changeLateLimit.Milliseconds()); latest > limit {
		warnings = append(warnings, fmt.Sprintf("%s: the timeline ran late, by up to %.1f ms", name, latest))
	}
	if len(changes) >= maxRecorded {
		warnings = append(warnings, fmt.Sprintf("%s: only the first %d changes are in the record, the series has all", name, maxRecorded))
	}
	return warnings
}

const (
	maxHandWarnings = 5
	// changeLateLimit is how late a change may be before it is told: above what a NAT
	// takes to forget, some 30 ms.
	changeLateLimit = 50 * time.Millisecond
)
