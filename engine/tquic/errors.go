package tquic

import (
	"errors"
	"fmt"
	"net"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

var (
	// ErrDirection is what reading from our own or writing to the peer's unidirectional
	// stream gives.
	ErrDirection = errors.New("the stream does not go in this direction")
	// ErrNoDatagrams says that the peer takes no datagrams.
	ErrNoDatagrams = errors.New("the peer accepts no datagrams")
	// ErrNoMultipath says that one of the two sides has no multipath, or has it off.
	ErrNoMultipath = errors.New("the connection has no multipath")
	// ErrPathsBlocked says that the peer allows no more paths for now.
	ErrPathsBlocked = errors.New("the peer allows no more paths for now")
)

// ApplicationError is why an application closed the connection.
type ApplicationError struct {
	Code   uint64
	Reason string // for people; may be empty
	Remote bool   // the peer's application did
}

// Error says who closed, with which code and why.
func (e *ApplicationError) Error() string {
	return (&proto.ApplicationError{Code: e.Code, Reason: e.Reason, Remote: e.Remote}).Error()
}

// Is reports whether the end was in order when target is net.ErrClosed: this side
// closed, or the peer did with code 0.
func (e *ApplicationError) Is(target error) bool {
	return target == net.ErrClosed && (!e.Remote || e.Code == 0)
}

// TransportError is a breach of the protocol that ended the connection, or another
// failure of QUIC itself: TLS's, for example.
type TransportError struct {
	Code   uint64 // RFC 9000, section 20.1
	Frame  uint64 // type of the frame that caused it, 0 when none or unknown
	Reason string // for people; may be empty
	Remote bool   // the peer said so
}

// Error returns the code's name, who found it and the reason.
func (e *TransportError) Error() string {
	return (&wire.TransportError{Code: wire.ErrorCode(e.Code), Frame: wire.FrameType(e.Frame), Reason: e.Reason, Remote: e.Remote}).Error()
}

// Is reports whether the end was in order when target is net.ErrClosed: NO_ERROR.
func (e *TransportError) Is(target error) bool {
	return target == net.ErrClosed && e.Code == uint64(wire.NoError)
}

// IdleTimeoutError says that nothing was heard of the peer for too long. It is a
// net.Error.
type IdleTimeoutError struct{ timeout }

// HandshakeTimeoutError says that the handshake took too long. It is a net.Error.
type HandshakeTimeoutError struct{ timeout }

type timeout struct{ text string }

// Error says what took how long.
func (e timeout) Error() string { return e.text }

// Timeout returns true.
func (e timeout) Timeout() bool { return true }

// Temporary returns false.
func (e timeout) Temporary() bool { return false }

// StatelessResetError says that the peer does not know the connection any more.
type StatelessResetError struct{}

// Error says so.
func (*StatelessResetError) Error() string { return proto.ErrStatelessReset.Error() }

// VersionNegotiationError says that the server does not speak version 1 of QUIC.
type VersionNegotiationError struct {
	Offered []uint32 // by the server
}

// Error names what the server offers.
func (e *VersionNegotiationError) Error() string {
	return fmt.Sprintf("QUIC: the server does not speak version 1: it offers %#x", e.Offered)
}

// StreamError says that one direction of a stream ended before its end.
type StreamError struct {
	ID     uint64
	Code   uint64 // the application's
	Remote bool   // the peer's application did it
	// Stopped: the receiver wanted no more. Else the sender gave up.
	Stopped bool
}

// Error says who ended which stream how.
func (e *StreamError) Error() string {
	return (&proto.StreamError{ID: wire.StreamID(e.ID), Code: e.Code, Remote: e.Remote, Stopped: e.Stopped}).Error()
}

// DatagramSizeError says that a datagram is too large for the peer or the path.
type DatagramSizeError struct {
	Size, Max int // bytes
}

// Error returns both sizes.
func (e *DatagramSizeError) Error() string {
	return (&proto.DatagramSizeError{Size: e.Size, Max: e.Max}).Error()
}

// publicError returns err in the package's own types. What it does not know stays.
func publicError(err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *proto.ApplicationError:
		return &ApplicationError{Code: e.Code, Reason: e.Reason, Remote: e.Remote}
	case *wire.TransportError:
		return &TransportError{Code: uint64(e.Code), Frame: uint64(e.Frame), Reason: e.Reason, Remote: e.Remote}
	case *proto.StreamError:
		return &StreamError{ID: uint64(e.ID), Code: e.Code, Remote: e.Remote, Stopped: e.Stopped}
	case *proto.DatagramSizeError:
		return &DatagramSizeError{Size: e.Size, Max: e.Max}
	case *proto.TimeoutError:
		if e.Handshake {
			return &HandshakeTimeoutError{timeout{e.Error()}}
		}
		return &IdleTimeoutError{timeout{e.Error()}}
	case *proto.VersionError:
		v := &VersionNegotiationError{}
		for _, offered := range e.Offered {
			v.Offered = append(v.Offered, uint32(offered))
		}
		return v
	}
	switch err {
	case proto.ErrStatelessReset:
		return &StatelessResetError{}
	case proto.ErrNoHalf:
		return ErrDirection
	case proto.ErrNoDatagrams:
		return ErrNoDatagrams
	case proto.ErrWriteClosed:
		return fmt.Errorf("%w: %w", err, net.ErrClosed)
	}
	switch {
	case errors.Is(err, proto.ErrNoMultipath):
		return ErrNoMultipath
	case errors.Is(err, proto.ErrPathsBlocked):
		return ErrPathsBlocked
	}
	return err
}
