package quicgo

import (
	"fmt"
	"slices"
)

// piece is a run of received bytes. Its memory belongs to the reassembler.
type piece struct {
	offset int64
	data   []byte
	buf    *chunkBuffer // the pooled buffer that data lies in, or nil
}

func (p piece) end() int64 { return p.offset + int64(len(p.data)) }

// reassembler puts the bytes of one stream in order. It is bounded by the window
// that it advertises: a byte past limit is the peer's error. Bytes that have
// arrived already are dropped.
//
// It is pure: no lock, no clock, no I/O. The owner serialises the calls.
type reassembler struct {
	window int64
	pool   *chunkPool

	read  int64   // bytes before it were handed out
	next  int64   // bytes before it have arrived
	ready []piece // from read to next, in order, without gaps
	early []piece // past next, in order, without overlap
	final int64   // the stream's length, or -1

	duplicates int64 // bytes that came more than once
}

func newReassembler(window int64, pool *chunkPool) *reassembler {
	return &reassembler{window: window, pool: pool, final: -1}
}

// limit is the offset up to which the peer may send.
func (r *reassembler) limit() int64 { return r.read + r.window }

// complete reports whether every byte has arrived.
func (r *reassembler) complete() bool { return r.final >= 0 && r.next == r.final }

// drained reports whether every byte was handed out.
func (r *reassembler) drained() bool { return r.final >= 0 && r.read == r.final }

// insert takes p, which it keeps, and reports whether bytes became ready. fin says
// that the stream ends with p.
func (r *reassembler) insert(p piece, fin bool) (bool, error) {
	if err := r.admit(p, fin); err != nil {
		r.release(p)
		return false, err
	}
	before := r.next
	for _, part := range r.missing(p) {
		if part.offset == r.next {
			r.append(part)
		} else {
			at, _ := slices.BinarySearchFunc(r.early, part.offset, comparePiece)
			r.early = slices.Insert(r.early, at, part)
		}
	}
	n := 0
	for n < len(r.early) && r.early[n].offset == r.next {
		r.append(r.early[n])
		n++
	}
	r.early = slices.Delete(r.early, 0, n)
	return r.next > before || r.complete(), nil
}

// admit checks p against the window and the stream's length, and notes the length.
func (r *reassembler) admit(p piece, fin bool) error {
	if p.offset < 0 || p.end() > r.limit() {
		return fmt.Errorf("bytes %d to %d are outside the window, which ends at %d", p.offset, p.end(), r.limit())
	}
	if r.final >= 0 && (p.end() > r.final || fin && p.end() != r.final) {
		return fmt.Errorf("bytes %d to %d contradict the stream's length %d", p.offset, p.end(), r.final)
	}
	if !fin {
		return nil
	}
	seen := r.next
	if n := len(r.early); n > 0 {
		seen = r.early[n-1].end()
	}
	if p.end() < seen {
		return fmt.Errorf("the stream ends at %d, but byte %d has arrived", p.end(), seen-1)
	}
	r.final = p.end()
	return nil
}

// missing returns the parts of p that have not arrived, in order. The whole of p is
// the common case; a part of it gets memory of its own.
func (r *reassembler) missing(p piece) []piece {
	lo, hi := max(p.offset, r.next), p.end()
	at, _ := slices.BinarySearchFunc(r.early, lo, func(e piece, lo int64) int {
		if e.end() <= lo {
			return -1
		}
		return 1
	})
	if lo == p.offset && lo < hi && (at == len(r.early) || r.early[at].offset >= hi) {
		return []piece{r.compact(p)}
	}
	var parts []piece
	kept := int64(0)
	for lo < hi {
		stop := hi
		if at < len(r.early) {
			stop = min(stop, r.early[at].offset)
		}
		if lo < stop {
			parts = append(parts, piece{offset: lo, data: slices.Clone(p.data[lo-p.offset : stop-p.offset])})
			kept += stop - lo
		}
		if at == len(r.early) {
			break
		}
		lo = max(lo, r.early[at].end())
		at++
	}
	r.duplicates += int64(len(p.data)) - kept
	r.release(p)
	return parts
}

// smallPiece is the size up to which a piece is not worth a pooled buffer: many
// small pieces would hold far more memory than the window has bytes.
const smallPiece = 4 << 10

// compact moves a small piece out of its pooled buffer.
func (r *reassembler) compact(p piece) piece {
	if p.buf == nil || len(p.data) > smallPiece {
		return p
	}
	small := piece{offset: p.offset, data: slices.Clone(p.data)}
	r.release(p)
	return small
}

// append adds p, which starts at next, to the bytes that are ready. Small pieces
// are joined, so that a reader that waits long does not leave a long list.
func (r *reassembler) append(p piece) {
	r.next = p.end()
	if n := len(r.ready); n > 0 && p.buf == nil {
		if last := &r.ready[n-1]; last.buf == nil && len(last.data)+len(p.data) <= chunkSize {
			last.data = append(last.data, p.data...)
			return
		}
	}
	if len(p.data) > 0 {
		r.ready = append(r.ready, p)
	}
}

// copyOut moves bytes that are ready into dst and returns how many.
func (r *reassembler) copyOut(dst []byte) int {
	n := 0
	done := 0
	for done < len(r.ready) && n < len(dst) {
		p := &r.ready[done]
		m := copy(dst[n:], p.data)
		n += m
		p.offset += int64(m)
		p.data = p.data[m:]
		if len(p.data) == 0 {
			r.release(*p)
			done++
		}
	}
	r.ready = slices.Delete(r.ready, 0, done)
	r.read += int64(n)
	return n
}

// discard drops what is held. The stream's state stays, so that what still comes is
// told from an error.
func (r *reassembler) discard() {
	for _, p := range r.ready {
		r.release(p)
	}
	for _, p := range r.early {
		r.release(p)
	}
	r.ready, r.early = nil, nil
}

func (r *reassembler) release(p piece) {
	if p.buf != nil {
		r.pool.put(p.buf)
	}
}

func comparePiece(p piece, offset int64) int {
	switch {
	case p.offset < offset:
		return -1
	case p.offset > offset:
		return 1
	}
	return 0
}
