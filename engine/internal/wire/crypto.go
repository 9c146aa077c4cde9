package wire

// Crypto is a CRYPTO frame (RFC 9000, section 19.6).
type Crypto struct {
	Offset uint64 // of Data in the level's stream
	Data   []byte
}

// ParseCrypto parses the frame whose fields b begins with and returns how many bytes
// they took. The frame's Data is those bytes of b.
func ParseCrypto(t FrameType, b []byte) (Crypto, int, error) {
	c := cursor{b: b}
	f := Crypto{Offset: c.varint()}
	f.Data = c.bytes(c.varint())
	// RFC 9000, section 19.6: the stream MUST end by offset 2^62-1.
	if f.Offset+uint64(len(f.Data)) > MaxVarint {
		return Crypto{}, 0, frameError(FrameEncodingError, t, "offset above 2^62-1")
	}
	n, err := c.end(t)
	return f, n, err
}

// CryptoHeaderLen returns how many bytes a CRYPTO frame has before its dataLen bytes
// of data, type included.
func CryptoHeaderLen(off uint64, dataLen int) int {
	return fieldsLen(TypeCrypto, off, uint64(dataLen))
}

// AppendHeader appends the frame up to its data, which will have dataLen bytes. f.Data
// does not count.
func (f Crypto) AppendHeader(b []byte, dataLen int) []byte {
	return appendFields(b, TypeCrypto, f.Offset, uint64(dataLen))
}

// Append appends the frame.
func (f Crypto) Append(b []byte) []byte { return append(f.AppendHeader(b, len(f.Data)), f.Data...) }

// Len returns how many bytes Append appends.
func (f Crypto) Len() int { return CryptoHeaderLen(f.Offset, len(f.Data)) + len(f.Data) }

// NewToken is a NEW_TOKEN frame (RFC 9000, section 19.7).
type NewToken struct {
	Token []byte // at least a byte
}

// ParseNewToken parses the frame whose fields b begins with and returns how many bytes
// they took. The frame's Token is those bytes of b.
func ParseNewToken(t FrameType, b []byte) (NewToken, int, error) {
	c := cursor{b: b}
	f := NewToken{Token: c.bytes(c.varint())}
	// RFC 9000, section 19.7: an empty token MUST be a FRAME_ENCODING_ERROR.
	if len(f.Token) == 0 && !c.short {
		return NewToken{}, 0, frameError(FrameEncodingError, t, "empty token")
	}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f NewToken) Append(b []byte) []byte {
	return append(appendFields(b, TypeNewToken, uint64(len(f.Token))), f.Token...)
}

// Len returns how many bytes Append appends.
func (f NewToken) Len() int { return fieldsLen(TypeNewToken, uint64(len(f.Token))) + len(f.Token) }
