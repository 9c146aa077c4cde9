package iperf3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// session is one side of a test that is run once.
type session struct {
	program    string
	path       engine.Path
	congestion string
	dials      bool

	mu     sync.Mutex
	used   string // the congestion control that the program reported
	cancel context.CancelFunc
	over   chan struct{} // closed when Generate returns; nil: it was not called
	closed bool
}

var errNoStreams = fmt.Errorf("iperf3: it makes its own traffic and has no streams: %w", engine.ErrUnsupported)

// OpenStream implements engine.Session: there are none.
func (s *session) OpenStream(context.Context) (engine.Stream, error) { return nil, errNoStreams }

// AcceptStream implements engine.Session: there are none.
func (s *session) AcceptStream(context.Context) (engine.Stream, error) { return nil, errNoStreams }

// Stats implements engine.Session.
func (s *session) Stats() engine.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return engine.Stats{Congestion: s.used, Paths: []engine.PathStats{{Link: s.path.Link}}}
}

// Close implements engine.Session: it ends the program, too.
func (s *session) Close() error {
	s.mu.Lock()
	s.closed = true
	cancel, over := s.cancel, s.over
	s.mu.Unlock()
	if cancel != nil {
		cancel()
		<-over
	}
	return nil
}

// begin notes that the transfer runs, and returns a context that Close ends.
func (s *session) begin(ctx context.Context) (context.Context, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, fmt.Errorf("iperf3: %w", net.ErrClosed)
	case s.over != nil:
		return nil, nil, errors.New("iperf3: a session is for one transfer")
	}
	ctx, s.cancel = context.WithCancel(ctx)
	over := make(chan struct{})
	s.over = over
	return ctx, func() { s.cancel(); close(over) }, nil
}

// Generate implements engine.Generator.
func (s *session) Generate(ctx context.Context, t engine.Transfer) (engine.Generated, error) {
	if err := s.check(t); err != nil {
		return engine.Generated{}, err
	}
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return engine.Generated{}, err
	}
	defer end()
	run, err := s.run(ctx, t)
	if err != nil {
		return engine.Generated{}, err
	}
	out, err := parse(run.output)
	if err != nil {
		return engine.Generated{}, fmt.Errorf("iperf3: %w", err)
	}
	s.mu.Lock()
	s.used = out.congestion
	s.mu.Unlock()
	moved := out.received
	if t.Sends {
		moved = out.sent
	}
	return engine.Generated{
		Bytes: moved.Bytes, StartNS: run.end - int64(moved.Seconds*float64(time.Second)), LastNS: run.end,
		CPU: run.cpu, PeakRSS: run.peak,
	}, nil
}

func (s *session) check(t engine.Transfer) error {
	if !s.dials {
		return nil
	}
	switch {
	case t.Streams < 1 || t.Streams > maxStreams:
		return fmt.Errorf("iperf3: %d streams: %w: want 1 to %d", t.Streams, engine.ErrUnsupported, maxStreams)
	case t.Bytes == 0 && (t.Duration < time.Second || t.Duration%time.Second != 0):
		return fmt.Errorf("iperf3: a transfer of %v: %w: want whole seconds", t.Duration, engine.ErrUnsupported)
	}
	return nil
}
