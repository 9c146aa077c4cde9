package simnet

// queue is a FIFO that grows by doubling and keeps its memory. The zero value is
// empty.
type queue[T any] struct {
	ring []T // length zero or a power of two
	head int
	n    int
}

// front returns the oldest element, which must exist. The pointer is good until the
// next push or pop.
func (q *queue[T]) front() *T { return &q.ring[q.head] }

func (q *queue[T]) push(v T) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = v
	q.n++
}

// pop removes and returns the oldest element, which must exist.
func (q *queue[T]) pop() T {
	var zero T
	v := q.ring[q.head]
	q.ring[q.head] = zero
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return v
}

func (q *queue[T]) grow() {
	ring := make([]T, max(64, 2*len(q.ring)))
	n := copy(ring, q.ring[q.head:])
	copy(ring[n:], q.ring[:q.head])
	q.ring, q.head = ring, 0
}
