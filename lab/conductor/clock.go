package conductor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/topologies"
)

// Clock is what a lab's time counts from: it waits, then starts once, until it is
// armed anew.
type Clock interface {
	// Arm makes the clock wait for its start again; all that is drawn by lot follows
	// from the seed from then on.
	Arm(ctx context.Context, seed uint64) error
	// Start starts the clock now. One that runs is an error that wraps ErrRunning.
	Start(ctx context.Context) error
	// Await returns when the clock started, blocking until it does.
	Await(ctx context.Context) (Started, error)
}

// Started is the instant at which a clock started.
type Started struct {
	At int64 `json:"at_ns"` // CLOCK_MONOTONIC
	// Precision is how far back the packet may lie that started it.
	Precision time.Duration `json:"precision_ns,omitempty"`
}

// ErrRunning is wrapped when a clock was to start that runs.
var ErrRunning = errors.New("the clock runs already")

const (
	// pollEvery is the longest that a first packet goes unnoticed, unless looking takes
	// so long that it would cost more than a pollShare of a CPU.
	pollEvery = 2 * time.Millisecond
	pollShare = 50
)

// OwnClock is the clock of a lab in which no relay keeps it. Make one with
// NewOwnClock.
type OwnClock struct {
	packets func() (uint64, error) // that wires have seen so far
	now     func() int64           // CLOCK_MONOTONIC

	mu      sync.Mutex
	kind    topologies.Start // once armed anew, up is as first-packet
	base    uint64           // packets before it was armed
	begin   chan Started     // closed with the start in started
	started *Started
}

// NewOwnClock returns a clock that starts as kind says, from now on. packets returns
// how many packets the wires have seen; it is called from one goroutine at a time,
// every 2 ms while the clock waits for the first.
func NewOwnClock(kind topologies.Start, packets func() (uint64, error), now func() int64) (*OwnClock, error) {
	c := &OwnClock{packets: packets, now: now, kind: kind, begin: make(chan Started)}
	var err error
	c.base, err = packets()
	return c, err
}

// Arm implements Clock.
func (c *OwnClock) Arm(context.Context, uint64) error {
	base, err := c.packets()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kind == topologies.StartUp {
		c.kind = topologies.StartFirstPacket
	}
	c.base, c.begin, c.started = base, make(chan Started), nil
	return nil
}

// Start implements Clock.
func (c *OwnClock) Start(context.Context) error {
	if !c.start(Started{At: c.now()}) {
		return ErrRunning
	}
	return nil
}

// start lets the first of several starts count.
func (c *OwnClock) start(s Started) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started != nil {
		return false
	}
	c.started = &s
	close(c.begin)
	return true
}

// Await implements Clock.
func (c *OwnClock) Await(ctx context.Context) (Started, error) {
	c.mu.Lock()
	kind, base, begin := c.kind, c.base, c.begin
	c.mu.Unlock()
	switch kind {
	case topologies.StartUp:
		c.start(Started{At: c.now()})
	case topologies.StartFirstPacket:
		if err := c.awaitPacket(ctx, base, begin); err != nil {
			return Started{}, err
		}
	}
	select {
	case <-begin:
	case <-ctx.Done():
		return Started{}, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return *c.started, nil
}

// awaitPacket starts the clock when more than base packets have been seen, and
// returns once it has started.
func (c *OwnClock) awaitPacket(ctx context.Context, base uint64, begin chan Started) error {
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	for before := c.now(); ; {
		now := c.now()
		n, err := c.packets()
		if err != nil {
			return err
		}
		if n > base {
			c.start(Started{At: now, Precision: time.Duration(now - before)})
			return nil
		}
		before = now
		cost := time.Duration(c.now() - now)
		timer.Reset(max(pollEvery, cost*pollShare))
		select {
		case <-begin:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
}
