package tquic

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// labListener accepts sessions of the engine.
type labListener struct {
	tquic     *Listener
	paths     []engine.Path
	lingering *lingering

	once sync.Once
	err  error
}

func (l *labListener) Accept(ctx context.Context) (engine.Session, error) {
	conn, err := l.tquic.Accept(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	return &session{conn: conn, paths: l.paths}, nil
}

func (l *labListener) Paths() []engine.Path { return append([]engine.Path(nil), l.paths...) }

// Close returns at once: the sockets are closed with the last session.
func (l *labListener) Close() error {
	l.once.Do(func() {
		l.err = wrap(l.tquic.Close())
		l.lingering.add(l.tquic.endpoint)
	})
	return l.err
}

// session is a connection as the lab sees it.
type session struct {
	conn      *Conn
	paths     []engine.Path
	endpoint  *Endpoint // a dialler's own; nil at a listener
	fixed     bool      // it was given a port
	lingering *lingering

	once sync.Once
	err  error
}

func (s *session) OpenStream(ctx context.Context) (engine.Stream, error) {
	stream, err := s.conn.OpenStream(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	return stream, nil
}

func (s *session) AcceptStream(ctx context.Context) (engine.Stream, error) {
	stream, err := s.conn.AcceptStream(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	return stream, nil
}

// Stats counts all paths over one link, one after the other or at a time, as one.
func (s *session) Stats() engine.Stats {
	c := s.conn.Stats()
	out := engine.Stats{Congestion: c.Congestion, Scheduler: c.Scheduler, Copied: new(c.Copies.Total())}
	err := s.conn.Err()
	for _, p := range s.paths {
		out.Paths = append(out.Paths, engine.PathStats{Link: p.Link, Dead: err != nil && !errors.Is(err, net.ErrClosed)})
	}
	for i := range c.ClosedPaths {
		p := &c.ClosedPaths[i]
		addPath(s.stats(&out, p.Local, p.Remote), &p.PathStats, failed(p.Err))
	}
	for i := range c.Paths {
		p := &c.Paths[i]
		q := s.stats(&out, p.Local, p.Remote)
		addPath(q, p, p.State == PathDead)
		q.CongestionWindow += uint64(p.CongestionWindow)
		q.BytesInFlight += uint64(p.BytesInFlight)
	}
	return out
}

// addPath adds what a path did to its link's figures.
func addPath(q *engine.PathStats, p *PathStats, dead bool) {
	if p.SRTT > 0 {
		q.SRTT = p.SRTT
	}
	q.SentPackets += p.SentPackets
	q.ReceivedPackets += p.ReceivedPackets
	q.LostPackets += p.LostPackets
	q.ReinjectedBytes += p.ReinjectedBytes
	q.Picks += p.Picks
	q.Dead = q.Dead || dead || p.Failures > 0
}

// failed reports whether a path ended for another reason than that an application
// wanted it.
func failed(why error) bool {
	e, ok := errors.AsType[*TransportError](why)
	return ok && e.Code != uint64(wire.ApplicationAbandonPath) && e.Code != uint64(wire.NoError)
}

// stats returns the part of the configured path that has the addresses, as far as they
// tell: a listener's paths have no remote one, and a NAT may have changed it.
func (s *session) stats(out *engine.Stats, local, remote netip.AddrPort) *engine.PathStats {
	best, most := 0, -1
	for i, p := range s.paths {
		fit := 0
		switch {
		case p.Local == local:
			fit += 4
		case p.Local.Addr() == local.Addr():
			fit += 3
		case p.Local.Addr().IsUnspecified():
			fit++
		}
		if p.Remote == remote {
			fit++
		}
		if fit > most {
			best, most = i, fit
		}
	}
	return &out.Paths[best]
}

// Close returns once the peer was told, by one packet: a dialler's sockets live on for as long
// as late packets are answered with the close, and are closed then. Where a port was given it
// waits for that: the next session may need the port.
func (s *session) Close() error {
	s.once.Do(func() {
		_ = s.conn.CloseWithError(0, "session closed") // always nil
		s.conn.managed.Wait()
		switch {
		case s.endpoint == nil:
		case s.fixed:
			<-s.conn.driver.Gone()
			s.err = wrap(s.endpoint.Close())
		default:
			s.err = wrap(s.endpoint.driver.CloseWhenIdle())
			s.lingering.add(s.endpoint)
		}
	})
	return s.err
}
