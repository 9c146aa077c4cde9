package quicgo

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine"
)

// listener accepts sessions of the engine quic-go.
type listener struct {
	quic   *quic.Listener
	socket *socket
	path   engine.Path

	once sync.Once
	err  error
}

func (l *listener) Accept(ctx context.Context) (engine.Session, error) {
	conn, err := l.quic.Accept(ctx)
	if err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", net.ErrClosed, err)
		}
		return nil, fmt.Errorf("quic-go: accept a session: %w", err)
	}
	return newSession(conn, l.socket.acquire(), l.path), nil
}

func (l *listener) Paths() []engine.Path { return []engine.Path{l.path} }

func (l *listener) Close() error {
	l.once.Do(func() {
		l.err = l.quic.Close()
		if err := l.socket.release(); l.err == nil {
			l.err = err
		}
	})
	return l.err
}
