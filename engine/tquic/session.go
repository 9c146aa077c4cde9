package tquic

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/tquiclab/tquiclab/engine"
)

// labListener accepts sessions of the engine.
type labListener struct {
	tquic *Listener
	path  engine.Path
}

func (l *labListener) Accept(ctx context.Context) (engine.Session, error) {
	conn, err := l.tquic.Accept(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	return &session{conn: conn, path: l.path}, nil
}

func (l *labListener) Paths() []engine.Path { return []engine.Path{l.path} }

func (l *labListener) Close() error { return wrap(l.tquic.Close()) }

// session is a connection as the lab sees it.
type session struct {
	conn     *Conn
	path     engine.Path
	endpoint *Endpoint // a dialler's own; nil at a listener

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

func (s *session) Stats() engine.Stats {
	c := s.conn.Stats()
	out := engine.Stats{Congestion: c.Congestion, Copied: new(c.Copies.Total())}
	err := s.conn.Err()
	for _, p := range c.Paths {
		out.Paths = append(out.Paths, engine.PathStats{
			Link: s.path.Link, SRTT: p.SRTT, SentPackets: p.SentPackets, ReceivedPackets: p.ReceivedPackets, LostPackets: p.LostPackets,
			Dead: err != nil && !errors.Is(err, net.ErrClosed),
		})
	}
	return out
}

// Close also waits until the peer's late packets need no more answers: its close
// is said again to a peer that has not heard it.
func (s *session) Close() error {
	s.once.Do(func() {
		_ = s.conn.CloseWithError(0, "session closed") // always nil
		<-s.conn.driver.Gone()
		if s.endpoint != nil {
			s.err = wrap(s.endpoint.Close())
		}
	})
	return s.err
}
