package proto

import (
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
)

// reassembler puts the received bytes of one stream in order, without copying them:
// it keeps views of the datagrams' buffers. CRYPTO streams use it as well as
// application streams. The zero value is an empty one at offset 0; how far ahead of
// next the peer may write is for its user to limit, by flow control.
//
// Bytes in order lie in a queue. Bytes ahead of a gap lie in pages, each for the
// same number of bytes of the stream (page.go). Of bytes that come twice the first
// are kept.
//
// A hostile peer cannot make it hold much more memory than the bytes received, nor
// work longer for a byte the more there are:
//
//   - a page has at most some dozens of pieces by reference, then it is a copy;
//   - the queue has at most some dozens of pieces by reference and one for each
//     smallPiece bytes, then further ones are copied together;
//   - when the buffers kept may be larger than one and a half times the bytes held
//     plus pinSlack, they are counted, and if so all is copied out of them. Between
//     two counts lie buffers for a quarter of that, so their cost is spread.
//
// All in all that is at most about three times the window, plus pinSlack.
type reassembler struct {
	copied *uint64 // counts the bytes copied inside; may be nil

	queue []piece // [head:] is in order and without gaps from next to ready
	head  int
	next  uint64 // of the byte to be read next
	ready uint64 // of the first byte missing

	pages []*page // from page number first on; nil where nothing came
	first uint64
	early uint64 // bytes in pages; those overtaken by the queue may count still
	spare []*page

	last   *buf.Buffer // that a piece was kept of last
	pinned uint64      // upper estimate of the memory of the buffers kept
}

const (
	smallPiece  = 512
	queuePieces = 32
	ownBuffer   = 4 << 10
	pinSlack    = 512 << 10
	sparePages  = 16
)

// piece is contiguous bytes of the stream.
type piece struct {
	off  uint64
	view buf.View
	own  bool // copied here: its buffer has no other's bytes
}

func (p *piece) end() uint64 { return p.off + uint64(len(p.view.Bytes)) }

// skip drops the bytes below off, which must not be all.
func (p *piece) skip(off uint64) {
	if off > p.off {
		p.view.Bytes = p.view.Bytes[off-p.off:]
		p.off = off
	}
}

// readable returns how many bytes are there to be read in order.
func (r *reassembler) readable() int { return int(r.ready - r.next) }

// insert takes the bytes that belong at off. They lie in b: keep. With a nil b they
// are copied.
func (r *reassembler) insert(off uint64, data []byte, b *buf.Buffer) {
	if off < r.ready {
		skip := r.ready - off
		if skip >= uint64(len(data)) {
			return
		}
		data, off = data[skip:], r.ready
	}
	switch {
	case len(data) == 0:
		return
	case off == r.ready:
		r.push(data, b)
		if r.early > 0 {
			r.advance()
		}
	default:
		r.insertEarly(off, data, b)
	}
	if b != nil && b != r.last {
		r.pin(b)
	}
}

// pop returns the next bytes in order, as they lie together: give.
func (r *reassembler) pop() (buf.View, bool) {
	if r.head == len(r.queue) {
		return buf.View{}, false
	}
	v := r.queue[r.head].view
	v.Bytes = slices.Clip(v.Bytes)
	r.next += uint64(len(v.Bytes))
	r.shift()
	return v, true
}

// read copies the next bytes in order to p and returns how many.
func (r *reassembler) read(p []byte) int {
	n := 0
	for n < len(p) && r.head < len(r.queue) {
		q := &r.queue[r.head]
		c := copy(p[n:], q.view.Bytes)
		n += c
		r.next += uint64(c)
		if c == len(q.view.Bytes) {
			q.view.Release()
			r.shift()
		} else {
			q.skip(r.next)
		}
	}
	return n
}

// discard drops everything held.
func (r *reassembler) discard() {
	for i := r.head; i < len(r.queue); i++ {
		r.queue[i].view.Release()
	}
	for _, p := range r.pages {
		if p != nil {
			p.discard()
		}
	}
	*r = reassembler{copied: r.copied, next: r.ready, ready: r.ready}
}

// held returns the number of bytes held.
func (r *reassembler) held() uint64 { return r.ready - r.next + r.early }

// shift forgets the first piece of the queue, whose view is somebody else's by now.
func (r *reassembler) shift() {
	r.queue[r.head] = piece{}
	r.head++
	if r.head == len(r.queue) {
		r.queue, r.head = r.queue[:0], 0
		if r.early == 0 {
			r.last, r.pinned = nil, 0
		}
	}
}

// push appends the bytes at ready to the queue.
func (r *reassembler) push(data []byte, b *buf.Buffer) {
	waiting := r.head < len(r.queue)
	switch {
	case waiting && r.fill(data):
	case b == nil || r.crowded():
		r.pushCopy(data, ownBuffer)
	default:
		b.Retain()
		r.enqueue(piece{off: r.ready, view: buf.View{Bytes: slices.Clip(data), Buffer: b}})
	}
	r.ready += uint64(len(data))
}

// crowded reports whether the queue has too many pieces for what is in it.
func (r *reassembler) crowded() bool {
	return len(r.queue)-r.head > queuePieces+r.readable()/smallPiece
}

// fill copies data behind the queue's last bytes, if those are a copy with room.
func (r *reassembler) fill(data []byte) bool {
	tail := &r.queue[len(r.queue)-1]
	if !tail.own || cap(tail.view.Bytes)-len(tail.view.Bytes) < len(data) {
		return false
	}
	tail.view.Bytes = append(tail.view.Bytes, data...)
	r.count(len(data))
	return true
}

// pushCopy appends a copy of data to the queue, in a buffer of at least size bytes.
func (r *reassembler) pushCopy(data []byte, size int) {
	own := buf.New(max(size, len(data)))
	r.count(len(data))
	r.enqueue(piece{off: r.ready, view: buf.View{Bytes: append(own.Data[:0], data...), Buffer: own}, own: true})
}

func (r *reassembler) enqueue(p piece) {
	if len(r.queue) == cap(r.queue) && r.head > len(r.queue)/2 {
		r.queue = slices.Delete(r.queue, 0, r.head)
		r.head = 0
	}
	r.queue = append(r.queue, p)
}

// insertEarly puts bytes ahead of the gap at ready into their pages.
func (r *reassembler) insertEarly(off uint64, data []byte, b *buf.Buffer) {
	for len(data) > 0 {
		n := min(len(data), pageSize-int(off%pageSize))
		p := r.page(off / pageSize)
		before := p.copied
		r.early += p.insert(off, data[:n:n], b)
		r.count(int(p.copied - before))
		off += uint64(n)
		data = data[n:]
	}
}

// page returns the page with that number, which is not below ready's.
func (r *reassembler) page(number uint64) *page {
	if r.dropPages(); len(r.pages) == 0 {
		r.first = r.ready / pageSize
	}
	i := int(number - r.first)
	for len(r.pages) <= i {
		r.pages = append(r.pages, nil)
	}
	if r.pages[i] == nil {
		if n := len(r.spare); n > 0 {
			r.pages[i], r.spare = r.spare[n-1], r.spare[:n-1]
		} else {
			r.pages[i] = &page{}
		}
	}
	return r.pages[i]
}

// advance moves to the queue what is in order by now.
func (r *reassembler) advance() {
	for {
		r.dropPages()
		if len(r.pages) == 0 || r.pages[0] == nil {
			return
		}
		q, gone, ok := r.pages[0].take(r.ready)
		r.early -= gone
		if !ok {
			return
		}
		r.ready = q.end()
		if r.head < len(r.queue) && r.fill(q.view.Bytes) {
			q.view.Release()
		} else {
			r.enqueue(q)
		}
	}
}

// dropPages forgets the pages that lie wholly below ready.
func (r *reassembler) dropPages() {
	k := 0
	for k < len(r.pages) && r.first+uint64(k) < r.ready/pageSize {
		if p := r.pages[k]; p != nil {
			r.early -= p.bytes
			p.discard()
			if len(r.spare) < sparePages {
				r.spare = append(r.spare, p)
			}
		}
		k++
	}
	if k > 0 {
		r.pages = slices.Delete(r.pages, 0, k)
		r.first += uint64(k)
	}
}

// pin notes that a piece of b is kept, and holds the memory's bound.
func (r *reassembler) pin(b *buf.Buffer) {
	r.last = b
	r.pinned += uint64(len(b.Data))
	limit := r.held()/2*3 + pinSlack
	if r.pinned <= limit {
		return
	}
	if r.pinned = r.countPinned(); r.pinned > limit/4*3 {
		r.copyAll()
		r.pinned = 0
	}
	r.last = nil
}

// countPinned returns the memory of the buffers kept. One whose pieces have others'
// between them counts more than once.
func (r *reassembler) countPinned() uint64 {
	var sum uint64
	var last *buf.Buffer
	count := func(pieces []piece) {
		for i := range pieces {
			if p := &pieces[i]; !p.own && p.view.Buffer != last {
				last = p.view.Buffer
				sum += uint64(len(last.Data))
			}
		}
	}
	count(r.queue[r.head:])
	for _, p := range r.pages {
		if p != nil {
			count(p.pieces)
		}
	}
	return sum
}

// copyAll copies everything out of the buffers it came in.
func (r *reassembler) copyAll() {
	old, end := slices.Clone(r.queue[r.head:]), r.ready
	clear(r.queue)
	r.queue, r.head = r.queue[:0], 0
	for i := range old {
		q := &old[i]
		r.ready = q.off
		switch {
		case q.own:
			r.enqueue(*q)
			continue
		case len(r.queue) > 0 && r.fill(q.view.Bytes):
		default:
			r.pushCopy(q.view.Bytes, int(min(end-q.off, pageSize)))
		}
		q.view.Release()
	}
	r.ready = end
	for _, p := range r.pages {
		if p != nil && p.flat == nil && len(p.pieces) > 0 {
			before := p.copied
			p.flatten()
			r.count(int(p.copied - before))
		}
	}
}

func (r *reassembler) count(n int) {
	if r.copied != nil {
		*r.copied += uint64(n)
	}
}
