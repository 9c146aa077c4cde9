package wire

// cursor reads fields one after the other. It notes what was wrong and goes on with
// zeros, so that who reads asks only once, in the end.
type cursor struct {
	b       []byte
	at      int  // index of the next byte
	short   bool // b ended before a field did
	badPath bool // a path ID was beyond all limits
}

func (c *cursor) varint() uint64 {
	v, n := ParseVarint(c.b[c.at:])
	if n == 0 {
		c.short = true
	}
	c.at += n
	return v
}

func (c *cursor) byte() byte {
	if c.at == len(c.b) {
		c.short = true
		return 0
	}
	c.at++
	return c.b[c.at-1]
}

func (c *cursor) uint16() uint16 { return uint16(c.byte())<<8 | uint16(c.byte()) }

// bytes returns the next n bytes, which stay c.b's. Their capacity ends with them.
func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(len(c.b)-c.at) {
		c.short = true
		return nil
	}
	from := c.at
	c.at += int(n)
	return c.b[from:c.at:c.at]
}

// rest returns all bytes that are left.
func (c *cursor) rest() []byte { return c.bytes(uint64(len(c.b) - c.at)) }

func (c *cursor) stream() StreamID { return StreamID(c.varint()) }

func (c *cursor) path() PathID {
	v := c.varint()
	c.badPath = c.badPath || v > MaxPathIDValue
	return PathID(v)
}

// end returns how many bytes a frame of type t took after its type.
func (c *cursor) end(t FrameType) (int, error) {
	switch {
	case c.short:
		return 0, frameError(FrameEncodingError, t, "cut short")
	case c.badPath:
		// draft-ietf-quic-multipath-21, sections 4 and 4.6: a path ID above the announced
		// maximum MUST be a PROTOCOL_VIOLATION, and no maximum exceeds 2^32-1.
		return 0, frameError(ProtocolViolation, t, "path ID above 2^32-1")
	}
	return c.at, nil
}

// frameError returns the error of a frame of type t that breaks the protocol.
func frameError(code ErrorCode, t FrameType, reason string) error {
	return &TransportError{Code: code, Frame: t, Reason: reason}
}
