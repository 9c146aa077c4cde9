package tquic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/dial"
	"github.com/tquiclab/tquiclab/engine/internal/pathman"
)

// race is the dialling of a session: over the first path, and over the next ones as
// long as none answers, as a dial.Race has it. The winner gets paths over all the
// others. Those that lose are closed; a listener accepts none that is closed.
type race struct {
	paths    []engine.Path
	config   *Config
	tls      *tls.Config
	watch    *pathman.Watcher
	endpoint *Endpoint // of the winner; nil: no socket yet

	epoch   time.Time
	rules   *dial.Race
	results chan attempt
}

// attempt is a connection whose handshake is over.
type attempt struct {
	path int
	conn *Conn
	err  error
}

// run returns the winner. Without one it leaves nothing behind.
func (r *race) run(ctx context.Context) (*Conn, error) {
	r.epoch = time.Now()
	r.rules = dial.NewRace(r.now(), len(r.paths))
	r.results = make(chan attempt, len(r.paths))
	won, err := r.await(ctx)
	if err != nil {
		if r.endpoint != nil {
			err = errors.Join(err, r.endpoint.Close())
		}
		return nil, err
	}
	for i, p := range r.paths {
		local := p.Local
		if i == won.path && local.Addr().IsUnspecified() {
			at, _ := won.conn.driver.Addresses()
			local = netip.AddrPortFrom(at.Addr(), 0)
		}
		r.config.KeepPaths = append(r.config.KeepPaths, PathPair{Local: local, Remote: p.Remote})
	}
	won.conn.keepPaths(*r.config)
	return won.conn, nil
}

// now is the race's time, above zero.
func (r *race) now() clock.Time { return clock.Time(time.Second).Add(time.Since(r.epoch)) }

func (r *race) await(ctx context.Context) (attempt, error) {
	attempts, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		for range r.rules.Running() { // each loser ends at once
			if a := <-r.results; a.conn != nil {
				a.conn.driver.Close(0, dial.Beaten)
			}
		}
	}()
	var errs []error
	for {
		if ctx.Err() != nil {
			r.rules.Stop()
		}
		errs = append(errs, r.begin(attempts)...)
		if r.rules.Lost() {
			if len(errs) == 0 {
				errs = append(errs, fmt.Errorf("dial %v: %w", r.paths[0].Remote, context.Cause(ctx)))
			}
			return attempt{}, errors.Join(errs...)
		}
		select {
		case a := <-r.results:
			if a.err == nil {
				r.rules.Complete()
				return a, nil
			}
			r.rules.Fail(r.now())
			a.conn.driver.Close(0, "the dialler gave up")
			errs = append(errs, fmt.Errorf("dial %v: %w", r.paths[a.path].Remote, a.err))
		case <-r.due():
		}
	}
}

// due returns what is ready when the next attempt is due; nil, and so never, when none is
// left.
func (r *race) due() <-chan time.Time {
	at := r.rules.NextTimeout()
	if at == clock.Never {
		return nil
	}
	return time.After(at.Sub(r.now()))
}

// begin starts the handshakes whose time has come, and returns what went wrong with
// those that could not start.
func (r *race) begin(ctx context.Context) (errs []error) {
	for {
		i, ok := r.rules.Begin(r.now())
		if !ok {
			return errs
		}
		if err := r.attempt(ctx, i); err != nil {
			r.rules.Fail(r.now())
			errs = append(errs, err)
		}
	}
}

// attempt starts one path's handshake.
func (r *race) attempt(ctx context.Context, i int) error {
	p := r.paths[i]
	local, err := r.bind(p.Local)
	if err != nil {
		return err
	}
	conn, err := r.endpoint.beginFrom(ctx, local, p.Remote, r.tls, r.config, false)
	if err != nil {
		return err
	}
	go func() { r.results <- attempt{i, conn, conn.Handshake(ctx)} }()
	return nil
}

// bind gives the endpoint a socket at local, and returns its address.
func (r *race) bind(local netip.AddrPort) (netip.AddrPort, error) {
	if r.endpoint != nil {
		return r.endpoint.AddAddress(local)
	}
	e, err := ListenEndpoint(local, r.config)
	if err != nil {
		return netip.AddrPort{}, err
	}
	e.watch = r.watch
	r.endpoint = e
	return e.LocalAddr(), nil
}
