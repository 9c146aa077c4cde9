package workload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Sizes of the two messages on the wire. All numbers are big-endian.
const (
	requestSize = 56
	verdictSize = 24
)

const (
	requestMagic = "TQL-BULK"
	verdictMagic = "TQL-DONE"
	wireVersion  = 1
)

// maxStreams bounds what a request may ask for: streams per session.
const maxStreams = 4096

// request is what the dialler writes first on each stream.
type request struct {
	role     Role // the dialler's
	session  uint32
	stream   uint32 // within the session
	streams  uint32 // per session
	seed     uint64
	bytes    int64         // of this stream; 0 when sending by time
	duration time.Duration // of the sending; 0 when sending by size
}

// number returns the stream's number over all sessions: what its pattern depends on.
func (r request) number() uint64 { return uint64(r.session)*uint64(r.streams) + uint64(r.stream) }

func (r request) append(b []byte) []byte {
	b = append(b, requestMagic...)
	b = append(b, wireVersion, byte(r.role), 0, 0)
	b = binary.BigEndian.AppendUint32(b, r.session)
	b = binary.BigEndian.AppendUint32(b, r.stream)
	b = binary.BigEndian.AppendUint32(b, r.streams)
	b = binary.BigEndian.AppendUint64(b, r.seed)
	b = binary.BigEndian.AppendUint64(b, uint64(r.bytes))
	b = binary.BigEndian.AppendUint64(b, uint64(r.duration))
	return append(b, make([]byte, requestSize-len(b))...)
}

// parseRequest reads what a stranger may have written: every field is checked.
func parseRequest(b []byte) (request, error) {
	if len(b) != requestSize {
		return request{}, fmt.Errorf("request has %d bytes, not %d", len(b), requestSize)
	}
	if string(b[:8]) != requestMagic {
		return request{}, errors.New("the first bytes of the stream are no request")
	}
	if b[8] != wireVersion {
		return request{}, fmt.Errorf("request has version %d, this side speaks %d", b[8], wireVersion)
	}
	r := request{
		role:     Role(b[9]),
		session:  binary.BigEndian.Uint32(b[12:]),
		stream:   binary.BigEndian.Uint32(b[16:]),
		streams:  binary.BigEndian.Uint32(b[20:]),
		seed:     binary.BigEndian.Uint64(b[24:]),
		bytes:    int64(binary.BigEndian.Uint64(b[32:])),
		duration: time.Duration(binary.BigEndian.Uint64(b[40:])),
	}
	switch {
	case r.role != Send && r.role != Receive:
		return request{}, fmt.Errorf("request has role %d", b[9])
	case r.streams < 1 || r.streams > maxStreams || r.stream >= r.streams:
		return request{}, fmt.Errorf("request is for stream %d of %d: at most %d streams", r.stream, r.streams, maxStreams)
	case r.bytes < 0 || r.duration < 0:
		return request{}, fmt.Errorf("request has %d bytes and %v", r.bytes, r.duration)
	case r.bytes > 0 && r.duration > 0:
		return request{}, errors.New("request has both bytes and a duration")
	}
	return r, nil
}

// verdict is what the receiver writes when it has read the last byte.
type verdict struct {
	bytes  int64
	intact bool
}

func (v verdict) append(b []byte) []byte {
	b = append(b, verdictMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(v.bytes))
	var flags uint64
	if v.intact {
		flags = 1
	}
	return binary.BigEndian.AppendUint64(b, flags)
}

func parseVerdict(b []byte) (verdict, error) {
	if len(b) != verdictSize || string(b[:8]) != verdictMagic {
		return verdict{}, errors.New("the receiver sent no verdict")
	}
	v := verdict{bytes: int64(binary.BigEndian.Uint64(b[8:])), intact: b[23]&1 == 1}
	if v.bytes < 0 {
		return verdict{}, fmt.Errorf("the verdict has %d bytes", v.bytes)
	}
	return v, nil
}
