package wire

// NewConnectionID is a NEW_CONNECTION_ID frame (RFC 9000, section 19.15) or, with
// Multipath, a PATH_NEW_CONNECTION_ID frame (draft-ietf-quic-multipath-21, section
// 4.4).
type NewConnectionID struct {
	Path          PathID // of a PATH_NEW_CONNECTION_ID frame
	Multipath     bool
	Sequence      uint64
	RetirePriorTo uint64 // at most Sequence
	ID            ConnID // at least a byte
	Token         ResetToken
}

// ParseNewConnectionID parses the frame of type t whose fields b begins with and
// returns how many bytes they took.
func ParseNewConnectionID(t FrameType, b []byte) (NewConnectionID, int, error) {
	c := cursor{b: b}
	f := NewConnectionID{Multipath: t == TypePathNewConnectionID}
	if f.Multipath {
		f.Path = c.path()
	}
	f.Sequence, f.RetirePriorTo = c.varint(), c.varint()
	length := c.byte()
	switch {
	case c.short:
	// RFC 9000, section 19.15: an ID of less than 1 or more than 20 bytes MUST be a
	// FRAME_ENCODING_ERROR.
	case length < 1 || length > MaxConnIDLen:
		return NewConnectionID{}, 0, frameError(FrameEncodingError, t, "connection ID of no or more than 20 bytes")
	// Section 19.15: Retire Prior To above Sequence Number MUST be a
	// FRAME_ENCODING_ERROR, too.
	case f.RetirePriorTo > f.Sequence:
		return NewConnectionID{}, 0, frameError(FrameEncodingError, t, "Retire Prior To above Sequence Number")
	}
	f.ID = NewConnID(c.bytes(uint64(length)))
	copy(f.Token[:], c.bytes(uint64(len(f.Token))))
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f NewConnectionID) Append(b []byte) []byte {
	if f.Multipath {
		b = appendFields(b, TypePathNewConnectionID, uint64(f.Path), f.Sequence, f.RetirePriorTo)
	} else {
		b = appendFields(b, TypeNewConnectionID, f.Sequence, f.RetirePriorTo)
	}
	b = f.ID.Append(append(b, byte(f.ID.Len())))
	return append(b, f.Token[:]...)
}

// Len returns how many bytes Append appends.
func (f NewConnectionID) Len() int {
	n := 1 + f.ID.Len() + len(f.Token)
	if f.Multipath {
		return n + fieldsLen(TypePathNewConnectionID, uint64(f.Path), f.Sequence, f.RetirePriorTo)
	}
	return n + fieldsLen(TypeNewConnectionID, f.Sequence, f.RetirePriorTo)
}

// RetireConnectionID is a RETIRE_CONNECTION_ID frame (RFC 9000, section 19.16) or,
// with Multipath, a PATH_RETIRE_CONNECTION_ID frame (draft-ietf-quic-multipath-21,
// section 4.5).
type RetireConnectionID struct {
	Path      PathID // of a PATH_RETIRE_CONNECTION_ID frame
	Multipath bool
	Sequence  uint64
}

// ParseRetireConnectionID parses the frame of type t whose fields b begins with and
// returns how many bytes they took.
func ParseRetireConnectionID(t FrameType, b []byte) (RetireConnectionID, int, error) {
	c := cursor{b: b}
	f := RetireConnectionID{Multipath: t == TypePathRetireConnectionID}
	if f.Multipath {
		f.Path = c.path()
	}
	f.Sequence = c.varint()
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f RetireConnectionID) Append(b []byte) []byte {
	if f.Multipath {
		return appendFields(b, TypePathRetireConnectionID, uint64(f.Path), f.Sequence)
	}
	return appendFields(b, TypeRetireConnectionID, f.Sequence)
}

// Len returns how many bytes Append appends.
func (f RetireConnectionID) Len() int {
	if f.Multipath {
		return fieldsLen(TypePathRetireConnectionID, uint64(f.Path), f.Sequence)
	}
	return fieldsLen(TypeRetireConnectionID, f.Sequence)
}
