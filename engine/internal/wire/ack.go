package wire

import "iter"

// Ack is an ACK frame (RFC 9000, section 19.3) or, with Multipath, a PATH_ACK frame
// (draft-ietf-quic-multipath-21, section 4.1). One that ParseAck did not make
// acknowledges Largest alone; AppendAck writes more.
type Ack struct {
	Path      PathID // of a PATH_ACK frame
	Multipath bool
	Largest   PacketNumber
	// Delay is as on the wire: to be shifted by the peer's ack_delay_exponent, then
	// microseconds.
	Delay          uint64
	HasECN         bool
	ECT0, ECT1, CE uint64 // packets received with the mark, if HasECN

	// raw is the fields from First ACK Range to the last range, valid throughout; gaps
	// is how many ranges follow the first, span is Largest less the smallest number.
	raw  []byte
	gaps uint64
	span PacketNumber
}

// ParseAck parses the frame of type t whose fields b begins with and returns how many
// bytes they took. The frame borrows b.
func ParseAck(t FrameType, b []byte) (Ack, int, error) {
	c := cursor{b: b}
	f := Ack{Multipath: t == TypePathAck || t == TypePathAckECN, HasECN: t&1 != 0}
	if f.Multipath {
		f.Path = c.path()
	}
	f.Largest = PacketNumber(c.varint())
	f.Delay = c.varint()
	f.gaps = c.varint()
	first := c.at
	smallest := f.Largest - PacketNumber(c.varint())
	for i := uint64(0); i < f.gaps && !c.short && smallest >= 0; i++ {
		// Gap and length are at most 2^62-1 each: from 0 on down, this does not wrap around.
		smallest -= PacketNumber(c.varint()) + 2 + PacketNumber(c.varint())
	}
	// RFC 9000, section 19.3.1: a negative number MUST be a FRAME_ENCODING_ERROR.
	if smallest < 0 && !c.short {
		return Ack{}, 0, frameError(FrameEncodingError, t, "range below packet 0")
	}
	f.raw, f.span = b[first:c.at:c.at], f.Largest-smallest
	if f.HasECN {
		f.ECT0, f.ECT1, f.CE = c.varint(), c.varint(), c.varint()
	}
	n, err := c.end(t)
	return f, n, err
}

// Smallest returns the smallest packet number acknowledged.
func (f Ack) Smallest() PacketNumber { return f.Largest - f.span }

// Ranges returns the packet numbers acknowledged, the largest ones first. No two
// ranges touch.
func (f Ack) Ranges() iter.Seq[Range] {
	return func(yield func(Range) bool) { f.walk(yield) }
}

func (f Ack) walk(yield func(Range) bool) {
	c := cursor{b: f.raw}
	r := Range{Smallest: f.Largest - PacketNumber(c.varint()), Largest: f.Largest}
	for yield(r) && c.at < len(c.b) {
		r.Largest = r.Smallest - PacketNumber(c.varint()) - 2
		r.Smallest = r.Largest - PacketNumber(c.varint())
	}
}

// Append appends the frame with the ranges that it has.
func (f Ack) Append(b []byte) []byte {
	b = f.appendStart(b, f.Largest, f.gaps)
	if len(f.raw) == 0 {
		b = append(b, 0)
	}
	return f.appendECN(append(b, f.raw...))
}

// Len returns how many bytes Append appends.
func (f Ack) Len() int { return f.startLen(f.Largest, f.gaps) + max(1, len(f.raw)) + f.ecnLen() }

// AppendAck appends f with ranges, of which there is at least one, instead of those
// that it has. They descend, and a packet or more lies between any two. f.Largest does
// not count.
func AppendAck(b []byte, f Ack, ranges []Range) []byte {
	first := ranges[0]
	b = f.appendStart(b, first.Largest, uint64(len(ranges)-1))
	b = AppendVarint(b, uint64(first.Largest-first.Smallest))
	above := first.Smallest
	for _, r := range ranges[1:] {
		b = AppendVarint(b, uint64(above-r.Largest-2))
		b = AppendVarint(b, uint64(r.Largest-r.Smallest))
		above = r.Smallest
	}
	return f.appendECN(b)
}

// AckLen returns how many bytes AppendAck appends.
func AckLen(f Ack, ranges []Range) int {
	first := ranges[0]
	n := f.startLen(first.Largest, uint64(len(ranges)-1)) + VarintLen(uint64(first.Largest-first.Smallest))
	above := first.Smallest
	for _, r := range ranges[1:] {
		n += VarintLen(uint64(above-r.Largest-2)) + VarintLen(uint64(r.Largest-r.Smallest))
		above = r.Smallest
	}
	return n + f.ecnLen()
}

func (f Ack) frameType() FrameType {
	t := TypeAck
	if f.Multipath {
		t = TypePathAck
	}
	if f.HasECN {
		t++
	}
	return t
}

// appendStart appends what stands before the ranges.
func (f Ack) appendStart(b []byte, largest PacketNumber, gaps uint64) []byte {
	b = AppendVarint(b, uint64(f.frameType()))
	if f.Multipath {
		b = AppendVarint(b, uint64(f.Path))
	}
	b = AppendVarint(b, uint64(largest))
	b = AppendVarint(b, f.Delay)
	return AppendVarint(b, gaps)
}

func (f Ack) startLen(largest PacketNumber, gaps uint64) int {
	n := VarintLen(uint64(f.frameType())) + VarintLen(uint64(largest)) + VarintLen(f.Delay) + VarintLen(gaps)
	if f.Multipath {
		n += VarintLen(uint64(f.Path))
	}
	return n
}

func (f Ack) appendECN(b []byte) []byte {
	if !f.HasECN {
		return b
	}
	return AppendVarint(AppendVarint(AppendVarint(b, f.ECT0), f.ECT1), f.CE)
}

func (f Ack) ecnLen() int {
	if !f.HasECN {
		return 0
	}
	return VarintLen(f.ECT0) + VarintLen(f.ECT1) + VarintLen(f.CE)
}
