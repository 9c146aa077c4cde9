package quicgo

import (
	"context"
	"fmt"
	"net"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine"
)

// New returns the engine "quic-go": stock quic-go on one path.
func New() engine.Engine { return single{} }

type single struct{}

func (single) Name() string { return "quic-go" }

func (single) Capabilities() engine.Capabilities {
	return engine.Capabilities{Encrypted: true, QLOG: true, Congestion: congestionName}
}

func (e single) check(c engine.Config) error {
	if err := check(e.Name(), c); err != nil {
		return err
	}
	if len(c.Paths) > 1 {
		return fmt.Errorf("quic-go: %d paths: %w: it has one path; quic-go-bond takes more", len(c.Paths), engine.ErrUnsupported)
	}
	return nil
}

func (e single) Listen(ctx context.Context, c engine.Config) (engine.Listener, error) {
	if err := e.check(c); err != nil {
		return nil, err
	}
	sock, err := openSocket(ctx, c.Paths[0].Local)
	if err != nil {
		return nil, fmt.Errorf("quic-go: %w", err)
	}
	ql, err := sock.transport.Listen(tlsConfig(c.TLS), quicConfig(c.QLOG))
	if err != nil {
		sock.release()
		return nil, fmt.Errorf("quic-go: listen on %v: %w", c.Paths[0].Local, err)
	}
	path := c.Paths[0]
	path.Local = sock.local()
	return &listener{quic: ql, socket: sock, path: path}, nil
}

func (e single) Dial(ctx context.Context, c engine.Config) (engine.Session, error) {
	if err := e.check(c); err != nil {
		return nil, err
	}
	if err := checkRemotes(e.Name(), c.Paths); err != nil {
		return nil, err
	}
	conn, sock, err := dialPath(ctx, c.Paths[0], c, quicConfig(c.QLOG))
	if err != nil {
		return nil, fmt.Errorf("quic-go: %w", err)
	}
	return newSession(conn, sock, c.Paths[0]), nil
}

// dialPath opens a connection on a socket of its own.
func dialPath(ctx context.Context, p engine.Path, c engine.Config, qc *quic.Config) (*quic.Conn, *socket, error) {
	sock, err := openSocket(ctx, p.Local)
	if err != nil {
		return nil, nil, err
	}
	conn, err := sock.transport.Dial(ctx, net.UDPAddrFromAddrPort(p.Remote), tlsConfig(c.TLS), qc)
	if err != nil {
		sock.release()
		return nil, nil, fmt.Errorf("dial %v from %v: %w", p.Remote, p.Local.Addr(), err)
	}
	return conn, sock, nil
}
