package proto

import (
	"encoding/binary"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// tagSize is what every AEAD of TLS 1.3 for QUIC adds to a packet, bytes (RFC 9001,
// section 5.3).
const tagSize = 16

// sampleSpan is how many bytes from the packet number's start on must come before
// the tag's end for a header protection sample to exist: 4 and the sample's 16,
// which the tag gives (RFC 9001, section 5.4.2).
const sampleSpan = 4

// canSeal reports whether there are keys to send packets of that type.
func (c *Conn) canSeal(t wire.PacketType) bool {
	if t == wire.PacketOneRTT {
		return c.keys.oneRTT != nil && (c.complete || c.side == wire.Server)
	}
	return c.keys.sealer(t) != nil
}

// beginPacket appends the header of a packet of that type on p to b and returns a
// builder for its frames. The packet may take size bytes with its tag; false means that this
// is too few.
func (c *Conn) beginPacket(p *path, t wire.PacketType, b []byte, size int) (builder, bool) {
	s := &p.spaces[spaceOf(t)]
	if s.next == s.skip {
		p.det.Skip(spaceOf(t), s.next)
		s.next++
		s.skip = c.skipAfter(s.next, skipLater)
	}
	if s.next > wire.MaxVarint {
		return builder{}, false
	}
	w := builder{path: p, kind: t, start: len(b), end: len(b) + size - tagSize, log: &s.log, first: s.log.next, number: s.next}
	w.pnLen = wire.PacketNumberLen(w.number, p.det.LargestAcked(spaceOf(t)))
	if t == wire.PacketOneRTT {
		w.phase = c.keys.oneRTT.Phase()
		w.b = wire.AppendShort(b, p.peer.current(), w.phase, w.number, w.pnLen)
	} else {
		h := wire.LongHeader{Type: t, Version: wire.Version1, DstID: p.peer.current(), SrcID: c.local.InitialSrcID}
		if t == wire.PacketInitial {
			h.Token = c.token
		}
		w.b = wire.AppendLong(b, h, w.number, w.pnLen)
	}
	w.body = len(w.b)
	return w, w.room() >= sampleSpan
}

// How many packets leave, at least, before a number is left out: of the connection's
// first ones and of later ones. As many again or fewer follow, at random.
const (
	skipFirst = 64
	skipLater = 4096
)

// skipAfter returns the number after next that no packet will have. A peer that
// acknowledges it has not seen what it acknowledges (RFC 9000, section 21.4).
func (c *Conn) skipAfter(next wire.PacketNumber, least uint16) wire.PacketNumber {
	var b [2]byte
	fill(c.cfg.Random, b[:])
	return next + wire.PacketNumber(least+binary.BigEndian.Uint16(b[:])%least)
}

// abandon takes back a packet that got no frames.
func (w *builder) abandon() []byte {
	w.log.cut(w.first)
	return w.b[:w.start]
}

// endPacket seals the packet in place and notes it as sent. It returns the train with
// the packet at its end.
func (c *Conn) endPacket(now clock.Time, w *builder) ([]byte, error) {
	p, sp := w.path, spaceOf(w.kind)
	for len(w.b)-w.body+w.pnLen < sampleSpan {
		w.b = append(w.b, 0) // PADDING
	}
	if c.tracer != nil {
		c.traceSent(now, w)
	}
	pnOffset := w.body - w.start - w.pnLen
	header, payload := w.b[w.start:w.body], w.b[w.body:]
	if w.kind == wire.PacketOneRTT {
		b, err := c.keys.oneRTT.Seal(w.b[:w.body], header, payload, p.id, w.number)
		if err != nil {
			return w.abandon(), err
		}
		w.b = b
		c.keys.oneRTT.Protect(w.b[w.start:], pnOffset, w.pnLen)
	} else {
		wire.SetLength(w.b[w.start:], pnOffset, w.pnLen+len(payload)+tagSize)
		sealer := c.keys.sealer(w.kind)
		w.b = sealer.Seal(w.b[:w.body], header, payload, p.id, w.number)
		sealer.Protect(w.b[w.start:], pnOffset, w.pnLen)
	}
	size := len(w.b) - w.start
	p.spaces[sp].next = w.number + 1
	p.det.OnSent(sp, recovery.Sent{
		Number: w.number, Time: now, Size: wire.ByteCount(size),
		First: w.first, Count: w.n,
		AckEliciting: w.ackEliciting, InFlight: w.ackEliciting || w.padded,
		MTUProbe: w.mtuProbe, ECT: p.mark() == wire.ECT0,
	})
	if wire.ByteCount(size) > minUDPPayload && !w.mtuProbe {
		p.large = w.number
	}
	if w.ackEliciting {
		c.idle.sentEliciting(now)
	}
	p.sentPackets++
	if c.keys.oneRTT != nil && c.keys.oneRTT.NeedsUpdate() {
		if c.keys.oneRTT.Update(now) == nil {
			c.traceKeyUpdate(now)
		}
	}
	return w.b, nil
}
