package proto

// events is a FIFO of what the owner should know. Its memory is a ring that grows
// to the most that ever waited and stays; nothing is merged or dropped.
type events struct {
	ring  []Event // length a power of two, or 0
	first int
	n     int
}

// push adds an event.
func (q *events) push(e Event) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.first+q.n)&(len(q.ring)-1)] = e
	q.n++
}

// pop removes the oldest event.
func (q *events) pop() (Event, bool) {
	if q.n == 0 {
		return Event{}, false
	}
	slot := &q.ring[q.first]
	e := *slot
	*slot = Event{} // holds nobody's stream or data
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.n--
	return e, true
}

func (q *events) grow() {
	bigger := make([]Event, max(16, 2*len(q.ring)))
	for i := range q.n {
		bigger[i] = q.ring[(q.first+i)&(len(q.ring)-1)]
	}
	q.ring, q.first = bigger, 0
}
