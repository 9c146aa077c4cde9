package pathman

import (
	"slices"
	"sync"
)

// Watcher tells which addresses the machine has, in the network namespace of whoever
// subscribes first. It runs while it has subscriptions. The zero value is ready to use.
type Watcher struct {
	mu            sync.Mutex
	subscriptions []*Subscription
	addresses     []Address
	source        *source // nil: not running
}

// Subscription is one user of a Watcher.
type Subscription struct {
	watcher *Watcher
	changed chan struct{}
}

// Subscribe starts the watcher unless it runs. The error wraps errors.ErrUnsupported
// on systems that have no such thing.
func (w *Watcher) Subscribe() (*Subscription, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.source == nil {
		source, addresses, err := openSource(w.publish)
		if err != nil {
			return nil, err
		}
		w.source, w.addresses = source, addresses
	}
	s := &Subscription{watcher: w, changed: make(chan struct{}, 1)}
	w.subscriptions = append(w.subscriptions, s)
	return s, nil
}

// publish tells the subscriptions, if something is new. from is the source that knows.
func (w *Watcher) publish(from *source, addresses []Address) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if from != w.source || slices.Equal(addresses, w.addresses) {
		return
	}
	w.addresses = addresses
	for _, s := range w.subscriptions {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

// Changed receives when Addresses may return others.
func (s *Subscription) Changed() <-chan struct{} { return s.changed }

// Addresses returns the addresses of the machine. They must not be changed.
func (s *Subscription) Addresses() []Address {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	return s.watcher.addresses
}

// Close ends the subscription; with the last one the watcher stops, and Close waits
// for that. Idempotent.
func (s *Subscription) Close() {
	w := s.watcher
	w.mu.Lock()
	i := slices.Index(w.subscriptions, s)
	if i < 0 {
		w.mu.Unlock()
		return
	}
	w.subscriptions = slices.Delete(w.subscriptions, i, i+1)
	var last *source
	if len(w.subscriptions) == 0 {
		last, w.source, w.addresses = w.source, nil, nil
	}
	w.mu.Unlock()
	if last != nil {
		last.close()
	}
}
