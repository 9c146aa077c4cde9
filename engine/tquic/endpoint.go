package tquic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/tquiclab/tquiclab/engine/internal/driver"
	"github.com/tquiclab/tquiclab/engine/internal/pathman"
)

// Endpoint is one or more UDP sockets that accept and open connections. Its methods
// are safe for concurrent use.
type Endpoint struct {
	driver *driver.Endpoint
	watch  *pathman.Watcher

	mu     sync.Mutex
	tasks  sync.WaitGroup // path managers
	closed bool           // no more tasks
}

// ListenEndpoint returns an endpoint on a UDP socket at local: port 0 takes any, an
// unspecified address all of the machine's. c's part on endpoints counts.
func ListenEndpoint(local netip.AddrPort, c *Config) (*Endpoint, error) {
	conn, err := bind(local, "")
	if err != nil {
		return nil, err
	}
	return NewEndpoint(conn, c)
}

// bind opens a UDP socket, on one interface unless device is empty.
func bind(local netip.AddrPort, device string) (*net.UDPConn, error) {
	lc := net.ListenConfig{}
	if device != "" {
		lc.Control = toDevice(device)
	}
	conn, err := lc.ListenPacket(context.Background(), "udp", local.String())
	if err != nil {
		return nil, fmt.Errorf("bind UDP socket: %w", err)
	}
	return conn.(*net.UDPConn), nil
}

// NewEndpoint returns an endpoint on the socket, which belongs to it from now on,
// also when it fails.
func NewEndpoint(conn *net.UDPConn, c *Config) (*Endpoint, error) {
	config := c.orDefaults()
	d, err := driver.New(conn, config.driver())
	if err != nil {
		return nil, err
	}
	return &Endpoint{driver: d, watch: &pathman.Watcher{}}, nil
}

// AddAddress gives the endpoint another socket, at local: port 0 takes any. It returns
// the socket's address. Its listener, if it has one, listens there, too: a server that
// is to be reached over several links has an address on each.
func (e *Endpoint) AddAddress(local netip.AddrPort) (netip.AddrPort, error) {
	conn, err := bind(local, "")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("add address: %w", err)
	}
	at, err := e.driver.AddSocket(conn)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("add address: %w", err)
	}
	return at, nil
}

// RemoveAddress closes the socket at local. Connections lose what went over it, others
// are not disturbed. The only socket stays: that is an error.
func (e *Endpoint) RemoveAddress(local netip.AddrPort) error {
	return e.driver.RemoveSocket(local)
}

// LocalAddrs returns the addresses of the endpoint's sockets, oldest first.
func (e *Endpoint) LocalAddrs() []netip.AddrPort { return e.driver.LocalAddrs() }

// LocalAddr returns the address of the endpoint's socket, the first one if there are
// several.
func (e *Endpoint) LocalAddr() netip.AddrPort { return e.driver.LocalAddr() }

// Listen accepts connections from now on. Only one listener at a time is possible.
func (e *Endpoint) Listen(t *tls.Config, c *Config) (*Listener, error) {
	config := c.orDefaults()
	t, err := serverTLS(t)
	if err != nil {
		return nil, err
	}
	if err := config.checkQLOG(); err != nil {
		return nil, err
	}
	if err := e.driver.Listen(config.proto(t, e.driver.Epoch()), config.backlog()); err != nil {
		return nil, err
	}
	return &Listener{endpoint: e, config: config}, nil
}

// Dial opens a connection to remote and waits for its handshake. The context bounds
// the dialling, not the connection.
func (e *Endpoint) Dial(ctx context.Context, remote netip.AddrPort, t *tls.Config, c *Config) (*Conn, error) {
	conn, err := e.begin(ctx, remote, t, c, false)
	if err != nil {
		return nil, err
	}
	conn.keepPaths(c.orDefaults())
	if err := conn.Handshake(ctx); err != nil {
		conn.driver.Close(0, "the dialler gave up")
		return nil, fmt.Errorf("dial %v: %w", remote, err)
	}
	return conn, nil
}

// DialEarly begins to open a connection to remote and returns at once. With a session
// of an earlier connection to the server (tls.Config.ClientSessionCache), streams
// can be opened and data be sent in the first flight (0-RTT); without one, opening
// them waits for the handshake.
//
// An attacker can replay 0-RTT data (RFC 8446, section 8): it must ask for nothing
// that does harm when it happens twice. Stats tells after Handshake whether the server
// took it, which it does only with Config.EarlyData; what it did not take is sent
// again by itself.
func (e *Endpoint) DialEarly(ctx context.Context, remote netip.AddrPort, t *tls.Config, c *Config) (*Conn, error) {
	conn, err := e.begin(ctx, remote, t, c, true)
	if err == nil {
		conn.keepPaths(c.orDefaults())
	}
	return conn, err
}

// begin starts a handshake from the first fitting socket.
func (e *Endpoint) begin(ctx context.Context, remote netip.AddrPort, t *tls.Config, c *Config, early bool) (*Conn, error) {
	return e.beginFrom(ctx, netip.AddrPort{}, remote, t, c, early)
}

// beginFrom starts a handshake from the socket at local; the first fitting one when
// local is zero or unspecified.
func (e *Endpoint) beginFrom(ctx context.Context, local, remote netip.AddrPort, t *tls.Config, c *Config, early bool) (*Conn, error) {
	config := c.orDefaults()
	config.EarlyData = early
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	if ctx.Err() != nil {
		return nil, fmt.Errorf("dial %v: %w", remote, context.Cause(ctx))
	}
	t, err := clientTLS(t, remote.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("dial %v: %w", remote, err)
	}
	if err := config.checkQLOG(); err != nil {
		return nil, fmt.Errorf("dial %v: %w", remote, err)
	}
	var d *driver.Conn
	if settings := config.proto(t, e.driver.Epoch()); local.IsValid() && !local.Addr().IsUnspecified() {
		d, err = e.driver.DialFrom(settings, local, remote)
	} else {
		d, err = e.driver.Dial(settings, remote)
	}
	if err != nil {
		return nil, fmt.Errorf("dial %v: %w", remote, publicError(err))
	}
	return &Conn{driver: d, endpoint: e}, nil
}

// Close closes all connections, telling their peers once, and the sockets.
// Idempotent.
func (e *Endpoint) Close() error {
	err := e.driver.Close()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.tasks.Wait()
	return err
}

// Dial opens a connection to addr, "host:port", from a socket of its own, and waits
// for its handshake. The context bounds the dialling, not the connection. The host is
// the name that the server's certificate must have, unless t says another.
func Dial(ctx context.Context, addr string, t *tls.Config, c *Config) (*Conn, error) {
	conn, err := begin(ctx, addr, t, c, false)
	if err != nil {
		return nil, err
	}
	if err := conn.Handshake(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return conn, nil
}

// DialEarly is Dial without waiting for the handshake: see Endpoint.DialEarly.
func DialEarly(ctx context.Context, addr string, t *tls.Config, c *Config) (*Conn, error) {
	return begin(ctx, addr, t, c, true)
}

// begin starts a handshake from a socket of its own.
func begin(ctx context.Context, addr string, t *tls.Config, c *Config, early bool) (*Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	remote, err := resolve(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	if t, err = clientTLS(t, host); err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	any := netip.IPv6Unspecified()
	if remote.Addr().Is4() {
		any = netip.IPv4Unspecified()
	}
	e, err := ListenEndpoint(netip.AddrPortFrom(any, 0), c)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	conn, err := e.begin(ctx, remote, t, c, early)
	if err == nil {
		conn.keepPaths(c.orDefaults())
	}
	return conn, errors.Join(err, e.driver.CloseWhenIdle())
}

// resolve returns the first address of a host and port. Others are not tried.
func resolve(ctx context.Context, addr string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		host = "localhost"
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(found[0].Unmap(), uint16(port)), nil
}

// Listen accepts connections at addr, "host:port", on a socket of its own: ":4433"
// are all of the machine's addresses, port 0 takes any.
func Listen(addr string, t *tls.Config, c *Config) (*Listener, error) {
	udp, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	conn, err := net.ListenUDP("udp", udp)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	e, err := NewEndpoint(conn, c)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	l, err := e.Listen(t, c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", addr, err), e.Close())
	}
	l.owns = true
	return l, nil
}
