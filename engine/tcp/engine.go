package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/tquiclab/tquiclab/engine"
)

// alpn is what the TLS engines ask for.
const alpn = "tquiclab"

// Kind is what sets an engine of this package apart.
type Kind struct {
	Name         string
	Capabilities engine.Capabilities // Encrypted puts TLS on every connection
	// Ready is called with each connection that a dialler made, before it carries
	// anything. It may wait, and refuse the connection. Nil takes it at once.
	Ready func(ctx context.Context, c *net.TCPConn, paths []engine.Path) error
	// Tracker returns what follows one connection's statistics. It is asked while
	// the connection is open, last when it sends its end and just before it closes,
	// and returns one entry per path, all counted since the connection's start.
	Tracker func() func(c *net.TCPConn, paths []engine.Path) []engine.PathStats
}

// New returns the engine "tcp".
func New() engine.Engine {
	return Custom(Kind{
		Name:         "tcp",
		Capabilities: engine.Capabilities{Congestion: DefaultCongestion},
		Tracker:      trackOnePath,
	})
}

// NewTLS returns the engine "tcp-tls": the same under Go's TLS 1.3.
func NewTLS() engine.Engine {
	return Custom(Kind{
		Name:         "tcp-tls",
		Capabilities: engine.Capabilities{Congestion: DefaultCongestion, Encrypted: true},
		Tracker:      trackOnePath,
	})
}

func trackOnePath() func(*net.TCPConn, []engine.Path) []engine.PathStats { return Measure }

// Custom returns an engine of another kind. Its sockets are MPTCP when the kind is
// capable of several paths, and plain TCP otherwise.
func Custom(k Kind) engine.Engine { return &kernelEngine{kind: k} }

// kernelEngine is an engine over kernel sockets of one kind.
type kernelEngine struct{ kind Kind }

func (e *kernelEngine) Name() string { return e.kind.Name }

func (e *kernelEngine) Capabilities() engine.Capabilities { return e.kind.Capabilities }

// check returns what is wrong with c, all of it, and the congestion control to use.
func (e *kernelEngine) check(c engine.Config) (congestion string, err error) {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New("no path given"))
	}
	if len(c.Paths) > 1 && !e.kind.Capabilities.Multipath {
		errs = append(errs, fmt.Errorf("%d paths: %w: it has one path; mp%s takes more", len(c.Paths), engine.ErrUnsupported, e.kind.Name))
	}
	if e.kind.Capabilities.Encrypted && c.TLS == nil {
		errs = append(errs, errors.New("no TLS settings given"))
	}
	if probe := e.kind.Capabilities.Probe; probe != nil {
		errs = append(errs, probe())
	}
	if err := errors.Join(errs...); err != nil {
		return "", fmt.Errorf("%s: %w", e.kind.Name, err)
	}
	if c.Congestion != "" {
		return c.Congestion, nil
	}
	return e.kind.Capabilities.Congestion, nil
}

// tlsConfig returns a copy of the caller's TLS settings with our ALPN, or nil when
// the engine is not encrypted.
func (e *kernelEngine) tlsConfig(c *tls.Config) *tls.Config {
	if !e.kind.Capabilities.Encrypted {
		return nil
	}
	c = c.Clone()
	c.NextProtos = []string{alpn}
	c.MinVersion = tls.VersionTLS13
	return c
}
