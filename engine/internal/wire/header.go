package wire

import "encoding/binary"

// Bits of a packet's first byte (RFC 9000, sections 17.2 and 17.3).
const (
	formLong      = 0x80
	fixedBit      = 0x40
	keyPhaseShift = 2 // of short headers
	typeShift     = 4 // of long headers
)

const (
	lengthLen   = 2  // bytes of the Length field that AppendLong writes
	retryTagLen = 16 // RFC 9001, section 5.8
)

// HeaderError says why a packet must be dropped unread.
type HeaderError uint8

// Why a packet must be dropped.
const (
	// ErrTruncated: the datagram ends before the packet does.
	ErrTruncated HeaderError = iota + 1
	// ErrShortHeader: the packet has no long header.
	ErrShortHeader
	// ErrVersion: the packet is of a version that this package does not speak.
	ErrVersion
	// ErrFixedBit: the fixed bit is 0.
	ErrFixedBit
	// ErrConnIDLength: a connection ID has more than MaxConnIDLen bytes.
	ErrConnIDLength
	// ErrRetryToken: a Retry packet has no token.
	ErrRetryToken
)

// Error returns the reason.
func (e HeaderError) Error() string {
	switch e {
	case ErrTruncated:
		return "QUIC: packet is cut short"
	case ErrShortHeader:
		return "QUIC: packet has a short header"
	case ErrVersion:
		return "QUIC: packet is of another version"
	case ErrFixedBit:
		return "QUIC: packet's fixed bit is 0"
	case ErrConnIDLength:
		return "QUIC: packet's connection ID has more than 20 bytes"
	case ErrRetryToken:
		return "QUIC: Retry packet has no token"
	}
	return "QUIC: packet's header is invalid"
}

// LongHeader is a long header of version 1, or what a Version Negotiation packet has
// of one.
type LongHeader struct {
	Type         PacketType
	Version      Version
	DstID, SrcID ConnID
	// Token is of Initial and Retry packets. A parsed one is those bytes of the packet.
	Token []byte
	// Length counts the bytes after the Length field: packet number and payload, AEAD
	// tag included. Retry and Version Negotiation have none.
	Length int
	// PNOffset is where in the packet the packet number begins. Of parsed headers only.
	PNOffset int
	// End is where the packet ends and the next one of the datagram begins. Of parsed
	// headers only.
	End int
}

// ParseLong returns the long header of the packet that b, a datagram or what is left
// of one, begins with; the next packet begins at b[h.End:]. The header borrows b. An
// error is a HeaderError, and the rest of the datagram is to be dropped. With
// ErrVersion and ErrConnIDLength the header has the Version, and the IDs if both have
// MaxConnIDLen bytes or less: ParseInvariant tells longer ones. With ErrVersion its Type
// means nothing. The first byte's low
// bits are under header protection still and not looked at.
func ParseLong(b []byte) (LongHeader, error) {
	if len(b) > 0 && !IsLong(b[0]) {
		return LongHeader{}, ErrShortHeader
	}
	inv, n := parseInvariantLong(b)
	if n == 0 {
		return LongHeader{}, ErrTruncated
	}
	h := LongHeader{Type: PacketType(b[0] >> typeShift & 3), Version: inv.Version, End: len(b)}
	fits := len(inv.DstID) <= MaxConnIDLen && len(inv.SrcID) <= MaxConnIDLen
	if fits {
		h.DstID, h.SrcID = NewConnID(inv.DstID), NewConnID(inv.SrcID)
	}
	switch {
	case h.Version == 0:
		h.Type = PacketVersionNegotiation
	case h.Version != Version1:
		return h, ErrVersion
	}
	// RFC 9000, section 17.2: a longer ID MUST have the packet dropped. Those of a
	// Version Negotiation packet echo ours, which are never longer.
	if !fits {
		return h, ErrConnIDLength
	}
	if h.Type == PacketVersionNegotiation {
		return h, nil
	}
	// RFC 9000, section 17.2: without the fixed bit the packet MUST be discarded.
	if b[0]&fixedBit == 0 {
		return h, ErrFixedBit
	}
	if h.Type == PacketRetry {
		return parseRetry(b, n, h)
	}
	c := cursor{b: b, at: n}
	if h.Type == PacketInitial {
		h.Token = c.bytes(c.varint())
	}
	length := c.varint()
	if c.short || length > uint64(len(b)-c.at) {
		return h, ErrTruncated
	}
	h.Length, h.PNOffset, h.End = int(length), c.at, c.at+int(length)
	return h, nil
}

// parseRetry reads what follows the IDs, at b[n:].
func parseRetry(b []byte, n int, h LongHeader) (LongHeader, error) {
	switch rest := len(b) - n; {
	case rest < retryTagLen:
		return h, ErrTruncated
	case rest == retryTagLen:
		// RFC 9000, section 17.2.5.2: a Retry without a token MUST be discarded.
		return h, ErrRetryToken
	}
	h.Token = b[n : len(b)-retryTagLen]
	return h, nil
}

// AppendLong appends the header of an Initial, 0-RTT or Handshake packet, up to and
// with the packet number in pnLen bytes. The Length field takes two bytes, so that
// SetLength can write it later. PNOffset and End do not count.
func AppendLong(b []byte, h LongHeader, pn PacketNumber, pnLen int) []byte {
	if h.Type > PacketHandshake {
		panic("wire: " + h.Type.String() + " packets have no packet number behind a long header")
	}
	// RFC 9000, section 17.2: the reserved bits MUST be 0.
	b = appendLongStart(b, byte(pnLen-1), h)
	if h.Type == PacketInitial {
		b = append(AppendVarint(b, uint64(len(h.Token))), h.Token...)
	}
	b = AppendVarintN(b, uint64(h.Length), lengthLen)
	return AppendPacketNumber(b, pn, pnLen)
}

// appendLongStart appends what all long headers have, with the first byte's low bits.
func appendLongStart(b []byte, low byte, h LongHeader) []byte {
	b = append(b, formLong|fixedBit|byte(h.Type)<<typeShift|low)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Version))
	b = h.DstID.Append(append(b, byte(h.DstID.Len())))
	return h.SrcID.Append(append(b, byte(h.SrcID.Len())))
}

// LongHeaderLen returns how many bytes AppendLong appends.
func LongHeaderLen(h LongHeader, pnLen int) int {
	n := 1 + 4 + 1 + h.DstID.Len() + 1 + h.SrcID.Len() + lengthLen + pnLen
	if h.Type == PacketInitial {
		n += VarintLen(uint64(len(h.Token))) + len(h.Token)
	}
	return n
}

// SetLength writes the Length field of a packet that AppendLong began and whose packet
// number stands at pnOffset. length is at most 16383.
func SetLength(packet []byte, pnOffset, length int) {
	AppendVarintN(packet[pnOffset-lengthLen:pnOffset-lengthLen], uint64(length), lengthLen)
}

// AppendRetry appends a Retry packet with h's IDs and Token, but for the integrity tag
// (RFC 9001, section 5.8).
func AppendRetry(b []byte, h LongHeader) []byte {
	h.Type = PacketRetry
	return append(appendLongStart(b, 0, h), h.Token...)
}

// AppendShort appends the header of a 1-RTT packet, up to and with the packet number
// in pnLen bytes. keyPhase is 0 or 1. The spin bit is 0: this package's users do not
// take part in it (RFC 9000, section 17.4).
func AppendShort(b []byte, dst ConnID, keyPhase uint8, pn PacketNumber, pnLen int) []byte {
	// RFC 9000, section 17.3.1: the reserved bits MUST be 0.
	b = append(b, fixedBit|(keyPhase&1)<<keyPhaseShift|byte(pnLen-1))
	return AppendPacketNumber(dst.Append(b), pn, pnLen)
}
