package wire

// ConnectionClose is a CONNECTION_CLOSE frame (RFC 9000, section 19.19).
type ConnectionClose struct {
	// Application says that the application closed: Code is its own then, else an
	// ErrorCode.
	Application bool
	Code        uint64
	Frame       FrameType // that caused it; 0 when unknown or Application
	Reason      []byte    // for people; may be empty
}

// ParseConnectionClose parses the frame of type t whose fields b begins with and
// returns how many bytes they took. The frame's Reason is those bytes of b.
func ParseConnectionClose(t FrameType, b []byte) (ConnectionClose, int, error) {
	c := cursor{b: b}
	f := ConnectionClose{Application: t == TypeCloseApplication, Code: c.varint()}
	if !f.Application {
		f.Frame = FrameType(c.varint())
	}
	f.Reason = c.bytes(c.varint())
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f ConnectionClose) Append(b []byte) []byte {
	if f.Application {
		b = appendFields(b, TypeCloseApplication, f.Code, uint64(len(f.Reason)))
	} else {
		b = appendFields(b, TypeCloseTransport, f.Code, uint64(f.Frame), uint64(len(f.Reason)))
	}
	return append(b, f.Reason...)
}

// Len returns how many bytes Append appends.
func (f ConnectionClose) Len() int {
	if f.Application {
		return fieldsLen(TypeCloseApplication, f.Code, uint64(len(f.Reason))) + len(f.Reason)
	}
	return fieldsLen(TypeCloseTransport, f.Code, uint64(f.Frame), uint64(len(f.Reason))) + len(f.Reason)
}
