package lab

import (
	"context"
	"errors"

	"github.com/tquiclab/tquiclab/emulation/relay"
)

// withRelay connects to the lab's relay for f.
func (l *Lab) withRelay(f func(*relay.Client) error) error {
	c, err := relay.Dial(l.host.relaySocket(l.Name()))
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

func (relayBackend) arm(ctx context.Context, l *Lab, seed uint64) error {
	return l.withRelay(func(c *relay.Client) error { return c.Arm(ctx, seed) })
}

func (relayBackend) start(ctx context.Context, l *Lab) error {
	return l.withRelay(func(c *relay.Client) error {
		if _, ok, err := c.Started(ctx); err != nil || ok {
			return errors.Join(err, ErrClockRuns)
		}
		return c.Start(ctx, 0)
	})
}

func (relayBackend) started(ctx context.Context, l *Lab) (at int64, ok bool, err error) {
	err = l.withRelay(func(c *relay.Client) (err error) {
		at, ok, err = c.Started(ctx)
		return err
	})
	return at, ok, err
}

// impair is the relay's: it changes all at one instant.
func (relayBackend) impair(ctx context.Context, l *Lab, settings []Setting) error {
	changes := make([]relay.Setting, len(settings))
	for i, s := range settings {
		changes[i] = relay.Setting{Link: s.Link, Way: s.Way, Patch: s.Patch}
	}
	if err := l.withRelay(func(c *relay.Client) error { return c.Set(ctx, changes) }); err != nil {
		return err
	}
	return l.noteSettings(ctx, settings)
}

func (relayBackend) inForce(ctx context.Context, l *Lab) ([]InForce, error) {
	all := l.base()
	err := l.withRelay(func(c *relay.Client) error {
		status, err := c.Counters(ctx)
		if err != nil {
			return err
		}
		for _, w := range status.Wires {
			for way, d := range map[string]relay.DirectionStatus{"up": w.Up, "down": w.Down} {
				for i := range all {
					if all[i].Link == w.Link && all[i].Way == way {
						all[i].Impairments, all[i].Omitted = d.Impairments, d.Omitted
					}
				}
			}
		}
		return nil
	})
	return all, err
}
