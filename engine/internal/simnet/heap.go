package simnet

import "github.com/tquiclab/tquiclab/engine/internal/clock"

// heap has values that wait for a time, the earliest at the root; of one time the
// one with the lowest sequence number. The zero value is empty. It keeps its memory,
// and boxes nothing, which container/heap would.
type heap[T any] struct {
	items []timed[T]
}

type timed[T any] struct {
	at  clock.Time
	seq uint64
	v   T
}

func (a *timed[T]) before(b *timed[T]) bool {
	return a.at < b.at || (a.at == b.at && a.seq < b.seq)
}

func (h *heap[T]) push(at clock.Time, seq uint64, v T) {
	h.items = append(h.items, timed[T]{at, seq, v})
	for i := len(h.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.items[i].before(&h.items[parent]) {
			return
		}
		h.items[i], h.items[parent] = h.items[parent], h.items[i]
		i = parent
	}
}

// pop removes and returns the root, which must exist.
func (h *heap[T]) pop() T {
	v := h.items[0].v
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	h.items[last] = timed[T]{} // drop its references
	h.items = h.items[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h.items[child].before(&h.items[least]) {
				least = child
			}
		}
		if least == i {
			return v
		}
		h.items[i], h.items[least] = h.items[least], h.items[i]
		i = least
	}
}
