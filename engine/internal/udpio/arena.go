package udpio

import "github.com/tquiclab/tquiclab/engine/internal/buf"

// arena hands out the memory of counted buffers, front to back.
type arena struct {
	buffer *buf.Buffer // one count is the arena's; nil at first
	off    int         // bytes of it that are given away
}

// Received bytes begin at multiples of this: a cache line, so that two cores that
// decrypt neighbours do not write to the same one.
const alignment = 64

// reserve returns at least n bytes to receive into, of pool's buffers.
func (a *arena) reserve(pool *buf.Pool, n int) []byte {
	if a.buffer != nil && a.buffer.Users() == 1 {
		a.off = 0 // nobody looks at it any more
	}
	if a.buffer == nil || len(a.buffer.Data)-a.off < n {
		a.release()
		a.buffer = pool.Get()
	}
	return a.buffer.Data[a.off:]
}

// retain returns the buffer with one more count.
func (a *arena) retain() *buf.Buffer {
	a.buffer.Retain()
	return a.buffer
}

// advance gives away the first n bytes of what was reserved.
func (a *arena) advance(n int) {
	a.off = min(a.off+(n+alignment-1)&^(alignment-1), len(a.buffer.Data))
}

// release gives up the buffer.
func (a *arena) release() {
	if a.buffer != nil {
		a.buffer.Release()
	}
	*a = arena{}
}
