package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"
)

// quicgoStack is quic-go as it comes.
type quicgoStack struct{}

func (quicgoStack) name() string { return "quic-go" }

func (quicgoStack) transport(r *rig, socket *net.UDPConn) *quic.Transport {
	key := quic.StatelessResetKey{1: 1}
	t := &quic.Transport{Conn: socket, StatelessResetKey: &key, VerifySourceAddress: func(net.Addr) bool { return r.retry }}
	r.t.Cleanup(func() {
		if err := errors.Join(t.Close(), socket.Close()); err != nil {
			r.t.Errorf("close quic-go's transport: %v", err)
		}
	})
	return t
}

func (quicgoStack) config(r *rig) *quic.Config {
	c := r.quicgo.Clone()
	if r.events == nil {
		return c
	}
	c.Tracer = func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return r.events }
	return c
}

func (s quicgoStack) listen(r *rig, socket *net.UDPConn) (listener, error) {
	l, err := s.transport(r, socket).Listen(r.serverTLS, s.config(r))
	return quicgoListener{l}, err
}

func (s quicgoStack) dialler(r *rig, socket *net.UDPConn) (dialler, error) {
	return quicgoDialler{s.transport(r, socket), s.config(r)}, nil
}

type quicgoDialler struct {
	transport *quic.Transport
	config    *quic.Config
}

func (d quicgoDialler) dial(r *rig, to netip.AddrPort) (end, error) {
	c, err := d.transport.Dial(r.ctx, net.UDPAddrFromAddrPort(to), r.clientTLS, d.config)
	return quicgoEnd{c}, err
}

func (d quicgoDialler) dialEarly(r *rig, to netip.AddrPort) (end, error) {
	c, err := d.transport.DialEarly(r.ctx, net.UDPAddrFromAddrPort(to), r.clientTLS, d.config)
	return quicgoEnd{c}, err
}

type quicgoListener struct{ *quic.Listener }

func (l quicgoListener) addr() netip.AddrPort { return l.Addr().(*net.UDPAddr).AddrPort() }

func (l quicgoListener) accept(ctx context.Context) (end, error) {
	c, err := l.Accept(ctx)
	return quicgoEnd{c}, err
}

type quicgoEnd struct{ *quic.Conn }

func (e quicgoEnd) open(ctx context.Context) (stream, error) {
	s, err := e.OpenStreamSync(ctx)
	return quicgoStream{s}, err
}

func (e quicgoEnd) accept(ctx context.Context) (stream, error) {
	s, err := e.AcceptStream(ctx)
	return quicgoStream{s}, err
}

func (e quicgoEnd) openUni(ctx context.Context) (io.WriteCloser, error) {
	return e.OpenUniStreamSync(ctx)
}

func (e quicgoEnd) acceptUni(ctx context.Context) (io.Reader, error) { return e.AcceptUniStream(ctx) }

func (e quicgoEnd) sendDatagram(p []byte) error { return e.SendDatagram(p) }

func (e quicgoEnd) receiveDatagram(ctx context.Context) ([]byte, error) {
	return e.ReceiveDatagram(ctx)
}

func (e quicgoEnd) complete(ctx context.Context) error {
	select {
	case <-e.HandshakeComplete():
		return nil
	case <-e.Context().Done():
		return context.Cause(e.Context())
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e quicgoEnd) tls() tls.ConnectionState { return e.ConnectionState().TLS }
func (e quicgoEnd) early() bool              { return e.ConnectionState().Used0RTT }

// again: quic-go asks its application to send once more what was refused.
func (e quicgoEnd) again(ctx context.Context) (end, error) {
	c, err := e.NextConnection(ctx)
	return quicgoEnd{c}, err
}

func (e quicgoEnd) remote() netip.AddrPort {
	return e.RemoteAddr().(*net.UDPAddr).AddrPort()
}

func (e quicgoEnd) closeWith(code uint64, reason string) {
	_ = e.CloseWithError(quic.ApplicationErrorCode(code), reason)
}

func (e quicgoEnd) over(ctx context.Context) ending {
	select {
	case <-e.Context().Done():
		return quicgoEnding(context.Cause(e.Context()))
	case <-ctx.Done():
		return ending{Kind: byNothingWeExpect, Reason: "the connection lives on"}
	}
}

func quicgoEnding(err error) ending {
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return ending{byApplication, uint64(e.ErrorCode), e.ErrorMessage, e.Remote}
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		return ending{byTransport, uint64(e.ErrorCode), e.ErrorMessage, e.Remote}
	}
	if _, ok := errors.AsType[*quic.StatelessResetError](err); ok {
		return ending{Kind: byStatelessReset}
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		return ending{Kind: byIdleTimeout}
	}
	if _, ok := errors.AsType[*quic.VersionNegotiationError](err); ok {
		return ending{Kind: byVersions}
	}
	return ending{Kind: byNothingWeExpect, Reason: err.Error()}
}

type quicgoStream struct{ *quic.Stream }

func (s quicgoStream) id() uint64              { return uint64(s.StreamID()) }
func (s quicgoStream) reset(code uint64)       { s.CancelWrite(quic.StreamErrorCode(code)) }
func (s quicgoStream) stopSending(code uint64) { s.CancelRead(quic.StreamErrorCode(code)) }
