package tquic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/internal/pathman"
)

// stagger is how long a path may take with its handshake before the next one is tried,
// too: RFC 8305, section 5, recommends 250 ms as the delay between attempts.
const stagger = 250 * time.Millisecond

// race is the dialling of a session: over the first path, and over the next ones as
// long as none answers. The first connection that is complete wins, and gets paths over
// all the others. Those that lose are closed; a listener accepts none that is closed.
type race struct {
	paths    []engine.Path
	config   *Config
	tls      *tls.Config
	watch    *pathman.Watcher
	endpoint *Endpoint // of the winner; nil: no socket yet

	begun   int // paths
	running int // handshakes
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

func (r *race) await(ctx context.Context) (attempt, error) {
	attempts, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		for range r.running { // each loser ends at once
			if a := <-r.results; a.conn != nil {
				a.conn.driver.Close(0, "another path was faster")
			}
		}
	}()
	var errs []error
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	for {
		if r.begun < len(r.paths) && ctx.Err() == nil {
			if err := r.begin(attempts); err != nil {
				errs = append(errs, err)
				continue
			}
			timer.Reset(stagger)
		}
		if r.running == 0 && (r.begun == len(r.paths) || ctx.Err() != nil) {
			if len(errs) == 0 {
				errs = append(errs, fmt.Errorf("dial %v: %w", r.paths[0].Remote, context.Cause(ctx)))
			}
			return attempt{}, errors.Join(errs...)
		}
		select {
		case a := <-r.results:
			r.running--
			if a.err == nil {
				return a, nil
			}
			a.conn.driver.Close(0, "the dialler gave up")
			errs = append(errs, fmt.Errorf("dial %v: %w", r.paths[a.path].Remote, a.err))
		case <-timer.C: // the next one, too
		}
	}
}

// begin starts the next path's handshake.
func (r *race) begin(ctx context.Context) error {
	i := r.begun
	r.begun++
	p := r.paths[i]
	local, err := r.bind(p.Local)
	if err != nil {
		return err
	}
	conn, err := r.endpoint.beginFrom(ctx, local, p.Remote, r.tls, r.config, false)
	if err != nil {
		return err
	}
	r.running++
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
