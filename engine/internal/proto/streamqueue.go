package proto

// streamQueue is a FIFO of streams. Its memory is a ring that grows to the most
// streams it ever had and stays.
type streamQueue struct {
	ring []*Stream // length a power of two, or 0
	head int
	n    int
}

// front returns the first stream, nil when there is none.
func (q *streamQueue) front() *Stream {
	if q.n == 0 {
		return nil
	}
	return q.ring[q.head]
}

// at returns the i-th of q.n streams.
func (q *streamQueue) at(i int) *Stream { return q.ring[(q.head+i)&(len(q.ring)-1)] }

func (q *streamQueue) push(s *Stream) {
	if q.n == len(q.ring) {
		bigger := make([]*Stream, max(8, 2*len(q.ring)))
		for i := range q.n {
			bigger[i] = q.at(i)
		}
		q.ring, q.head = bigger, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = s
	q.n++
}

// pop removes the first stream, which must exist, and returns it.
func (q *streamQueue) pop() *Stream {
	s := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return s
}
