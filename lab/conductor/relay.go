package conductor

import (
	"context"
	"errors"

	"github.com/tquiclab/tquiclab/emulation/relay"
)

// RelayClock is the clock that a relay keeps.
type RelayClock struct {
	path string
}

// NewRelayClock returns the clock of the relay whose control socket is at path.
func NewRelayClock(path string) *RelayClock {
	return &RelayClock{path: path}
}

// Arm implements Clock.
func (c *RelayClock) Arm(ctx context.Context, seed uint64) error {
	return c.with(func(r *relay.Client) error { return r.Arm(ctx, seed) })
}

// Start implements Clock.
func (c *RelayClock) Start(ctx context.Context) error {
	return c.with(func(r *relay.Client) error { return r.Start(ctx, 0) })
}

// Await implements Clock. Each wait has a connection of its own: one that was broken
// off is of no more use.
func (c *RelayClock) Await(ctx context.Context) (Started, error) {
	var s Started
	err := c.with(func(r *relay.Client) (err error) {
		s.At, err = r.AwaitStart(ctx)
		return err
	})
	return s, err
}

func (c *RelayClock) with(f func(*relay.Client) error) error {
	r, err := relay.Dial(c.path)
	if err != nil {
		return err
	}
	return errors.Join(f(r), r.Close())
}
