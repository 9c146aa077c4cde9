package lab

import (
	"context"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation/relay"
)

// relayClock is what of a relay's control socket has to do with its clock.
// *relay.Client is one.
type relayClock interface {
	Arm(ctx context.Context, seed uint64) error
	Start(ctx context.Context, at int64) error
	Started(ctx context.Context) (at int64, ok bool, err error)
}

// withRelay connects to the lab's relay for f.
func (l *Lab) withRelay(f func(*relay.Client) error) error {
	c, err := relay.Dial(l.host.relaySocket(l.Name()))
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

func (l *Lab) withRelayClock(f func(relayClock) error) error {
	return l.withRelay(func(c *relay.Client) error {
		clock, ok := any(c).(relayClock)
		if !ok {
			return fmt.Errorf("%w: this relay has no clock", ErrUnsupported)
		}
		return f(clock)
	})
}

func (relayBackend) arm(ctx context.Context, l *Lab, seed uint64) error {
	err := l.withRelayClock(func(c relayClock) error { return c.Arm(ctx, seed) })
	if errors.Is(err, ErrUnsupported) {
		return nil
	}
	return err
}

func (relayBackend) start(ctx context.Context, l *Lab) error {
	return l.withRelayClock(func(c relayClock) error {
		if _, ok, err := c.Started(ctx); err != nil || ok {
			return errors.Join(err, ErrClockRuns)
		}
		return c.Start(ctx, 0)
	})
}

func (relayBackend) started(ctx context.Context, l *Lab) (at int64, ok bool, err error) {
	err = l.withRelay(func(c *relay.Client) (err error) {
		if clock, has := any(c).(relayClock); has {
			at, ok, err = clock.Started(ctx)
		}
		return err
	})
	return at, ok, err
}

func (relayBackend) impair(context.Context, *Lab, []Setting) error {
	return fmt.Errorf("%w: this relay cannot be changed", ErrUnsupported)
}

func (relayBackend) inForce(_ context.Context, l *Lab) ([]InForce, error) { return l.base(), nil }
