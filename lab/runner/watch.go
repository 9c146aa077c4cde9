package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/tquiclab/tquiclab/lab"
)

// The lab is asked this often whether it still carries packets; it counts as
// broken when it fails to answer twice.
const (
	watchEvery = 500 * time.Millisecond
	watchTries = 2
)

// watch returns a context that ends when the lab breaks, with the reason as its
// cause: trials over dead wires would otherwise each wait for their bound. The
// caller calls stop, which returns when the watching is over.
func (r *field) watch(ctx context.Context) (watched context.Context, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.awaitBreak(watched); err != nil {
			cancel(fmt.Errorf("the lab broke: %w", err))
		}
	}()
	return watched, func() {
		cancel(nil)
		<-done
	}
}

// awaitBreak returns why the lab broke, or nil when ctx ends first.
func (r *field) awaitBreak(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := r.lookAtWires(ctx)
		if err == nil || ctx.Err() != nil {
			failures = 0
			continue
		}
		if failures++; failures == watchTries {
			return err
		}
	}
}

// lookAtWires returns what is wrong with the wires.
func (r *field) lookAtWires(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	wires, err := r.Lab.Wires(ctx)
	for _, w := range wires {
		for _, d := range []lab.DirectionStatus{w.Up, w.Down} {
			if d.State == "gone" {
				return fmt.Errorf("an interface of link %s was deleted", w.Link)
			}
		}
	}
	return err
}
