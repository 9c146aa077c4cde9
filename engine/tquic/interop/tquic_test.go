package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/tquic"
)

// tquicStack is ours.
type tquicStack struct{}

func (tquicStack) name() string { return "tquic" }

func (tquicStack) endpoint(r *rig, socket *net.UDPConn) (*tquic.Endpoint, error) {
	e, err := tquic.NewEndpoint(socket, &r.tquic)
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() {
		if err := e.Close(); err != nil {
			r.t.Errorf("close tquic's endpoint: %v", err)
		}
	})
	return e, nil
}

func (s tquicStack) listen(r *rig, socket *net.UDPConn) (listener, error) {
	e, err := s.endpoint(r, socket)
	if err != nil {
		return nil, err
	}
	l, err := e.Listen(r.serverTLS, &r.tquic)
	return tquicListener{l, e.LocalAddr()}, err
}

func (s tquicStack) dialler(r *rig, socket *net.UDPConn) (dialler, error) {
	e, err := s.endpoint(r, socket)
	return tquicDialler{e}, err
}

type tquicDialler struct{ *tquic.Endpoint }

func (d tquicDialler) dial(r *rig, to netip.AddrPort) (end, error) {
	c, err := d.Dial(r.ctx, to, r.clientTLS, &r.tquic)
	return tquicEnd{c}, err
}

func (d tquicDialler) dialEarly(r *rig, to netip.AddrPort) (end, error) {
	c, err := d.DialEarly(r.ctx, to, r.clientTLS, &r.tquic)
	return tquicEnd{c}, err
}

type tquicListener struct {
	*tquic.Listener
	at netip.AddrPort
}

func (l tquicListener) addr() netip.AddrPort { return l.at }

func (l tquicListener) accept(ctx context.Context) (end, error) {
	c, err := l.Accept(ctx)
	return tquicEnd{c}, err
}

type tquicEnd struct{ *tquic.Conn }

func (e tquicEnd) open(ctx context.Context) (stream, error) {
	s, err := e.OpenStream(ctx)
	return tquicStream{s}, err
}

func (e tquicEnd) accept(ctx context.Context) (stream, error) {
	s, err := e.AcceptStream(ctx)
	return tquicStream{s}, err
}

func (e tquicEnd) openUni(ctx context.Context) (io.WriteCloser, error) {
	s, err := e.OpenUniStream(ctx)
	return tquicStream{s}, err
}

func (e tquicEnd) acceptUni(ctx context.Context) (io.Reader, error) { return e.AcceptUniStream(ctx) }

func (e tquicEnd) sendDatagram(p []byte) error { return e.SendDatagram(p) }

func (e tquicEnd) receiveDatagram(ctx context.Context) ([]byte, error) {
	return e.ReceiveDatagram(ctx)
}

func (e tquicEnd) complete(ctx context.Context) error { return e.Handshake(ctx) }
func (e tquicEnd) tls() tls.ConnectionState           { return e.ConnectionState() }
func (e tquicEnd) early() bool                        { return e.Stats().EarlyData }

// again: tquic sends by itself again what was refused.
func (e tquicEnd) again(ctx context.Context) (end, error) { return e, e.complete(ctx) }

func (e tquicEnd) remote() netip.AddrPort { return e.RemoteAddr().(*net.UDPAddr).AddrPort() }

func (e tquicEnd) closeWith(code uint64, reason string) { _ = e.CloseWithError(code, reason) }

func (e tquicEnd) over(ctx context.Context) ending {
	select {
	case <-e.Done():
		return tquicEnding(e.Err())
	case <-ctx.Done():
		return ending{Kind: byNothingWeExpect, Reason: "the connection lives on"}
	}
}

func tquicEnding(err error) ending {
	if e, ok := errors.AsType[*tquic.ApplicationError](err); ok {
		return ending{byApplication, e.Code, e.Reason, e.Remote}
	}
	if e, ok := errors.AsType[*tquic.TransportError](err); ok {
		return ending{byTransport, e.Code, e.Reason, e.Remote}
	}
	if _, ok := errors.AsType[*tquic.StatelessResetError](err); ok {
		return ending{Kind: byStatelessReset}
	}
	if _, ok := errors.AsType[*tquic.IdleTimeoutError](err); ok {
		return ending{Kind: byIdleTimeout}
	}
	if _, ok := errors.AsType[*tquic.VersionNegotiationError](err); ok {
		return ending{Kind: byVersions}
	}
	return ending{Kind: byNothingWeExpect, Reason: err.Error()}
}

type tquicStream struct{ *tquic.Stream }

func (s tquicStream) Close() error            { return s.CloseWrite() }
func (s tquicStream) id() uint64              { return s.ID() }
func (s tquicStream) reset(code uint64)       { s.Reset(code) }
func (s tquicStream) stopSending(code uint64) { s.StopSending(code) }
