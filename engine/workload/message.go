package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Sizes on the wire of a paced exchange. All numbers are big-endian.
const (
	pacedSize     = 96
	messageHeader = 24 // length, 4 bytes of zero, index, due
	pacedMagic    = "TQL-PACE"
)

// pacedRequest is what the dialler writes first on each stream of a paced exchange.
type pacedRequest struct {
	Paced
	role     Role // the dialler's
	session  uint32
	stream   uint32 // within the session
	sessions uint32
}

// number returns the stream's number over all sessions.
func (r pacedRequest) number() int64 { return int64(r.session)*int64(r.Streams) + int64(r.stream) }

// all returns how many streams there are over all sessions.
func (r pacedRequest) all() int64 { return int64(r.sessions) * int64(r.Streams) }

// messages returns how many the stream carries.
func (r pacedRequest) messages() int64 { return r.on(r.number(), r.all()) }

// index returns which message of all is the stream's k-th.
func (r pacedRequest) index(k int64) int64 { return r.number() + k*r.all() }

func (r pacedRequest) append(b []byte) []byte {
	start := len(b)
	b = append(b, pacedMagic...)
	b = append(b, wireVersion, byte(r.role), byte(r.Kind), 0)
	for _, v := range []uint32{r.session, r.stream, uint32(r.Streams), r.sessions, uint32(r.Size), uint32(r.Response)} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	for _, v := range []uint64{r.Seed, uint64(r.Count), uint64(r.Duration), uint64(r.Deadline), uint64(r.Drain)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return append(b, make([]byte, pacedSize-(len(b)-start))...)
}

// parsePaced reads what a stranger may have written: every field is checked.
func parsePaced(b []byte) (pacedRequest, error) {
	if len(b) != pacedSize {
		return pacedRequest{}, fmt.Errorf("request has %d bytes, not %d", len(b), pacedSize)
	}
	if string(b[:8]) != pacedMagic {
		return pacedRequest{}, errors.New("the first bytes of the stream are no request")
	}
	if b[8] != wireVersion {
		return pacedRequest{}, fmt.Errorf("request has version %d, this side speaks %d", b[8], wireVersion)
	}
	word := func(i int) uint32 { return binary.BigEndian.Uint32(b[12+4*i:]) }
	long := func(i int) uint64 { return binary.BigEndian.Uint64(b[36+8*i:]) }
	r := pacedRequest{
		role: Role(b[9]), session: word(0), stream: word(1), sessions: word(3),
		Paced: Paced{
			Kind: Kind(b[10]), Streams: int(word(2)), Size: int(word(4)), Response: int(word(5)),
			Seed: long(0), Count: int64(long(1)), Duration: time.Duration(long(2)),
			Deadline: time.Duration(long(3)), Drain: time.Duration(long(4)),
		},
	}
	if r.role != Send && r.role != Receive {
		return pacedRequest{}, fmt.Errorf("request has role %d", b[9])
	}
	if err := r.Validate(); err != nil {
		return pacedRequest{}, fmt.Errorf("request: %w", err)
	}
	if r.sessions < 1 || r.sessions > maxSessions || r.session >= r.sessions || int64(r.stream) >= int64(r.Streams) {
		return pacedRequest{}, fmt.Errorf("request is for stream %d of %d in session %d of %d", r.stream, r.Streams, r.session, r.sessions)
	}
	return r, nil
}

// message is the header of a frame, a request or an answer.
type message struct {
	size  int   // with the header
	index int64 // over all streams
	due   int64 // CLOCK_MONOTONIC, ns
}

func (m message) put(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(m.size))
	binary.BigEndian.PutUint32(b[4:], 0)
	binary.BigEndian.PutUint64(b[8:], uint64(m.index))
	binary.BigEndian.PutUint64(b[16:], uint64(m.due))
}

// messages takes a stream's bytes apart into messages of one size, in pieces of any
// length.
type messages struct {
	header [messageHeader]byte
	have   int // bytes of the header
	left   int // payload bytes still to come
	now    message
}

// next returns the first run of payload in b, which it borrows, what follows it, and
// whether the message ends there. want is what its header must say.
func (m *messages) next(b []byte, size int, index int64) (payload, rest []byte, ended bool, err error) {
	if m.have < messageHeader {
		n := copy(m.header[m.have:], b)
		m.have += n
		b = b[n:]
		if m.have < messageHeader {
			return nil, b, false, nil
		}
		h := m.header[:]
		m.now = message{
			size:  int(binary.BigEndian.Uint32(h)),
			index: int64(binary.BigEndian.Uint64(h[8:])),
			due:   int64(binary.BigEndian.Uint64(h[16:])),
		}
		if m.now.size != size || m.now.index != index || m.now.due <= 0 || binary.BigEndian.Uint32(h[4:]) != 0 {
			return nil, nil, false, fmt.Errorf("message %d of %d bytes came where message %d of %d bytes was due", m.now.index, m.now.size, index, size)
		}
		m.left = size - messageHeader
	}
	n := min(m.left, len(b))
	m.left -= n
	if m.left == 0 {
		m.have = 0
	}
	return b[:n], b[n:], m.left == 0, nil
}
