package conductor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/journal"
)

// Carrier says whether a link carries at all.
type Carrier string

// The carriers.
const (
	CarrierOn  Carrier = "on"
	CarrierOff Carrier = "off"
)

// Stage is what a conductor changes.
type Stage interface {
	SetLink(link string, c Carrier) error
	// Impair makes a direction's packets suffer imp, with random numbers from the seed.
	Impair(link, way string, imp emulation.Impairments, seed uint64) error
	// Rebind makes a NAT forget its mappings.
	Rebind(node string) error
}

// Config is what a conductor works with.
type Config struct {
	Spec   Spec
	Stage  Stage
	Clock  Clock
	Now    func() int64                // CLOCK_MONOTONIC, ns
	Record func(e journal.Entry) error // appends to the journal
	Log    *slog.Logger
}

// Conductor plays a lab's timeline. One goroutine calls Run; the other methods may
// be called from anywhere while it runs.
type Conductor struct {
	Config
	calls  chan call
	starts chan awaited

	// What follows belongs to Run's goroutine.
	score     *Score
	seed      uint64
	epoch     int64 // when the clock started
	running   bool
	down      map[string]bool // links that carry nothing
	stopAwait func()          // returns when nobody waits for the clock any more; nil when nobody does
	status    Status
}

// call is something to be done on Run's goroutine.
type call struct {
	do   func(ctx context.Context) error
	done chan error
}

// awaited is the end of a wait for the clock.
type awaited struct {
	Started
	err error
}

// New returns a conductor at the start of its spec's score.
func New(c Config) *Conductor {
	return &Conductor{
		Config: c, calls: make(chan call), starts: make(chan awaited),
		score: NewScore(c.Spec), seed: c.Spec.Seed, down: map[string]bool{},
	}
}

// Run plays until ctx ends.
func (c *Conductor) Run(ctx context.Context) {
	c.await(ctx)
	defer c.rest()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select { // first, however much is due
		case request := <-c.calls:
			request.done <- request.do(ctx)
		default:
		}
		timer.Reset(c.untilNext())
		select {
		case <-ctx.Done():
			return
		case request := <-c.calls:
			request.done <- request.do(ctx)
		case s := <-c.starts:
			_ = c.begin(s) // it is in the status
		case <-timer.C:
		}
		c.play()
	}
}

// idle is how long the conductor rests where nothing is due.
const idle = time.Hour

func (c *Conductor) untilNext() time.Duration {
	if !c.running {
		return idle
	}
	at, ok := c.score.Next()
	if !ok || at > math.MaxInt64-time.Duration(c.epoch) {
		return idle
	}
	return min(time.Duration(c.epoch)+at-time.Duration(c.Now()), idle)
}

// await waits for the clock beside Run's loop.
func (c *Conductor) await(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	c.stopAwait = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		var a awaited
		a.Started, a.err = c.Clock.Await(ctx)
		select {
		case c.starts <- a:
		case <-ctx.Done():
		}
	}()
}

// begin takes note that the clock started.
func (c *Conductor) begin(a awaited) error {
	c.stopAwait()
	c.stopAwait = nil
	if a.err != nil {
		c.fail("wait for the clock", a.err)
		return a.err
	}
	c.epoch, c.running = a.At, true
	c.record(journal.Entry{At: a.At, By: journal.Timeline, Kind: journal.Start, Late: a.Precision})
	return nil
}

// rest stops the clock.
func (c *Conductor) rest() {
	c.running = false
	if c.stopAwait != nil {
		c.stopAwait()
		c.stopAwait = nil
	}
}

// call runs f on Run's goroutine.
func (c *Conductor) call(ctx context.Context, f func(context.Context) error) error {
	request := call{f, make(chan error, 1)}
	select {
	case c.calls <- request:
	case <-ctx.Done():
		return fmt.Errorf("the conductor is busy: %w", ctx.Err())
	}
	return <-request.done
}

// record writes to the journal, with the time since the start.
func (c *Conductor) record(e journal.Entry) {
	if c.running {
		e.Since = new(time.Duration(e.At - c.epoch))
	}
	err := c.Record(e)
	switch {
	case err == nil:
		c.status.Recorded++
	case errors.Is(err, journal.ErrFull):
		c.status.Unrecorded++
	default:
		c.status.Unrecorded++
		c.fail("record a change", err)
	}
}

// fail notes what went wrong; the show goes on.
func (c *Conductor) fail(what string, err error) {
	c.status.Failures++
	c.status.Failure = fmt.Sprintf("%s: %v", what, err)
	c.Log.Error(what, "lab", c.Spec.Lab, "error", err)
}
