package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/engine"
)

// What one child opens or accepts at most, and opens on each session ahead of a
// transfer.
const (
	maxSessions = 1024
	maxStreams  = 1 << 14
)

// listen opens a listener with a certificate of its own.
func (c *child) listen(ctx context.Context, p Listen) (Listening, error) {
	if c.listener != nil {
		return Listening{}, errors.New("listen: this agent listens already")
	}
	e, err := c.engine(p.Engine)
	if err != nil {
		return Listening{}, err
	}
	cert, err := newCertificate()
	if err != nil {
		return Listening{}, err
	}
	keys, err := c.keyLog(p.KeyLog)
	if err != nil {
		return Listening{}, fmt.Errorf("listen: %w", err)
	}
	l, err := e.Listen(ctx, engine.Config{
		Paths:      p.Paths,
		Congestion: p.Congestion,
		Scheduler:  p.Scheduler,
		QLOG:       p.QLOG,
		TLS:        &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, KeyLogWriter: keys},
	})
	if err != nil {
		return Listening{}, fmt.Errorf("%s: listen: %w", p.Engine, err)
	}
	c.listener = l
	return Listening{Paths: l.Paths(), Certificate: cert.Certificate[0]}, nil
}

// accept waits until the listener has given p.Sessions sessions.
func (c *child) accept(ctx context.Context, p accept) error {
	if c.listener == nil {
		return errors.New("accept: this agent does not listen")
	}
	if p.Sessions < 1 || p.Sessions > maxSessions {
		return fmt.Errorf("accept: %d sessions is not from 1 to %d", p.Sessions, maxSessions)
	}
	for i := range p.Sessions {
		s, err := c.listener.Accept(ctx)
		if err != nil {
			return fmt.Errorf("accept session %d of %d: %w", i+1, p.Sessions, err)
		}
		c.sessions = append(c.sessions, s)
	}
	return nil
}

// dial opens p.Sessions sessions, one after the other, with p.Streams streams on
// each.
func (c *child) dial(ctx context.Context, p Dial) error {
	if p.Sessions < 1 || p.Sessions > maxSessions {
		return fmt.Errorf("dial: %d sessions is not from 1 to %d", p.Sessions, maxSessions)
	}
	if p.Streams < 0 || p.Streams > maxStreams {
		return fmt.Errorf("dial: %d streams is not from 0 to %d", p.Streams, maxStreams)
	}
	e, err := c.engine(p.Engine)
	if err != nil {
		return err
	}
	trust, err := trusting(p.Certificate)
	if err != nil {
		return err
	}
	if trust.KeyLogWriter, err = c.keyLog(p.KeyLog); err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	c.redial = func(ctx context.Context) (engine.Session, error) {
		return e.Dial(ctx, engine.Config{Paths: p.Paths, Congestion: p.Congestion, Scheduler: p.Scheduler, QLOG: p.QLOG, TLS: trust})
	}
	for i := range p.Sessions {
		s, err := c.redial(ctx)
		if err != nil {
			return fmt.Errorf("%s: dial session %d of %d: %w", p.Engine, i+1, p.Sessions, err)
		}
		c.sessions = append(c.sessions, s)
	}
	for i, s := range c.sessions {
		if _, ok := s.(engine.Generator); ok {
			continue // it has no streams
		}
		if c.sessions[i], err = prepare(ctx, s, p.Streams); err != nil {
			return fmt.Errorf("%s: session %d of %d: %w", p.Engine, i+1, p.Sessions, err)
		}
	}
	return nil
}

// engine looks an engine up and asks it whether this machine can run it.
func (c *child) engine(name string) (engine.Engine, error) {
	e, err := c.Engines.Lookup(name)
	if err != nil {
		return nil, err
	}
	if probe := e.Capabilities().Probe; probe != nil {
		if err := probe(); err != nil {
			return nil, fmt.Errorf("%s cannot run here: %w", name, err)
		}
	}
	c.used = e
	return e, nil
}

// lingerBound is how long what closed sessions leave is waited for. Beyond it a peer that
// missed the end finds it out by itself.
const lingerBound = cleanupBound / 2

// close ends every session, the listener and the key logs. Errors tell nobody
// anything: the process is about to end.
func (c *child) close() {
	for _, s := range c.sessions {
		s.Close()
	}
	if c.listener != nil {
		c.listener.Close()
	}
	if l, ok := c.used.(engine.Lingerer); ok {
		ctx, cancel := context.WithTimeout(context.Background(), lingerBound)
		_ = l.Linger(ctx)
		cancel()
	}
	for _, f := range c.keyLogs {
		f.Close()
	}
}
