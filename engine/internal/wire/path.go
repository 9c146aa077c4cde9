package wire

// PathChallenge is a PATH_CHALLENGE frame (RFC 9000, section 19.17).
type PathChallenge struct {
	Data [8]byte
}

// ParsePathChallenge parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParsePathChallenge(t FrameType, b []byte) (PathChallenge, int, error) {
	c := cursor{b: b}
	var f PathChallenge
	copy(f.Data[:], c.bytes(uint64(len(f.Data))))
	n, err := c.end(t)
	return f, n, err
}

// Append appends the frame.
func (f PathChallenge) Append(b []byte) []byte {
	return append(append(b, byte(TypePathChallenge)), f.Data[:]...)
}

// Len returns how many bytes Append appends.
func (f PathChallenge) Len() int { return 1 + len(f.Data) }

// PathResponse is a PATH_RESPONSE frame (RFC 9000, section 19.18).
type PathResponse struct {
	Data [8]byte // of the PATH_CHALLENGE frame that it answers
}

// ParsePathResponse parses the frame whose fields b begins with and returns how many
// bytes they took.
func ParsePathResponse(t FrameType, b []byte) (PathResponse, int, error) {
	f, n, err := ParsePathChallenge(t, b)
	return PathResponse(f), n, err
}

// Append appends the frame.
func (f PathResponse) Append(b []byte) []byte {
	return append(append(b, byte(TypePathResponse)), f.Data[:]...)
}

// Len returns how many bytes Append appends.
func (f PathResponse) Len() int { return 1 + len(f.Data) }
