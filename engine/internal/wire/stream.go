package wire

// Bits of a STREAM frame's type (RFC 9000, section 19.8).
const (
	streamFin    FrameType = 0x01
	streamLength FrameType = 0x02
	streamOffset FrameType = 0x04
)

// Stream is a STREAM frame (RFC 9000, section 19.8).
type Stream struct {
	ID     StreamID
	Offset uint64 // of Data in the stream
	Data   []byte
	Fin    bool // the stream ends with Data
	// NoLength says that the frame has no Length field: Data takes the packet's rest.
	NoLength bool
}

// ParseStream parses the frame of type t whose fields b begins with and returns how
// many bytes they took. The frame's Data is those bytes of b.
func ParseStream(t FrameType, b []byte) (Stream, int, error) {
	c := cursor{b: b}
	f := Stream{ID: c.stream(), Fin: t&streamFin != 0, NoLength: t&streamLength == 0}
	if t&streamOffset != 0 {
		f.Offset = c.varint()
	}
	if f.NoLength {
		f.Data = c.rest()
	} else {
		f.Data = c.bytes(c.varint())
	}
	// RFC 9000, section 19.8: a stream MUST end by offset 2^62-1.
	if f.Offset+uint64(len(f.Data)) > MaxVarint {
		return Stream{}, 0, frameError(FrameEncodingError, t, "offset above 2^62-1")
	}
	n, err := c.end(t)
	return f, n, err
}

// StreamHeaderLen returns how many bytes a STREAM frame has before its dataLen bytes
// of data, type included. noLength says that it has no Length field.
func StreamHeaderLen(id StreamID, off uint64, dataLen int, noLength bool) int {
	n := 1 + VarintLen(uint64(id))
	if off > 0 {
		n += VarintLen(off)
	}
	if !noLength {
		n += VarintLen(uint64(dataLen))
	}
	return n
}

// AppendHeader appends the frame up to its data, which will have dataLen bytes. f.Data
// does not count.
func (f Stream) AppendHeader(b []byte, dataLen int) []byte {
	t := TypeStream
	if f.Fin {
		t |= streamFin
	}
	if !f.NoLength {
		t |= streamLength
	}
	if f.Offset > 0 {
		t |= streamOffset
	}
	b = AppendVarint(append(b, byte(t)), uint64(f.ID))
	if f.Offset > 0 {
		b = AppendVarint(b, f.Offset)
	}
	if !f.NoLength {
		b = AppendVarint(b, uint64(dataLen))
	}
	return b
}

// Append appends the frame.
func (f Stream) Append(b []byte) []byte { return append(f.AppendHeader(b, len(f.Data)), f.Data...) }

// Len returns how many bytes Append appends.
func (f Stream) Len() int {
	return StreamHeaderLen(f.ID, f.Offset, len(f.Data), f.NoLength) + len(f.Data)
}

// ResetStream is a RESET_STREAM frame (RFC 9000, section 19.4).
type ResetStream struct {
	ID        StreamID
	Code      uint64 // the application's
	FinalSize uint64 // bytes
}

// ParseResetStream parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParseResetStream(t FrameType, b []byte) (ResetStream, int, error) {
	c := cursor{b: b}
	f := ResetStream{ID: c.stream(), Code: c.varint(), FinalSize: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f ResetStream) Append(b []byte) []byte {
	return appendFields(b, TypeResetStream, uint64(f.ID), f.Code, f.FinalSize)
}

// Len returns how many bytes Append appends.
func (f ResetStream) Len() int {
	return fieldsLen(TypeResetStream, uint64(f.ID), f.Code, f.FinalSize)
}

// StopSending is a STOP_SENDING frame (RFC 9000, section 19.5).
type StopSending struct {
	ID   StreamID
	Code uint64 // the application's
}

// ParseStopSending parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParseStopSending(t FrameType, b []byte) (StopSending, int, error) {
	c := cursor{b: b}
	f := StopSending{ID: c.stream(), Code: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f StopSending) Append(b []byte) []byte {
	return appendFields(b, TypeStopSending, uint64(f.ID), f.Code)
}

// Len returns how many bytes Append appends.
func (f StopSending) Len() int { return fieldsLen(TypeStopSending, uint64(f.ID), f.Code) }
