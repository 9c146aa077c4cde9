package proto

import (
	"crypto/tls"
	"io"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Config is what a connection is made with. Zero values stand for the defaults
// that each field names.
type Config struct {
	// TLS must have NextProtos; TLS 1.3 is forced. The connection keeps it.
	TLS *tls.Config
	// Random is the source of connection IDs, challenges and grease: crypto/rand's in
	// earnest, a seeded one in a simulation. Required.
	Random io.Reader
	// ResetKey makes this endpoint's stateless reset tokens (RFC 9000, section 10.3.2).
	ResetKey [32]byte
	// Congestion names the congestion control, one of congest.Names. Empty: "bbr".
	Congestion string

	IdleTimeout      time.Duration // 0: 30 s; negative: none
	KeepAlive        time.Duration // a PING after so long without one; 0: none
	HandshakeTimeout time.Duration // 0: 10 s

	// Receive windows, bytes: where they start and how far auto-tuning takes them.
	StreamWindow, MaxStreamWindow wire.ByteCount // 0: 512 KiB, 16 MiB
	ConnWindow, MaxConnWindow     wire.ByteCount // 0: 1 MiB, 32 MiB
	// SendBuffer is how many bytes a stream accepts beyond those acknowledged. 0: 4 MiB.
	// Over several paths it grows with what they hold together, up to MaxSendBuffer. 0: 64
	// MiB.
	SendBuffer, MaxSendBuffer wire.ByteCount
	// Streams that the peer may have open at once. 0: 100; negative: none.
	MaxBidiStreams, MaxUniStreams int64
	// MaxDatagram is the largest DATAGRAM frame accepted, bytes; 0: no datagrams.
	MaxDatagram wire.ByteCount

	// MaxUDPPayload is the largest UDP payload to send, bytes: what the local interface
	// takes. 0: 65527. Path MTU discovery searches up to it, from 1200.
	MaxUDPPayload wire.ByteCount
	// FixedMTU, when set, is the payload size from the start, with no discovery.
	FixedMTU bool

	// EarlyData has a client offer 0-RTT when it has a session that allows it, and a
	// server take it. 0-RTT data can be replayed (RFC 9001, section 9.2): whether that
	// does harm, only the application knows.
	EarlyData bool
	// ECN marks packets ECT(0) while the path passes validation (RFC 9000, section 13.4).
	ECN bool
	// Migration off makes a client's transport parameter say disable_active_migration.
	DisableMigration bool
	// Paths is how many paths the connection may have at a time, 2 to 16: the multipath
	// extension. 0 and 1: it is off.
	Paths int
	// Scheduler names the choice of paths, one of sched.Names. Empty: its default.
	Scheduler string
	// KeepWarm has each path asked for a sign of life after so long without one. 0: never.
	KeepWarm time.Duration
	// NoReinject keeps data that a path owes from being sent on another one before it is
	// lost.
	NoReinject bool

	// NoAckFrequency keeps draft-ietf-quic-ack-frequency off: the peer is not told that this
	// side takes its frames, and is asked for nothing.
	NoAckFrequency bool
	// AskAcks has the peer asked to acknowledge less often (ACK_FREQUENCY), once it is seen to
	// send three times as many ACKs as the paths need. This engine's own receiver seldom
	// does: it is of use with others.
	AskAcks bool

	// Tracer makes the tracer of a new connection, which is named by the destination
	// connection ID of the client's first packet. It may return nil. nil: no traces.
	Tracer func(side wire.Perspective, originalID wire.ConnID) Tracer
}

// Datagram is a received UDP payload.
type Datagram struct {
	Local, Remote netip.AddrPort
	ECN           wire.ECN
	// Data is decrypted in place. It lies in Buffer, which the connection retains for
	// what it keeps; with a nil Buffer it copies instead.
	Data   []byte
	Buffer *buf.Buffer
}

// Transmit is a train of datagrams to send in one go.
type Transmit struct {
	Local, Remote netip.AddrPort
	ECN           wire.ECN
	// Buf takes the datagrams back to back. Its capacity, set by the owner, bounds the
	// train.
	Buf []byte
	// Segment is the size of each datagram but the last, which may be shorter.
	Segment int
	// MaxSegments bounds the datagrams of a train: 1 where the socket has no UDP_SEGMENT.
	MaxSegments int
}

// EventKind is what an Event says.
type EventKind uint8

// The events.
const (
	// HandshakeComplete: TLS is done on this side; 1-RTT data flows.
	HandshakeComplete EventKind = iota + 1
	// HandshakeConfirmed: the peer is known to be done, too (RFC 9001, section 4.1.2).
	HandshakeConfirmed
	// EarlyAccepted: a server takes 0-RTT data: streams may come before
	// HandshakeComplete, and an attacker may have replayed them.
	EarlyAccepted
	// EarlyRejected: the server did not take the 0-RTT data; all of it is sent again in
	// 1-RTT unless the application resets the streams.
	EarlyRejected
	// StreamOpened: the peer opened streams; AcceptStream has them. Direction says which.
	StreamOpened
	// StreamsAvailable: the peer allows more streams. Direction says which.
	StreamsAvailable
	// StreamReadable: Stream has data, its end or its reset to read.
	StreamReadable
	// StreamWritable: Stream takes data again, or Write would tell of its end.
	StreamWritable
	// DatagramReceived: ReceiveDatagram has one.
	DatagramReceived
	// IssuedID: the peer may use ID from now on; RetiredID: no longer.
	IssuedID
	RetiredID
	// IssuedToken: the peer may end the connection by Token (stateless reset);
	// RetiredToken: no longer.
	IssuedToken
	RetiredToken
	// AddressToken: Data is a token for the next connection to this server.
	AddressToken
	// PathChanged: the connection uses Local and Remote now (migration).
	PathChanged
	// PathValidated: Path carries data from now on, between Local and Remote. On a server
	// it also says that the client opened the path.
	PathValidated
	// PathFailed: Path stopped to acknowledge; PathRecovered: it does again.
	PathFailed
	PathRecovered
	// PathClosed: Path is used no more; Err, a *wire.TransportError, says why.
	PathClosed
	// PathOpened: a client opened Path by itself, between Local and Remote: it had lost its
	// last one. PathValidated or PathClosed follows.
	PathOpened
	// PathsAvailable: OpenPath has IDs again.
	PathsAvailable

	// Closed: the connection is over for the application, for the reason Err.
	Closed
	// Drained: nothing is left to do or to answer; the owner can forget it.
	Drained
)

// Event is something that the owner should know.
type Event struct {
	Kind          EventKind
	Direction     wire.Direction
	Stream        *Stream
	ID            wire.ConnID
	Token         wire.ResetToken
	Data          []byte
	Path          wire.PathID
	Local, Remote netip.AddrPort
	Err           error
}
