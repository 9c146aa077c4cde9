package wire

import (
	"encoding/binary"
	"fmt"
)

// MaxVarint is the largest number that a variable-length integer holds (RFC 9000,
// section 16).
const MaxVarint = 1<<62 - 1

// AppendVarint appends v in its shortest form. v must not exceed MaxVarint.
func AppendVarint(b []byte, v uint64) []byte {
	switch {
	case v < 1<<6:
		return append(b, byte(v))
	case v < 1<<14:
		return append(b, byte(v>>8)|1<<6, byte(v))
	}
	return AppendVarintN(b, v, VarintLen(v))
}

// AppendVarintN appends v in exactly n bytes: 1, 2, 4 or 8, enough for v.
func AppendVarintN(b []byte, v uint64, n int) []byte {
	if n < VarintLen(v) {
		panic(fmt.Sprintf("wire: %d in a variable-length integer of %d bytes", v, n))
	}
	switch n {
	case 1:
		return append(b, byte(v))
	case 2:
		return binary.BigEndian.AppendUint16(b, uint16(v)|1<<14)
	case 4:
		return binary.BigEndian.AppendUint32(b, uint32(v)|2<<30)
	case 8:
		return binary.BigEndian.AppendUint64(b, v|3<<62)
	}
	panic(fmt.Sprintf("wire: a variable-length integer of %d bytes", n))
}

// ParseVarint returns the integer that b begins with, in whatever length it was
// written, and that length. n is 0 when b ends before it does.
func ParseVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = 1 << (b[0] >> 6)
	if len(b) < n {
		return 0, 0
	}
	switch n {
	case 1:
		v = uint64(b[0])
	case 2:
		v = uint64(b[0]&0x3f)<<8 | uint64(b[1])
	case 4:
		v = uint64(binary.BigEndian.Uint32(b) &^ (3 << 30))
	default:
		v = binary.BigEndian.Uint64(b) &^ (3 << 62)
	}
	return v, n
}

// VarintLen returns how many bytes AppendVarint appends for v: 1, 2, 4 or 8. It
// panics when v exceeds MaxVarint, which none of our own numbers do.
func VarintLen(v uint64) int {
	switch {
	case v < 1<<6:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<30:
		return 4
	case v <= MaxVarint:
		return 8
	}
	panic(fmt.Sprintf("wire: %d fits no variable-length integer", v))
}
