package iperf3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"sync"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

const (
	name       = "iperf3"
	congestion = "cubic"
	maxStreams = 128 // MAX_STREAMS of iperf 3.12
)

// New returns the engine.
func New() engine.Engine { return iperf{program: name} }

// iperf is the engine. program is found in PATH.
type iperf struct{ program string }

// Name implements engine.Engine.
func (iperf) Name() string { return name }

// Capabilities implements engine.Engine.
func (e iperf) Capabilities() engine.Capabilities {
	return engine.Capabilities{Congestion: congestion, BulkOnly: true, Probe: e.probe}
}

func (e iperf) probe() error {
	if _, err := exec.LookPath(e.program); err != nil {
		return fmt.Errorf("iperf3: %w: there is no program %s in PATH: install the package iperf3", engine.ErrUnsupported, e.program)
	}
	return nil
}

func (e iperf) check(c engine.Config) error {
	switch {
	case len(c.Paths) == 0:
		return errors.New("iperf3: no path given")
	case len(c.Paths) > 1:
		return fmt.Errorf("iperf3: %d paths: %w: it has one path", len(c.Paths), engine.ErrUnsupported)
	}
	return e.probe()
}

// session returns one of the engine's sessions.
func (e iperf) session(c engine.Config, dials bool) *session {
	s := &session{program: e.program, path: c.Paths[0], congestion: congestion, dials: dials}
	if c.Congestion != "" {
		s.congestion = c.Congestion
	}
	return s
}

// Listen implements engine.Engine. The server starts with the transfer.
func (e iperf) Listen(_ context.Context, c engine.Config) (engine.Listener, error) {
	if err := e.check(c); err != nil {
		return nil, err
	}
	if c.Paths[0].Local.Port() == 0 {
		port, err := freePort(c.Paths[0].Local.Addr())
		if err != nil {
			return nil, fmt.Errorf("iperf3: find a free port: %w", err)
		}
		c.Paths = []engine.Path{{Link: c.Paths[0].Link, Local: netip.AddrPortFrom(c.Paths[0].Local.Addr(), port)}}
	}
	return &listener{session: e.session(c, false)}, nil
}

// freePort returns a TCP port that was free a moment ago: iperf3 cannot take one that
// is open already.
func freePort(a netip.Addr) (uint16, error) {
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		return 0, err
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	return port, l.Close()
}

// Dial implements engine.Engine. Nothing crosses the path before the transfer.
func (e iperf) Dial(_ context.Context, c engine.Config) (engine.Session, error) {
	if err := e.check(c); err != nil {
		return nil, err
	}
	return e.session(c, true), nil
}

// listener gives the one session that a server takes.
type listener struct {
	mu      sync.Mutex
	session *session
	given   bool
	closed  bool
}

// Accept implements engine.Listener. It gives one session.
func (l *listener) Accept(context.Context) (engine.Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, fmt.Errorf("iperf3: accept: %w", net.ErrClosed)
	case l.given:
		return nil, fmt.Errorf("iperf3: %w: one connection at a time: use --streams", engine.ErrUnsupported)
	}
	l.given = true
	return l.session, nil
}

// Paths implements engine.Listener.
func (l *listener) Paths() []engine.Path { return []engine.Path{l.session.path} }

// Close implements engine.Listener.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// connectPatience is how long a dialler tries until the server listens.
const connectPatience = 10 * time.Second
