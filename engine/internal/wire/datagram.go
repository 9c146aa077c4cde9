package wire

// Datagram is a DATAGRAM frame (RFC 9221, section 4).
type Datagram struct {
	Data []byte
	// NoLength says that the frame has no Length field: Data takes the packet's rest.
	NoLength bool
}

// ParseDatagram parses the frame of type t whose fields b begins with and returns how
// many bytes they took. The frame's Data is those bytes of b.
func ParseDatagram(t FrameType, b []byte) (Datagram, int, error) {
	c := cursor{b: b}
	f := Datagram{NoLength: t == TypeDatagram}
	if f.NoLength {
		f.Data = c.rest()
	} else {
		f.Data = c.bytes(c.varint())
	}
	n, err := c.end(t)
	return f, n, err
}

// DatagramHeaderLen returns how many bytes a DATAGRAM frame with a Length field has
// before its dataLen bytes of data, type included. Without that field it is 1.
func DatagramHeaderLen(dataLen int) int { return fieldsLen(TypeDatagramLen, uint64(dataLen)) }

// Append appends the frame.
func (f Datagram) Append(b []byte) []byte {
	if f.NoLength {
		return append(append(b, byte(TypeDatagram)), f.Data...)
	}
	return append(appendFields(b, TypeDatagramLen, uint64(len(f.Data))), f.Data...)
}

// Len returns how many bytes Append appends.
func (f Datagram) Len() int {
	if f.NoLength {
		return 1 + len(f.Data)
	}
	return DatagramHeaderLen(len(f.Data)) + len(f.Data)
}
