package emulation

// ring is a FIFO that grows by doubling and never shrinks: once it has held its
// largest load it allocates no more. The zero value is empty.
type ring[T any] struct {
	buf  []T // the length is zero or a power of two
	head int
	n    int
}

func (r *ring[T]) len() int { return r.n }

// front returns the oldest element. The ring must not be empty; the pointer is
// good until the next push or pop.
func (r *ring[T]) front() *T { return &r.buf[r.head] }

func (r *ring[T]) push(v T) { *r.add() = v }

// add makes room for an element behind the others, and returns it for the caller
// to fill. The pointer is good until the next push, add or pop.
func (r *ring[T]) add() *T {
	if r.n == len(r.buf) {
		r.grow()
	}
	v := &r.buf[(r.head+r.n)&(len(r.buf)-1)]
	r.n++
	return v
}

// pop removes and returns the oldest element. The ring must not be empty.
func (r *ring[T]) pop() T {
	v := r.buf[r.head]
	r.skip()
	return v
}

// skip removes the oldest element. The ring must not be empty.
func (r *ring[T]) skip() {
	var zero T
	r.buf[r.head] = zero // drop the reference to the packet's data
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
}

func (r *ring[T]) grow() {
	buf := make([]T, max(16, 2*len(r.buf)))
	n := copy(buf, r.buf[r.head:])
	copy(buf[n:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}
