package tquic

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Listener accepts connections.
type Listener struct {
	endpoint *Endpoint
	config   Config
	owns     bool // the endpoint is the listener's

	once sync.Once
	err  error
}

// Accept waits for the next connection; its handshake is complete. After Close the
// error is net.ErrClosed.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	d, err := l.endpoint.driver.Accept(ctx)
	if err != nil {
		return nil, fmt.Errorf("accept a connection: %w", err)
	}
	conn := &Conn{driver: d, endpoint: l.endpoint}
	conn.keepPaths(Config{Paths: l.config.Paths})
	return conn, nil
}

// Addr returns the address that the listener listens on.
func (l *Listener) Addr() net.Addr { return net.UDPAddrFromAddrPort(l.endpoint.LocalAddr()) }

// Close accepts no more connections. Those accepted live on; the socket that Listen
// opened is closed with the last of them. Idempotent.
func (l *Listener) Close() error {
	l.once.Do(func() {
		if l.owns {
			l.err = l.endpoint.driver.CloseWhenIdle()
		} else {
			l.endpoint.driver.StopListening()
		}
	})
	return l.err
}
