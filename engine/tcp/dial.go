package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/engine"
)

// Dial makes the control connection and the first stream's.
func (e *kernelEngine) Dial(ctx context.Context, c engine.Config) (engine.Session, error) {
	congestion, err := e.check(c)
	if err != nil {
		return nil, err
	}
	for _, p := range c.Paths {
		if !p.Remote.IsValid() {
			return nil, fmt.Errorf("%s: path %q has no remote address", e.kind.Name, p.Link)
		}
		if p.Local.Port() != 0 {
			return nil, fmt.Errorf("%s: path %q fixes the local port %d: %w: a session is more than one connection",
				e.kind.Name, p.Link, p.Local.Port(), engine.ErrUnsupported)
		}
	}
	d := &dialler{engine: e, paths: c.Paths, congestion: congestion, tls: e.tlsConfig(c.TLS), token: newToken()}
	control, err := d.control(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.kind.Name, err)
	}
	first, err := d.stream(ctx)
	if err != nil {
		control.Close()
		return nil, fmt.Errorf("%s: %w", e.kind.Name, err)
	}
	s := newSession(e.kind.Name, c.Paths, control)
	s.dialler, s.spare = d, first
	s.follow(first, nil)
	s.watchControl()
	return s, nil
}

// dialler makes the connections of one session.
type dialler struct {
	engine     *kernelEngine
	paths      []engine.Path
	congestion string
	tls        *tls.Config
	token      token
}

// control makes the session's first connection and waits for the listener's welcome.
func (d *dialler) control(ctx context.Context) (*stream, error) {
	s, err := d.connect(ctx, kindControl)
	if err != nil {
		return nil, err
	}
	release := bound(ctx, s.tcp)
	var answer [1]byte
	_, err = io.ReadFull(s.conn(), answer[:])
	if err := release(err); err != nil {
		s.Close()
		return nil, fmt.Errorf("wait for a welcome from %v: %w: is it a listener of %s?", d.paths[0].Remote, err, d.engine.kind.Name)
	}
	if answer[0] != byteWelcome {
		s.Close()
		return nil, fmt.Errorf("%v is no listener of %s", d.paths[0].Remote, d.engine.kind.Name)
	}
	return s, nil
}

// stream makes a connection for a stream.
func (d *dialler) stream(ctx context.Context) (*stream, error) {
	s, err := d.connect(ctx, kindStream)
	if err != nil {
		return nil, err
	}
	if ready := d.engine.kind.Ready; ready != nil {
		if err := ready(ctx, s.tcp, d.paths); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// connect makes a connection on the first path and introduces it.
func (d *dialler) connect(ctx context.Context, kind byte) (*stream, error) {
	local, remote := d.paths[0].Local.Addr(), d.paths[0].Remote
	nd := net.Dialer{Control: congestionControl(d.congestion)}
	if local.IsValid() {
		nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	nd.SetMultipathTCP(d.engine.kind.Capabilities.Multipath)
	c, err := nd.DialContext(ctx, "tcp", remote.String())
	if err != nil {
		return nil, err // says dial, both addresses and the cause
	}
	s := &stream{tcp: c.(*net.TCPConn), measure: d.engine.kind.Tracker()}
	if err := d.introduce(ctx, s, kind); err != nil {
		s.Close()
		return nil, fmt.Errorf("introduce a connection to %v: %w", remote, err)
	}
	return s, nil
}

// introduce does the TLS handshake and sends the preamble.
func (d *dialler) introduce(ctx context.Context, s *stream, kind byte) error {
	if d.engine.kind.Capabilities.Multipath {
		if err := requireMultipath(s.tcp); err != nil {
			return err
		}
	}
	release := bound(ctx, s.tcp)
	if d.tls != nil {
		s.tls = tls.Client(s.tcp, d.tls)
		if err := s.tls.HandshakeContext(ctx); err != nil {
			return release(fmt.Errorf("TLS handshake: %w", err))
		}
	}
	_, err := s.conn().Write(preamble{kind: kind, token: d.token}.bytes())
	return release(err)
}

// requireMultipath refuses a connection that fell back to plain TCP.
func requireMultipath(c *net.TCPConn) error {
	on, err := c.MultipathTCP()
	if err != nil {
		return fmt.Errorf("ask whether the connection is MPTCP: %w", err)
	}
	if !on {
		return fmt.Errorf("the connection fell back to plain TCP: %w: the listener or something between "+
			"does not speak MPTCP; check net.mptcp.enabled on the other side", engine.ErrUnsupported)
	}
	return nil
}

// bound ends calls on the connection with the context and after preambleTimeout.
// release ends that, and makes the context's error of one that the context caused.
func bound(ctx context.Context, c net.Conn) (release func(error) error) {
	_ = c.SetDeadline(time.Now().Add(preambleTimeout)) // fails only on a closed connection
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return func(err error) error {
		if !stop() {
			return errors.Join(context.Cause(ctx), err)
		}
		_ = c.SetDeadline(time.Time{})
		return err
	}
}
