package tquic

import (
	"context"
	"sync"
)

// lingering counts the endpoints that live on after the last of their sessions was closed:
// for three probe timeouts they answer packets with the close (RFC 9000, section 10.2.1).
type lingering struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n is 0 again; nil while it is
}

// add counts an endpoint that will close itself.
func (l *lingering) add(e *Endpoint) {
	l.mu.Lock()
	if l.n++; l.n == 1 {
		l.none = make(chan struct{})
	}
	l.mu.Unlock()
	go func() {
		e.driver.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.n--; l.n == 0 {
			close(l.none)
			l.none = nil
		}
	}()
}

// wait waits until there is none, or until ctx ends.
func (l *lingering) wait(ctx context.Context) error {
	l.mu.Lock()
	none := l.none
	l.mu.Unlock()
	if none == nil {
		return nil
	}
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
