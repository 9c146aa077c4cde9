package proto

import (
	"slices"
	"sort"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
)

// sendBuffer has the bytes of one outgoing stream from the lowest unacknowledged
// one on, and knows of each whether it was sent, is lost or is acknowledged. CRYPTO
// streams use it as well as application streams.
//
// The bytes lie in segments: chunks of the pool, which write and reserve fill, and
// memory that was lent. A frame refers to bytes by their offset; they stay where
// they are until acknowledged, and a segment goes when its last byte is.
//
//	freed        in flight, acknowledged or lost        not sent yet
//	------------|--------------------------------------|---------------|
//	           base                                   sent            end
type sendBuffer struct {
	pool   *buf.Pool
	copied *uint64 // counts the bytes that write copied

	segs     []segment
	cursor   int  // index of the segment that was read last
	reserved bool // the last segment is being filled by reserve's caller

	base, sent, end uint64

	acked rangeSet // above base
	lost  rangeSet // between base and sent; never acknowledged ones
}

// segment is contiguous bytes of the stream.
type segment struct {
	off     uint64
	data    []byte      // as far as written
	chunk   *buf.Buffer // which data is the front of; nil when lent
	release func()      // of lent memory
}

func (s *segment) end() uint64 { return s.off + uint64(len(s.data)) }

// init readies an empty buffer. Chunks come from pool; copied is added to.
func (b *sendBuffer) init(pool *buf.Pool, copied *uint64) {
	b.pool, b.copied = pool, copied
}

// buffered returns how many bytes are not acknowledged, sent or not.
func (b *sendBuffer) buffered() uint64 { return b.end - b.base }

// write appends a copy of p.
func (b *sendBuffer) write(p []byte) {
	*b.copied += uint64(len(p))
	for len(p) > 0 {
		n := copy(b.reserve(), p)
		b.commit(n)
		p = p[n:]
	}
}

// reserve returns memory for the next bytes of the stream, at least one, which the
// caller fills and commits. It is the caller's until then.
func (b *sendBuffer) reserve() []byte {
	if n := len(b.segs); n > 0 {
		if s := &b.segs[n-1]; s.chunk != nil && len(s.data) < len(s.chunk.Data) {
			b.reserved = true
			return s.chunk.Data[len(s.data):]
		}
	}
	chunk := b.pool.Get()
	b.segs = append(b.segs, segment{off: b.end, data: chunk.Data[:0], chunk: chunk})
	b.reserved = true
	return chunk.Data
}

// commit appends the first n bytes of what reserve returned last.
func (b *sendBuffer) commit(n int) {
	last := len(b.segs) - 1
	s := &b.segs[last]
	s.data = s.chunk.Data[:len(s.data)+n]
	b.end += uint64(n)
	b.reserved = false
	if len(s.data) == 0 {
		s.drop()
		b.segs = b.segs[:last]
	}
}

// lend appends p without copying. It must not change until release is called, once,
// when its last byte is acknowledged or the stream gives its bytes up.
func (b *sendBuffer) lend(p []byte, release func()) {
	if len(p) == 0 {
		release()
		return
	}
	b.segs = append(b.segs, segment{off: b.end, data: p, release: release})
	b.end += uint64(len(p))
}

// slice returns the bytes from off on, at most n, as far as they lie together:
// borrow. off is at least base and below end.
func (b *sendBuffer) slice(off uint64, n int) []byte {
	s := &b.segs[b.find(off)]
	data := s.data[off-s.off:]
	return data[:min(n, len(data))]
}

// appendTo appends the n bytes from off on to p.
func (b *sendBuffer) appendTo(p []byte, off uint64, n int) []byte {
	for n > 0 {
		part := b.slice(off, n)
		p = append(p, part...)
		off += uint64(len(part))
		n -= len(part)
	}
	return p
}

// find returns the index of the segment that has off. Packets ask in ascending
// order, so it is mostly the one of the last time or the next.
func (b *sendBuffer) find(off uint64) int {
	for i := b.cursor; i < min(b.cursor+2, len(b.segs)); i++ {
		if s := &b.segs[i]; s.off <= off && off < s.end() {
			b.cursor = i
			return i
		}
	}
	b.cursor = sort.Search(len(b.segs), func(i int) bool { return b.segs[i].end() > off })
	return b.cursor
}

// unsent returns how many bytes below limit were never sent.
func (b *sendBuffer) unsent(limit uint64) uint64 {
	if end := min(b.end, limit); end > b.sent {
		return end - b.sent
	}
	return 0
}

// markSent says that the n bytes from off on are in a packet: lost ones, or those
// from sent on.
func (b *sendBuffer) markSent(off uint64, n int) {
	if off < b.sent {
		b.lost.remove(off, off+uint64(n))
		return
	}
	b.sent = off + uint64(n)
}

// lose says that a packet with the n bytes from off on was lost.
func (b *sendBuffer) lose(off uint64, n uint32) {
	start, end := max(off, b.base), min(off+uint64(n), b.sent)
	if start >= end {
		return
	}
	b.lost.add(start, end)
	// What another packet brought across does not have to be sent again.
	for i := b.acked.from(start); i < b.acked.len() && b.acked.spans[i].start < end; i++ {
		b.lost.remove(b.acked.spans[i].start, b.acked.spans[i].end)
	}
}

// ack says that the n bytes from off on arrived, and frees the segments that nobody
// needs any more.
func (b *sendBuffer) ack(off uint64, n uint32) {
	end := min(off+uint64(n), b.sent)
	b.lost.remove(off, end)
	if off > b.base {
		b.acked.add(off, end)
		return
	}
	if end <= b.base {
		return
	}
	b.base = end
	b.acked.remove(0, b.base)
	if s, ok := b.acked.first(); ok && s.start == b.base {
		b.base = s.end
		b.acked.remove(0, b.base)
	}
	b.free()
}

// rewind makes everything that is not acknowledged unsent again.
func (b *sendBuffer) rewind() {
	b.sent = b.base
	b.acked.clear()
	b.lost.clear()
}

// discard gives all bytes up. sent stays: it is the stream's final size.
func (b *sendBuffer) discard() {
	b.base, b.end = b.sent, b.sent
	b.acked.clear()
	b.lost.clear()
	b.reserved = false
	for i := range b.segs {
		b.segs[i].drop()
	}
	b.segs, b.cursor = nil, 0
}

func (b *sendBuffer) free() {
	n, k := len(b.segs), 0
	if b.reserved {
		n--
	}
	for k < n && b.segs[k].end() <= b.base {
		b.segs[k].drop()
		k++
	}
	b.segs = slices.Delete(b.segs, 0, k)
	b.cursor = max(0, b.cursor-k)
}

func (s *segment) drop() {
	if s.chunk != nil {
		s.chunk.Release()
	}
	if s.release != nil {
		s.release()
	}
	*s = segment{}
}
