package qlog

import (
	"math"
	"strconv"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// frames writes all frames of a payload. exponent is that of the ACK delays in it.
func (r *record) frames(payload []byte, exponent uint8) {
	for len(payload) > 0 {
		payload = payload[r.frame(payload, exponent):]
	}
}

// frame writes the first frame of b and returns how many bytes it took, at least
// one. What cannot be parsed is an unknown frame up to b's end.
func (r *record) frame(b []byte, exponent uint8) int {
	if n := wire.SkipPadding(b); n > 0 {
		r.begin("padding")
		r.endFrame(n)
		return n
	}
	t, n, err := wire.ParseFrameType(b)
	if err != nil {
		return r.unparsed(wire.FrameType(b[0]), b)
	}
	start := len(r.b)
	m, err := r.typedFrame(t, b[n:], n, exponent)
	if err != nil {
		r.b = r.b[:start]
		return r.unparsed(t, b)
	}
	return n + m
}

// begin starts a frame of the draft.
func (r *record) begin(frameType string) {
	r.element()
	r.word("frame_type", frameType)
}

// endFrame ends a frame of that many bytes in all.
func (r *record) endFrame(length int) {
	r.object("raw")
	r.number("length", uint64(length))
	r.endObject()
	r.endObject()
}

// endFrameData ends a frame that carries data, of which only the length is written.
func (r *record) endFrameData(length, data int) {
	r.object("raw")
	r.number("length", uint64(length))
	r.number("payload_length", uint64(data))
	r.endObject()
	r.endObject()
}

func (r *record) unparsed(t wire.FrameType, b []byte) int {
	r.begin("unknown")
	r.number("frame_type_bytes", uint64(t))
	r.endFrame(len(b))
	return len(b)
}

// typedFrame writes a frame of type t, of which b is what follows the type, and
// typeLen the type's own length. It returns how many bytes of b the frame took. On
// an error what was written counts for nothing.
func (r *record) typedFrame(t wire.FrameType, b []byte, typeLen int, exponent uint8) (int, error) {
	switch {
	case t.IsStream():
		return r.streamFrame(t, b, typeLen)
	case t == wire.TypeAck || t == wire.TypeAckECN:
		return r.ackFrame(t, b, typeLen, exponent)
	case t == wire.TypeCrypto:
		f, n, err := wire.ParseCrypto(t, b)
		if err != nil {
			return 0, err
		}
		r.begin("crypto")
		r.number("offset", f.Offset)
		r.endFrameData(typeLen+n, len(f.Data))
		return n, nil
	case t == wire.TypeDatagram || t == wire.TypeDatagramLen:
		f, n, err := wire.ParseDatagram(t, b)
		if err != nil {
			return 0, err
		}
		r.begin("datagram")
		r.endFrameData(typeLen+n, len(f.Data))
		return n, nil
	case t <= wire.TypeHandshakeDone:
		return r.controlFrame(t, b, typeLen)
	}
	return r.extensionFrame(t, b, typeLen, exponent)
}

func (r *record) streamFrame(t wire.FrameType, b []byte, typeLen int) (int, error) {
	f, n, err := wire.ParseStream(t, b)
	if err != nil {
		return 0, err
	}
	r.begin("stream")
	r.number("stream_id", uint64(f.ID))
	r.number("offset", f.Offset)
	if f.Fin {
		r.flag("fin", true)
	}
	r.endFrameData(typeLen+n, len(f.Data))
	return n, nil
}

func (r *record) ackFrame(t wire.FrameType, b []byte, typeLen int, exponent uint8) (int, error) {
	f, n, err := wire.ParseAck(t, b)
	if err != nil {
		return 0, err
	}
	r.begin("ack")
	r.ack(f, exponent)
	r.endFrame(typeLen + n)
	return n, nil
}

// ack writes the fields of an AckFrame. The ranges are in the frame's order: the
// highest first.
func (r *record) ack(f wire.Ack, exponent uint8) {
	r.key("ack_delay")
	r.b = appendAckDelay(r.b, f.Delay, exponent)
	r.array("acked_ranges")
	for a := range f.Ranges() {
		r.comma()
		r.b = append(r.b, '[')
		r.b = strconv.AppendUint(r.b, uint64(a.Smallest), 10)
		if a.Largest != a.Smallest {
			r.b = append(r.b, ',')
			r.b = strconv.AppendUint(r.b, uint64(a.Largest), 10)
		}
		r.b = append(r.b, ']')
	}
	r.endArray()
	if f.HasECN {
		r.number("ect1", f.ECT1)
		r.number("ect0", f.ECT0)
		r.number("ce", f.CE)
	}
}

// appendAckDelay appends a delay in milliseconds, from the frame's units of
// 2^exponent microseconds (RFC 9000, section 19.3).
func appendAckDelay(b []byte, delay uint64, exponent uint8) []byte {
	if delay > math.MaxInt64/uint64(time.Microsecond)>>exponent {
		// More than 292 years: a number that only a float has room for.
		return strconv.AppendFloat(b, math.Ldexp(float64(delay), int(exponent))/1e3, 'g', -1, 64)
	}
	return appendMillis(b, time.Duration(delay<<exponent)*time.Microsecond)
}
