package wire

// MaxStreamCount is the largest number of streams of a kind that a connection can
// have: more would need IDs above MaxVarint (RFC 9000, section 4.6).
const MaxStreamCount = 1 << 60

// MaxData is a MAX_DATA frame (RFC 9000, section 19.9).
type MaxData struct {
	Max uint64 // bytes, over all streams
}

// ParseMaxData parses the frame whose fields b begins with and returns how many bytes
// they took.
func ParseMaxData(t FrameType, b []byte) (MaxData, int, error) {
	c := cursor{b: b}
	f := MaxData{Max: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f MaxData) Append(b []byte) []byte { return appendFields(b, TypeMaxData, f.Max) }

// Len returns how many bytes Append appends.
func (f MaxData) Len() int { return fieldsLen(TypeMaxData, f.Max) }

// MaxStreamData is a MAX_STREAM_DATA frame (RFC 9000, section 19.10).
type MaxStreamData struct {
	ID  StreamID
	Max uint64 // bytes
}

// ParseMaxStreamData parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParseMaxStreamData(t FrameType, b []byte) (MaxStreamData, int, error) {
	c := cursor{b: b}
	f := MaxStreamData{ID: c.stream(), Max: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f MaxStreamData) Append(b []byte) []byte {
	return appendFields(b, TypeMaxStreamData, uint64(f.ID), f.Max)
}

// Len returns how many bytes Append appends.
func (f MaxStreamData) Len() int { return fieldsLen(TypeMaxStreamData, uint64(f.ID), f.Max) }

// MaxStreams is a MAX_STREAMS frame (RFC 9000, section 19.11).
type MaxStreams struct {
	Direction Direction
	Max       uint64 // streams of the direction, closed ones included; up to MaxStreamCount
}

// ParseMaxStreams parses the frame of type t whose fields b begins with and returns
// how many bytes they took.
func ParseMaxStreams(t FrameType, b []byte) (MaxStreams, int, error) {
	d, v, n, err := parseStreamCount(t, b)
	return MaxStreams{Direction: d, Max: v}, n, err
}

// Append appends the frame.
func (f MaxStreams) Append(b []byte) []byte {
	return appendFields(b, TypeMaxStreamsBidi+FrameType(f.Direction), f.Max)
}

// Len returns how many bytes Append appends.
func (f MaxStreams) Len() int { return fieldsLen(TypeMaxStreamsBidi, f.Max) }

// DataBlocked is a DATA_BLOCKED frame (RFC 9000, section 19.12).
type DataBlocked struct {
	Limit uint64 // bytes: the one that stopped the sender
}

// ParseDataBlocked parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParseDataBlocked(t FrameType, b []byte) (DataBlocked, int, error) {
	c := cursor{b: b}
	f := DataBlocked{Limit: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f DataBlocked) Append(b []byte) []byte { return appendFields(b, TypeDataBlocked, f.Limit) }

// Len returns how many bytes Append appends.
func (f DataBlocked) Len() int { return fieldsLen(TypeDataBlocked, f.Limit) }

// StreamDataBlocked is a STREAM_DATA_BLOCKED frame (RFC 9000, section 19.13).
type StreamDataBlocked struct {
	ID    StreamID
	Limit uint64 // bytes: the one that stopped the sender
}

// ParseStreamDataBlocked parses the frame whose fields b begins with and returns how
// many bytes they took.
func ParseStreamDataBlocked(t FrameType, b []byte) (StreamDataBlocked, int, error) {
	c := cursor{b: b}
	f := StreamDataBlocked{ID: c.stream(), Limit: c.varint()}
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f StreamDataBlocked) Append(b []byte) []byte {
	return appendFields(b, TypeStreamDataBlocked, uint64(f.ID), f.Limit)
}

// Len returns how many bytes Append appends.
func (f StreamDataBlocked) Len() int { return fieldsLen(TypeStreamDataBlocked, uint64(f.ID), f.Limit) }

// StreamsBlocked is a STREAMS_BLOCKED frame (RFC 9000, section 19.14).
type StreamsBlocked struct {
	Direction Direction
	Limit     uint64 // streams: the one that stopped the sender; up to MaxStreamCount
}

// ParseStreamsBlocked parses the frame of type t whose fields b begins with and returns
// how many bytes they took.
func ParseStreamsBlocked(t FrameType, b []byte) (StreamsBlocked, int, error) {
	d, v, n, err := parseStreamCount(t, b)
	return StreamsBlocked{Direction: d, Limit: v}, n, err
}

// Append appends the frame.
func (f StreamsBlocked) Append(b []byte) []byte {
	return appendFields(b, TypeStreamsBlockedBidi+FrameType(f.Direction), f.Limit)
}

// Len returns how many bytes Append appends.
func (f StreamsBlocked) Len() int { return fieldsLen(TypeStreamsBlockedBidi, f.Limit) }

// parseStreamCount parses the one field of MAX_STREAMS and STREAMS_BLOCKED frames, the
// odd types of which are for unidirectional streams.
func parseStreamCount(t FrameType, b []byte) (Direction, uint64, int, error) {
	c := cursor{b: b}
	v := c.varint()
	// RFC 9000, sections 19.11 and 19.14: a count above 2^60 MUST be a
	// FRAME_ENCODING_ERROR.
	if v > MaxStreamCount {
		return 0, 0, 0, frameError(FrameEncodingError, t, "more than 2^60 streams")
	}
	n, err := c.end(t)
	return Direction(t & 1), v, n, err
}
