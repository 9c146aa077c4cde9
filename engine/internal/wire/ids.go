package wire

import (
	"encoding/hex"
	"fmt"
)

// PathID numbers the paths of a connection (draft-ietf-quic-multipath-21, section
// 1.3). Path 0 is the one of the handshake, and the only one without the extension.
type PathID uint32

// PacketNumber is a packet's number in its packet number space, 0 to 2^62-1 (RFC
// 9000, section 12.3). Negative means none.
type PacketNumber int64

// NoPacket is a packet number that no packet has.
const NoPacket PacketNumber = -1

// StreamID is a stream's number (RFC 9000, section 2.1): its two low bits say who
// opened it and whether it has one direction or two.
type StreamID uint64

// Perspective is one of a connection's two sides.
type Perspective uint8

// The sides.
const (
	Client Perspective = iota
	Server
)

// Peer returns the other side.
func (p Perspective) Peer() Perspective { return 1 - p }

// String returns the side in lower case.
func (p Perspective) String() string {
	if p == Client {
		return "client"
	}
	return "server"
}

// Direction says whether a stream carries data one way or both.
type Direction uint8

// The directions.
const (
	Bidi Direction = iota
	Uni
)

// String returns the direction as qlog spells it.
func (d Direction) String() string {
	if d == Bidi {
		return "bidirectional"
	}
	return "unidirectional"
}

// NewStreamID returns the ID of the n-th stream, from 0, of its kind.
func NewStreamID(initiator Perspective, d Direction, n uint64) StreamID {
	return StreamID(n<<2 | uint64(d)<<1 | uint64(initiator))
}

// Initiator returns the side that opened the stream.
func (id StreamID) Initiator() Perspective { return Perspective(id & 1) }

// Direction returns the stream's direction.
func (id StreamID) Direction() Direction { return Direction(id >> 1 & 1) }

// Number returns which stream of its kind it is, from 0.
func (id StreamID) Number() uint64 { return uint64(id >> 2) }

// MaxConnIDLen is the longest connection ID of QUIC version 1, in bytes (RFC 9000,
// section 17.2).
const MaxConnIDLen = 20

// ConnID is a connection ID: 0 to MaxConnIDLen bytes. It is comparable.
type ConnID struct {
	n uint8
	b [MaxConnIDLen]byte
}

// NewConnID returns the ID with the bytes of b, which must not be more than
// MaxConnIDLen: parsers check that first.
func NewConnID(b []byte) ConnID {
	if len(b) > MaxConnIDLen {
		panic(fmt.Sprintf("wire: a connection ID of %d bytes", len(b)))
	}
	id := ConnID{n: uint8(len(b))}
	copy(id.b[:], b)
	return id
}

// Len returns the ID's length in bytes.
func (id ConnID) Len() int { return int(id.n) }

// Bytes returns the ID's bytes, which stay id's.
func (id *ConnID) Bytes() []byte { return id.b[:id.n] }

// Append appends the ID's bytes, without their length, to b.
func (id ConnID) Append(b []byte) []byte { return append(b, id.b[:id.n]...) }

// String returns the ID in hexadecimal.
func (id ConnID) String() string { return hex.EncodeToString(id.b[:id.n]) }

// ResetToken is a stateless reset token (RFC 9000, section 10.3).
type ResetToken [16]byte

// ECN is a packet's mark in the IP header (RFC 3168, section 5).
type ECN uint8

// The marks, as their two bits on the wire.
const (
	NotECT ECN = 0
	ECT1   ECN = 1
	ECT0   ECN = 2
	CE     ECN = 3
)

// Version is a version of QUIC.
type Version uint32

// Version1 is the one that this package speaks (RFC 9000, section 15).
const Version1 Version = 1

// ByteCount is a number of bytes.
type ByteCount int64
