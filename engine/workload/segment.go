package workload

import (
	"encoding/binary"
	"fmt"
)

// The data of a stream is cut into segments: a length of 4 bytes, big-endian, and
// that many bytes of payload. A length of 0 ends the data. So a receiver sees that
// a stream was cut short even when the sender stops by time, and the sender's
// direction stays open for what comes after the verdict.
const (
	segmentHeader = 4
	// segmentMax is also what one Write moves: large enough that the calls do not
	// count, small enough for the second-level cache.
	segmentMax = 256 << 10
)

// segments takes a stream's bytes apart, in pieces of any size.
type segments struct {
	header [segmentHeader]byte
	have   int // bytes of the header
	left   int // payload bytes of the segment still to come
	ended  bool
}

// next returns the first run of payload in b, which it borrows, and what follows
// it. Payload is empty when b has none. After the end every byte is an error.
func (s *segments) next(b []byte) (payload, rest []byte, err error) {
	for s.left == 0 && len(b) > 0 {
		if s.ended {
			return nil, nil, fmt.Errorf("%d bytes came after the end of the data", len(b))
		}
		n := copy(s.header[s.have:], b)
		s.have += n
		b = b[n:]
		if s.have < segmentHeader {
			break
		}
		length := binary.BigEndian.Uint32(s.header[:])
		if length > segmentMax {
			return nil, nil, fmt.Errorf("a segment claims %d bytes: at most %d are allowed", length, segmentMax)
		}
		s.have, s.left, s.ended = 0, int(length), length == 0
	}
	n := min(s.left, len(b))
	s.left -= n
	return b[:n], b[n:], nil
}
