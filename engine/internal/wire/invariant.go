package wire

import "encoding/binary"

// InvariantHeader is what every version of QUIC has at the start of a packet (RFC
// 8999, section 5).
type InvariantHeader struct {
	Long bool
	// Version and SrcID are of long headers. Version 0 is a Version Negotiation packet.
	Version Version
	// The IDs are those bytes of the packet, up to 255 of them.
	DstID, SrcID []byte
}

// IsLong reports whether a packet that begins with first has a long header.
func IsLong(first byte) bool { return first&0x80 != 0 }

// ParseInvariant returns the header of the packet that b begins with, and whether it
// is whole. It borrows b. A short header does not tell the length of its destination
// ID: it is shortIDLen, the length of the IDs that this endpoint gives out.
func ParseInvariant(b []byte, shortIDLen int) (InvariantHeader, bool) {
	if len(b) == 0 {
		return InvariantHeader{}, false
	}
	if !IsLong(b[0]) {
		if len(b) < 1+shortIDLen {
			return InvariantHeader{}, false
		}
		return InvariantHeader{DstID: b[1 : 1+shortIDLen]}, true
	}
	h, n := parseInvariantLong(b)
	return h, n > 0
}

// parseInvariantLong also returns how long that header is, 0 when it is not whole.
func parseInvariantLong(b []byte) (InvariantHeader, int) {
	if len(b) < 5 {
		return InvariantHeader{}, 0
	}
	h := InvariantHeader{Long: true, Version: Version(binary.BigEndian.Uint32(b[1:]))}
	c := cursor{b: b, at: 5}
	h.DstID = c.bytes(uint64(c.byte()))
	h.SrcID = c.bytes(uint64(c.byte()))
	if c.short {
		return InvariantHeader{}, 0
	}
	return h, c.at
}

// ParseVersions returns the versions that a Version Negotiation packet offers; b is
// all of it. It returns nil for one that must be ignored.
func ParseVersions(b []byte) []Version {
	h, n := parseInvariantLong(b)
	list := b[n:]
	// RFC 8999, section 6: a packet without versions or with half of one MUST be ignored.
	if n == 0 || h.Version != 0 || len(list) == 0 || len(list)%4 != 0 {
		return nil
	}
	versions := make([]Version, 0, len(list)/4)
	for ; len(list) > 0; list = list[4:] {
		versions = append(versions, Version(binary.BigEndian.Uint32(list)))
	}
	return versions
}

// AppendVersionNegotiation appends a Version Negotiation packet that offers versions.
// dst and src are the source and the destination ID of the packet that it answers, up
// to 255 bytes each; random fills the bits that say nothing.
func AppendVersionNegotiation(b []byte, dst, src []byte, versions []Version, random byte) []byte {
	if len(dst) > 255 || len(src) > 255 {
		panic("wire: a connection ID of more than 255 bytes")
	}
	// RFC 9000, section 17.2.1: the fixed bit SHOULD be set, for who tells protocols
	// apart by it. The version MUST be 0 in a Version Negotiation packet.
	b = append(b, 0x80|0x40|random, 0, 0, 0, 0)
	b = append(append(b, byte(len(dst))), dst...)
	b = append(append(b, byte(len(src))), src...)
	for _, v := range versions {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b
}
