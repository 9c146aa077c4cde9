package conductor

import (
	"context"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation/relay"
)

// relayControl is what of a relay's control socket has to do with the clock.
// *relay.Client is one.
type relayControl interface {
	Arm(ctx context.Context, seed uint64) error
	Start(ctx context.Context, at int64) error
	AwaitStart(ctx context.Context) (at int64, err error)
	Close() error
}

// dialRelay connects to the relay's control socket.
func dialRelay(path string) (relayControl, error) {
	client, err := relay.Dial(path)
	if err != nil {
		return nil, err
	}
	control, ok := any(client).(relayControl)
	if !ok {
		return nil, errors.Join(errors.New("this relay has no clock"), client.Close())
	}
	return control, nil
}

// RelayClock is the clock that a relay keeps.
type RelayClock struct {
	dial func() (relayControl, error)
}

// NewRelayClock returns the clock of the relay whose control socket is at path.
func NewRelayClock(path string) *RelayClock {
	return &RelayClock{dial: func() (relayControl, error) { return dialRelay(path) }}
}

// Arm implements Clock.
func (c *RelayClock) Arm(ctx context.Context, seed uint64) error {
	return c.with(func(r relayControl) error { return r.Arm(ctx, seed) })
}

// Start implements Clock.
func (c *RelayClock) Start(ctx context.Context) error {
	return c.with(func(r relayControl) error { return r.Start(ctx, 0) })
}

// Await implements Clock. Each wait has a connection of its own: one that was broken
// off is of no more use.
func (c *RelayClock) Await(ctx context.Context) (Started, error) {
	var s Started
	err := c.with(func(r relayControl) (err error) {
		s.At, err = r.AwaitStart(ctx)
		return err
	})
	return s, err
}

func (c *RelayClock) with(f func(relayControl) error) error {
	r, err := c.dial()
	if err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	return errors.Join(f(r), r.Close())
}
