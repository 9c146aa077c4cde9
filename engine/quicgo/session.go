package quicgo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine"
)

// Application error codes of both engines.
const (
	codeClosed   quic.ApplicationErrorCode = 0 // the session is over
	codeProtocol quic.ApplicationErrorCode = 1 // the peer broke the bond's protocol
	codeRefused  quic.ApplicationErrorCode = 2 // no such session, or too many
)

// session is one QUIC connection.
type session struct {
	conn   *quic.Conn
	socket *socket
	path   engine.Path

	once sync.Once
	err  error
}

func newSession(conn *quic.Conn, sock *socket, path engine.Path) *session {
	return &session{conn: conn, socket: sock, path: path}
}

func (s *session) OpenStream(ctx context.Context) (engine.Stream, error) {
	qs, err := s.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, fmt.Errorf("quic-go: open a stream: %w", closedError(err))
	}
	return &stream{quic: qs}, nil
}

func (s *session) AcceptStream(ctx context.Context) (engine.Stream, error) {
	qs, err := s.conn.AcceptStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("quic-go: accept a stream: %w", closedError(err))
	}
	return &stream{quic: qs}, nil
}

func (s *session) Stats() engine.Stats {
	p := pathStats(s.conn)
	p.Link = s.path.Link
	p.Dead = diedByItself(s.conn)
	return engine.Stats{Congestion: congestionName, Paths: []engine.PathStats{p}}
}

func (s *session) Close() error {
	s.once.Do(func() {
		_ = s.conn.CloseWithError(codeClosed, "session closed") // always nil
		s.err = s.socket.release()
	})
	return s.err
}

// pathStats returns what quic-go counts of a connection.
func pathStats(conn *quic.Conn) engine.PathStats {
	c := conn.ConnectionStats()
	return engine.PathStats{SRTT: c.SmoothedRTT, SentPackets: c.PacketsSent, ReceivedPackets: c.PacketsReceived, LostPackets: c.PacketsLost}
}

// diedByItself reports whether the connection ended by anything but a close.
func diedByItself(conn *quic.Conn) bool {
	return conn.Context().Err() != nil && !inOrder(context.Cause(conn.Context()))
}

// inOrder reports whether a connection's end was a close, by either side. quic-go's
// own errors all claim to be net.ErrClosed, timeouts too.
func inOrder(cause error) bool {
	app, ok := errors.AsType[*quic.ApplicationError](cause)
	return ok && app.ErrorCode == codeClosed
}

// closedError says in our words who closed the connection. Other errors stay.
func closedError(err error) error {
	if app, ok := errors.AsType[*quic.ApplicationError](err); ok && inOrder(err) {
		who := "this side"
		if app.Remote {
			who = "the peer"
		}
		return fmt.Errorf("%w: %s closed the session", net.ErrClosed, who)
	}
	return err
}
