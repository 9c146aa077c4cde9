package tquic

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/tquiclab/tquiclab/engine/internal/driver"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Conn is a connection. Its methods are safe for concurrent use. Once it is over
// they return why: see the package's documentation.
type Conn struct {
	driver   *driver.Conn
	endpoint *Endpoint
	managed  sync.WaitGroup // its path manager
}

// Handshake waits until the handshake is complete on this side.
func (c *Conn) Handshake(ctx context.Context) error {
	select {
	case <-c.driver.Complete():
		return nil
	default:
	}
	select {
	case <-c.driver.Complete():
		return nil
	case <-c.driver.Done():
		return c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// OpenStream opens a stream that goes both ways. It waits while the peer allows no
// more. The peer sees it once something was written.
func (c *Conn) OpenStream(ctx context.Context) (*Stream, error) { return c.open(ctx, wire.Bidi) }

// OpenUniStream opens a stream that only this side writes to.
func (c *Conn) OpenUniStream(ctx context.Context) (*Stream, error) { return c.open(ctx, wire.Uni) }

func (c *Conn) open(ctx context.Context, d wire.Direction) (*Stream, error) {
	s, err := c.driver.OpenStream(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("open a stream: %w", publicError(err))
	}
	return &Stream{s}, nil
}

// AcceptStream waits for the next stream that the peer opened and that goes both
// ways.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) { return c.accept(ctx, wire.Bidi) }

// AcceptUniStream waits for the next stream that only the peer writes to.
func (c *Conn) AcceptUniStream(ctx context.Context) (*Stream, error) { return c.accept(ctx, wire.Uni) }

func (c *Conn) accept(ctx context.Context, d wire.Direction) (*Stream, error) {
	s, err := c.driver.AcceptStream(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("accept a stream: %w", publicError(err))
	}
	return &Stream{s}, nil
}

// SendDatagram sends p as an unreliable datagram (RFC 9221); p is copied. It waits
// while many others are still to be sent. Errors: ErrNoDatagrams, *DatagramSizeError.
func (c *Conn) SendDatagram(p []byte) error {
	return publicError(c.driver.SendDatagram(context.Background(), p))
}

// ReceiveDatagram waits for the next datagram. Datagrams that nobody receives in time
// are dropped, the oldest first.
func (c *Conn) ReceiveDatagram(ctx context.Context) ([]byte, error) {
	v, err := c.driver.ReceiveDatagram(ctx)
	if err != nil {
		return nil, fmt.Errorf("receive a datagram: %w", publicError(err))
	}
	defer v.Release()
	return append([]byte(nil), v.Bytes...), nil
}

// Close ends the connection with code 0. Data that the peer has not got may be lost.
// Idempotent.
func (c *Conn) Close() error { return c.CloseWithError(0, "") }

// CloseWithError ends the connection with a code and a reason for the peer's
// application. Data that the peer has not got may be lost. Idempotent.
func (c *Conn) CloseWithError(code uint64, reason string) error {
	c.driver.Close(code, reason)
	return nil
}

// Done is closed when the connection is over: Err says why.
func (c *Conn) Done() <-chan struct{} { return c.driver.Done() }

// Err returns why the connection is over, nil while it is not.
func (c *Conn) Err() error { return publicError(c.driver.Err()) }

// LocalAddr returns the address that the connection uses on this side.
func (c *Conn) LocalAddr() net.Addr {
	local, _ := c.driver.Addresses()
	return net.UDPAddrFromAddrPort(local)
}

// RemoteAddr returns the peer's address; a peer may move.
func (c *Conn) RemoteAddr() net.Addr {
	_, remote := c.driver.Addresses()
	return net.UDPAddrFromAddrPort(remote)
}

// ConnectionState returns what TLS knows of the connection.
func (c *Conn) ConnectionState() tls.ConnectionState { return c.driver.ConnectionState() }

// UpdateKeys begins a key update (RFC 9001, section 6). The connection also does so
// by itself, long before its keys are worn out.
func (c *Conn) UpdateKeys() error { return publicError(c.driver.UpdateKeys()) }

// Migrate moves a client's connection to a new socket at local: port 0 takes any. The
// server learns of it from the next packet (RFC 9000, section 9). Of several paths it is the
// first one that moves: see MigratePath.
func (c *Conn) Migrate(local netip.AddrPort) error {
	paths := c.Paths()
	if len(paths) == 0 {
		return fmt.Errorf("migrate: %w", cmp.Or(c.Err(), errors.New("there is no path at the moment")))
	}
	return c.MigratePath(paths[0].ID, local)
}
