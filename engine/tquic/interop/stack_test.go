package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/quic-go/quic-go"

	"github.com/tquiclab/tquiclab/engine/tquic"
)

// stack is an implementation of QUIC.
type stack interface {
	name() string
	// listen takes connections on the socket, which belongs to it from now on.
	listen(r *rig, socket *net.UDPConn) (listener, error)
	// dialler opens connections from the socket, which belongs to it from now on.
	dialler(r *rig, socket *net.UDPConn) (dialler, error)
}

// dialler is a stack's client. dialEarly does not wait for the handshake.
type dialler interface {
	dial(r *rig, to netip.AddrPort) (end, error)
	dialEarly(r *rig, to netip.AddrPort) (end, error)
}

// listener is a stack's server.
type listener interface {
	accept(ctx context.Context) (end, error)
	addr() netip.AddrPort
}

// end is one side of a connection.
type end interface {
	open(ctx context.Context) (stream, error)
	accept(ctx context.Context) (stream, error)
	openUni(ctx context.Context) (io.WriteCloser, error)
	acceptUni(ctx context.Context) (io.Reader, error)
	sendDatagram(p []byte) error
	receiveDatagram(ctx context.Context) ([]byte, error)

	// complete waits for the handshake.
	complete(ctx context.Context) error
	tls() tls.ConnectionState
	// early: 0-RTT was offered and accepted.
	early() bool
	// again returns the client's end to use after the server refused 0-RTT.
	again(ctx context.Context) (end, error)
	remote() netip.AddrPort

	closeWith(code uint64, reason string)
	// over waits for the connection's end and returns what it was.
	over(ctx context.Context) ending
}

// stream is one that goes both ways. Close ends this side's bytes.
type stream interface {
	io.ReadWriteCloser
	id() uint64
	reset(code uint64)
	stopSending(code uint64)
}

// ending is why a connection is over, in the words that both stacks have.
type ending struct {
	Kind   endingKind
	Code   uint64
	Reason string
	Remote bool
}

type endingKind string

const (
	byApplication     endingKind = "application"
	byTransport       endingKind = "transport"
	byStatelessReset  endingKind = "stateless reset"
	byIdleTimeout     endingKind = "idle timeout"
	byVersions        endingKind = "version negotiation"
	byNothingWeExpect endingKind = "something else"
)

// cancelled is why one direction of a stream is over.
type cancelled struct {
	Code   uint64
	Remote bool
}

// cancellation returns how a stream was cancelled, when that is what err says.
func cancellation(err error) (cancelled, bool) {
	if e, ok := errors.AsType[*tquic.StreamError](err); ok {
		return cancelled{e.Code, e.Remote}, true
	}
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		return cancelled{uint64(e.ErrorCode), e.Remote}, true
	}
	return cancelled{}, false
}
