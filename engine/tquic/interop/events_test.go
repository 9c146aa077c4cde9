package interop

import (
	"slices"
	"sync"

	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// events is what quic-go's qlog said so far, of all connections of a rig. Of packets
// there is one of each mark that was received.
type events struct {
	mu    sync.Mutex
	all   []qlogwriter.Event
	marks []qlog.ECN
}

// AddProducer returns e: all is one list.
func (e *events) AddProducer() qlogwriter.Recorder { return e }

// RecordEvent keeps the event.
func (e *events) RecordEvent(ev qlogwriter.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch ev := ev.(type) {
	case qlog.PacketReceived:
		if slices.Contains(e.marks, ev.ECN) {
			return
		}
		e.marks = append(e.marks, ev.ECN)
	case qlog.PacketSent, qlog.MetricsUpdated, qlog.TimerUpdated:
		return
	}
	e.all = append(e.all, ev)
}

// Close does nothing: the list is read after it.
func (e *events) Close() error { return nil }

// has reports whether an event of type E was recorded that fits.
func has[E qlogwriter.Event](e *events, fits func(E) bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.all, func(ev qlogwriter.Event) bool {
		typed, ok := ev.(E)
		return ok && fits(typed)
	})
}
