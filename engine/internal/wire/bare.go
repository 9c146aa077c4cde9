package wire

import "slices"

// Padding is PADDING frames in a row (RFC 9000, section 19.1).
type Padding struct {
	Size int // bytes
}

// SkipPadding returns how many PADDING frames, of one byte each, b begins with.
func SkipPadding(b []byte) int {
	for i, v := range b {
		if v != 0 {
			return i
		}
	}
	return len(b)
}

// Append appends the frames.
func (f Padding) Append(b []byte) []byte {
	from := len(b)
	b = slices.Grow(b, f.Size)[:from+f.Size]
	clear(b[from:])
	return b
}

// Len returns how many bytes Append appends.
func (f Padding) Len() int { return f.Size }

// Ping is a PING frame (RFC 9000, section 19.2).
type Ping struct{}

// Append appends the frame.
func (Ping) Append(b []byte) []byte { return AppendVarint(b, uint64(TypePing)) }

// Len returns how many bytes Append appends.
func (Ping) Len() int { return VarintLen(uint64(TypePing)) }

// HandshakeDone is a HANDSHAKE_DONE frame (RFC 9000, section 19.20).
type HandshakeDone struct{}

// Append appends the frame.
func (HandshakeDone) Append(b []byte) []byte { return AppendVarint(b, uint64(TypeHandshakeDone)) }

// Len returns how many bytes Append appends.
func (HandshakeDone) Len() int { return VarintLen(uint64(TypeHandshakeDone)) }
