package sim

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tquiclab/tquiclab/engine/workload"
)

// party is one host's part in a workload.
type party interface {
	Application
	// begin lets the traffic begin: the connections are open on both sides.
	begin()
	// finished reports whether this side has nothing more to do.
	finished() bool
	// failure returns what ended the traffic early, or nil.
	failure() error
	// report sums up. err is what ended the run early.
	report(err error) workload.Report
	bytes() int64 // payload, so far
	// sessions returns the connections that were open at the beginning, in the order in
	// which they connected.
	sessions() []*Conn
}

// party returns what a host does.
func (r *run) party(side Side) party {
	role := workload.Receive
	if side == r.Sender {
		role = workload.Send
	}
	// Both are asked only once there is a lab.
	now := func() int64 { return int64(r.lab.network.Now()) }
	after := func(d time.Duration, f func()) { r.lab.At(r.lab.Elapsed()+max(d, 0), f) }
	switch {
	case r.Handshake != nil && side == Client:
		d := &dialler{dial: r.dial, now: now, after: after}
		d.books = workload.NewHandshakeDialler(*r.Handshake, role, now, &d.progress)
		return d
	case r.Handshake != nil:
		a := &answerer{now: now, after: after}
		a.books = workload.NewHandshakeListener(*r.Handshake, role, now, &a.progress)
		return a
	}
	b := &bulk{role: role, dialler: side == Client, streams: r.streams(), want: r.Connections * r.streams()}
	b.books = r.traffic(now, &b.progress)
	b.clocked.now, b.clocked.after = now, after
	if p, ok := b.books.(*pacedTraffic); ok {
		b.clocked.paced = p.PacedExchange
	}
	return b
}

// push writes what a flow has to write, as far as there is room: all of it, or not.
func push(s *Stream, f interface {
	Pending() []byte
	Wrote(n int)
},
) (all bool, err error) {
	for p := f.Pending(); len(p) > 0; p = f.Pending() {
		n, err := s.Write(p)
		f.Wrote(n)
		if errors.Is(err, ErrBlocked) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("write: %w", err)
		}
	}
	return true, nil
}

// pull has a flow read what is there, and reports whether that was the end.
func pull(s *Stream, f interface{ Read(data []byte) error }) (ended bool, err error) {
	for {
		err := s.Take(f.Read)
		switch {
		case errors.Is(err, ErrBlocked):
			return false, nil
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil:
			return false, err
		}
	}
}
