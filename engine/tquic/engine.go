package tquic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/internal/pathman"
	"github.com/tquiclab/tquiclab/engine/internal/sched"
)

// What the engine's connections are made with beyond the defaults.
const (
	engineName       = "tquic"
	engineALPN       = "tquiclab"
	engineCongestion = "bbr"
	engineKeepAlive  = 10 * time.Second
	// engineStreams bounds the streams that a dialler has open on one session.
	engineStreams = 1 << 14
	// enginePaths bounds the paths of a session at a time, and the paths given.
	enginePaths = 8
)

// NewEngine returns the engine "tquic".
func NewEngine() engine.Engine { return lab{&pathman.Watcher{}, &lingering{}} }

// lab is tquic as an engine of the lab.
type lab struct {
	watch     *pathman.Watcher // of all sessions
	lingering *lingering       // what is left of closed sessions
}

func (lab) Name() string { return engineName }

// Linger implements engine.Lingerer.
func (e lab) Linger(ctx context.Context) error { return wrap(e.lingering.wait(ctx)) }

func (lab) Capabilities() engine.Capabilities {
	return engine.Capabilities{
		Multipath: true, Encrypted: true, QLOG: true,
		Congestion: engineCongestion, Congestions: Congestions(), Scheduler: sched.Default, Schedulers: Schedulers(),
	}
}

// check returns what is wrong with c, all of it.
func (lab) check(c engine.Config) error {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New("no path given"))
	}
	if len(c.Paths) > enginePaths {
		errs = append(errs, fmt.Errorf("%d paths: %w: it takes %d", len(c.Paths), engine.ErrUnsupported, enginePaths))
	}
	if c.TLS == nil {
		errs = append(errs, errors.New("no TLS settings given: QUIC is always encrypted"))
	}
	errs = append(errs, known("congestion control", c.Congestion, Congestions()), known("scheduler", c.Scheduler, Schedulers()))
	return wrap(errors.Join(errs...))
}

// known returns an error for a name that is not one of those; the empty one is the
// default.
func known(what, name string, names []string) error {
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("%s %q: %w: choose one of %v", what, name, engine.ErrUnsupported, names)
}

// wrap puts the engine's name before an error.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", engineName, err)
}

func engineConfig(c engine.Config) *Config {
	return &Config{
		Congestion: c.Congestion, Scheduler: c.Scheduler, Paths: enginePaths,
		QLOG: c.QLOG, KeepAlive: engineKeepAlive, MaxStreams: engineStreams, MaxUniStreams: -1,
	}
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
	l, err := e.listen(c)
	if err != nil {
		return nil, wrap(err)
	}
	return l, nil
}

func (e lab) listen(c engine.Config) (*labListener, error) {
	config := engineConfig(c)
	end, err := ListenEndpoint(c.Paths[0].Local, config)
	if err != nil {
		return nil, err
	}
	end.watch = e.watch
	paths := slices.Clone(c.Paths)
	paths[0].Local = end.LocalAddr()
	for i := range paths[1:] {
		p := &paths[1+i]
		if p.Local, err = end.AddAddress(p.Local); err != nil {
			return nil, errors.Join(err, end.Close())
		}
	}
	l, err := end.Listen(engineTLS(c.TLS), config)
	if err != nil {
		return nil, errors.Join(err, end.Close())
	}
	l.owns = true
	return &labListener{tquic: l, paths: paths, lingering: e.lingering}, nil
}

func (e lab) Dial(ctx context.Context, c engine.Config) (engine.Session, error) {
	if err := e.check(c); err != nil {
		return nil, err
	}
	for _, p := range c.Paths {
		if !p.Remote.IsValid() {
			return nil, wrap(fmt.Errorf("path %q has no remote address", p.Link))
		}
	}
	r := race{paths: c.Paths, config: engineConfig(c), tls: engineTLS(c.TLS), watch: e.watch}
	if len(c.Paths) == 1 {
		r.config.Paths = 0 // nothing to negotiate
	}
	conn, err := r.run(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	s := &session{conn: conn, paths: c.Paths, endpoint: r.endpoint, lingering: e.lingering}
	s.fixed = slices.ContainsFunc(c.Paths, func(p engine.Path) bool { return p.Local.Port() != 0 })
	return s, nil
}
