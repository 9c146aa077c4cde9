package proto

import (
	"math/bits"
	"slices"
	"sort"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
)

const (
	// pageSize is the bytes of a stream that one page is for.
	pageSize = 16 << 10
	// pagePieces is how many pieces a page has by reference before it becomes a copy.
	// Full packets of an Ethernet path are 12 to a page.
	pagePieces = 32
)

// page holds what came of the pageSize bytes from a multiple of pageSize on: as
// pieces by reference, or as a copy with a bit for each byte that is there.
type page struct {
	pieces []piece // ascending, disjoint
	bytes  uint64  // in pieces or flat
	flat   *flatPage
	copied uint64 // bytes copied, ever
}

type flatPage struct {
	buffer *buf.Buffer // of pageSize bytes
	have   bitmap
}

// insert takes the bytes at off that are not here yet and returns how many. Those
// kept by reference lie in b; with a nil b they are copied.
func (p *page) insert(off uint64, data []byte, b *buf.Buffer) uint64 {
	before := p.bytes
	if p.flat == nil && len(p.pieces) >= pagePieces {
		p.flatten()
	}
	if p.flat != nil {
		p.write(off, data)
		return p.bytes - before
	}
	i := sort.Search(len(p.pieces), func(i int) bool { return p.pieces[i].end() > off })
	for len(data) > 0 {
		gap := uint64(len(data))
		if i < len(p.pieces) && p.pieces[i].off < off+gap {
			q := &p.pieces[i]
			if q.off <= off { // the bytes up to q's end are here
				skip := min(q.end()-off, gap)
				data, off = data[skip:], off+skip
				i++
				continue
			}
			gap = q.off - off
		}
		p.pieces = slices.Insert(p.pieces, i, p.keep(off, data[:gap:gap], b))
		p.bytes += gap
		data, off = data[gap:], off+gap
		i++
	}
	return p.bytes - before
}

// keep returns a piece of data, which lies in b.
func (p *page) keep(off uint64, data []byte, b *buf.Buffer) piece {
	if b != nil {
		b.Retain()
		return piece{off: off, view: buf.View{Bytes: data, Buffer: b}}
	}
	own := buf.New(len(data))
	copy(own.Data, data)
	p.copied += uint64(len(data))
	return piece{off: off, view: buf.View{Bytes: own.Data, Buffer: own}, own: true}
}

// take returns the piece that has the byte at ready, from there on, and how many
// bytes left the page. What lies below ready goes.
func (p *page) take(ready uint64) (q piece, gone uint64, ok bool) {
	before := p.bytes
	if f := p.flat; f != nil {
		i := int(ready % pageSize)
		if !f.have.has(i) {
			return piece{}, 0, false
		}
		j := f.have.until(i, pageSize)
		p.bytes -= uint64(j - i)
		f.buffer.Retain()
		q = piece{off: ready, view: buf.View{Bytes: f.buffer.Data[i:j:j], Buffer: f.buffer}, own: true}
		return q, before - p.bytes, true
	}
	k := 0
	for k < len(p.pieces) && p.pieces[k].end() <= ready {
		p.bytes -= uint64(len(p.pieces[k].view.Bytes))
		p.pieces[k].view.Release()
		k++
	}
	if k < len(p.pieces) && p.pieces[k].off <= ready {
		q, ok = p.pieces[k], true
		p.bytes -= uint64(len(q.view.Bytes))
		q.skip(ready)
		k++
	}
	p.pieces = slices.Delete(p.pieces, 0, k)
	return q, before - p.bytes, ok
}

// flatten makes the page a copy.
func (p *page) flatten() {
	pieces := p.pieces
	p.pieces, p.bytes = pieces[:0], 0
	p.flat = &flatPage{buffer: buf.New(pageSize)}
	for i := range pieces {
		p.write(pieces[i].off, pieces[i].view.Bytes)
		pieces[i].view.Release()
		pieces[i] = piece{}
	}
}

// write copies the bytes at off that are not here yet.
func (p *page) write(off uint64, data []byte) {
	from := int(off % pageSize)
	for i, end := from, from+len(data); i < end; {
		j := p.flat.have.until(i, end)
		if !p.flat.have.has(i) {
			copy(p.flat.buffer.Data[i:j], data[i-from:])
			p.flat.have.set(i, j)
			p.bytes += uint64(j - i)
			p.copied += uint64(j - i)
		}
		i = j
	}
}

// discard empties the page.
func (p *page) discard() {
	for i := range p.pieces {
		p.pieces[i].view.Release()
		p.pieces[i] = piece{}
	}
	if p.flat != nil {
		p.flat.buffer.Release()
	}
	*p = page{pieces: p.pieces[:0], copied: p.copied}
}

// bitmap has a bit for each byte of a page.
type bitmap [pageSize / 64]uint64

func (m *bitmap) has(i int) bool { return m[i/64]>>(i%64)&1 == 1 }

// until returns the first index above i, at most end, whose bit differs from i's.
func (m *bitmap) until(i, end int) int {
	var flip uint64
	if m.has(i) {
		flip = ^flip
	}
	for i < end {
		if w := (m[i/64] ^ flip) >> (i % 64); w != 0 {
			return min(i+bits.TrailingZeros64(w), end)
		}
		i = i/64*64 + 64
	}
	return end
}

// set sets the bits from i up to end.
func (m *bitmap) set(i, end int) {
	for i < end {
		upto := min(i/64*64+64, end)
		mask := ^uint64(0) >> (64 - (upto - i)) << (i % 64)
		m[i/64] |= mask
		i = upto
	}
}
