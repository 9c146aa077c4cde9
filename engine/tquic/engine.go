package tquic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
)

// What the engine's connections are made with beyond the defaults.
const (
	engineName       = "tquic"
	engineALPN       = "tquiclab"
	engineCongestion = "cubic"
	engineKeepAlive  = 10 * time.Second
	// engineStreams bounds the streams that a dialler has open on one session.
	engineStreams = 1 << 14
)

// NewEngine returns the engine "tquic".
func NewEngine() engine.Engine { return lab{} }

// lab is tquic as an engine of the lab.
type lab struct{}

func (lab) Name() string { return engineName }

func (lab) Capabilities() engine.Capabilities {
	return engine.Capabilities{
		Encrypted: true, QLOG: true, Congestion: engineCongestion, Congestions: congest.Names(),
	}
}

// check returns what is wrong with c, all of it.
func (lab) check(c engine.Config) error {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New("no path given"))
	}
	if len(c.Paths) > 1 {
		errs = append(errs, fmt.Errorf("%d paths: %w: it has one path", len(c.Paths), engine.ErrUnsupported))
	}
	if c.TLS == nil {
		errs = append(errs, errors.New("no TLS settings given: QUIC is always encrypted"))
	}
	if names := congest.Names(); c.Congestion != "" && !slices.Contains(names, c.Congestion) {
		errs = append(errs, fmt.Errorf("congestion control %q: %w: choose one of %s", c.Congestion, engine.ErrUnsupported, strings.Join(names, ", ")))
	}
	return wrap(errors.Join(errs...))
}

// wrap puts the engine's name before an error.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", engineName, err)
}

func engineConfig(c engine.Config) *Config {
	return &Config{Congestion: c.Congestion, QLOG: c.QLOG, KeepAlive: engineKeepAlive, MaxStreams: engineStreams, MaxUniStreams: -1}
}

func engineTLS(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.NextProtos = []string{engineALPN}
	return c
}

func (e lab) Listen(_ context.Context, c engine.Config) (engine.Listener, error) {
	if err := e.check(c); err != nil {
		return nil, err
	}
	path := c.Paths[0]
	l, err := Listen(path.Local.String(), engineTLS(c.TLS), engineConfig(c))
	if err != nil {
		return nil, wrap(err)
	}
	path.Local = l.endpoint.LocalAddr()
	return &labListener{tquic: l, path: path}, nil
}

func (e lab) Dial(ctx context.Context, c engine.Config) (engine.Session, error) {
	if err := e.check(c); err != nil {
		return nil, err
	}
	path := c.Paths[0]
	if !path.Remote.IsValid() {
		return nil, wrap(fmt.Errorf("path %q has no remote address", path.Link))
	}
	end, err := ListenEndpoint(path.Local, engineConfig(c))
	if err != nil {
		return nil, wrap(err)
	}
	conn, err := end.Dial(ctx, path.Remote, engineTLS(c.TLS), engineConfig(c))
	if err != nil {
		return nil, wrap(errors.Join(err, end.Close()))
	}
	return &session{conn: conn, path: path, endpoint: end}, nil
}
