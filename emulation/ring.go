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

func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		r.grow()
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = v
	r.n++
}

// pop removes and returns the oldest element. The ring must not be empty.
func (r *ring[T]) pop() T {
	var zero T
	v := r.buf[r.head]
	r.buf[r.head] = zero // drop the reference to the packet's data
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return v
}

func (r *ring[T]) grow() {
	buf := make([]T, max(16, 2*len(r.buf)))
	n := copy(buf, r.buf[r.head:])
	copy(buf[n:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}
