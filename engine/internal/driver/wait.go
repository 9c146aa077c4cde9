package driver

import (
	"context"
	"net"
	"os"
	"sync"
	"time"
)

// signal wakes one waiter. A signal that nobody waits for stays for the next one.
// Who was woken and leaves something for others sets it again.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// wait returns nil when the signal was set, the context's cause when it ended, and
// nil when over is closed: whoever waits finds the reason there.
func (s signal) wait(ctx context.Context, over <-chan struct{}) error {
	select {
	case <-s:
	case <-over:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// deadline is a point in time that a call waits for at most, and that may be moved
// while it waits. The zero value is none.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer
	expired chan struct{} // closed when the time has come; nil: not made yet
}

// set moves the deadline. The zero time is none; one in the past has come.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.channel() // its function is about to close the channel, or has
	}
	d.timer = nil
	select {
	case <-d.channel():
		d.expired = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	expired := d.expired
	if left := time.Until(t); left > 0 {
		d.timer = time.AfterFunc(left, func() { close(expired) })
	} else {
		close(expired)
	}
}

// done is closed when the deadline has come.
func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

func (d *deadline) channel() chan struct{} {
	if d.expired == nil {
		d.expired = make(chan struct{})
	}
	return d.expired
}

// passed reports whether the deadline has come.
func (d *deadline) passed() bool {
	select {
	case <-d.done():
		return true
	default:
		return false
	}
}

// errDeadline is what a call returns whose deadline has come.
func errDeadline() error { return os.ErrDeadlineExceeded }

// errEndpointClosed is what calls of a closed endpoint return.
func errEndpointClosed() error { return net.ErrClosed }
