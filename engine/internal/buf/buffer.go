package buf

import "sync/atomic"

// Buffer is counted memory. It must not be copied.
type Buffer struct {
	// Data is all of the memory, at its full capacity. Who writes where is settled by
	// the owner: bytes that a View shows must not change.
	Data []byte

	users atomic.Int32
	pool  *Pool
}

// New returns a Buffer of n bytes with one user. It comes from no pool.
func New(n int) *Buffer {
	b := &Buffer{Data: make([]byte, n)}
	b.users.Store(1)
	return b
}

// Retain adds a user.
func (b *Buffer) Retain() {
	if b.users.Add(1) <= 1 {
		panic("buf: retained a buffer that nobody uses")
	}
}

// Release takes a user away; the last one gives the memory back to its pool.
func (b *Buffer) Release() {
	switch n := b.users.Add(-1); {
	case n > 0:
	case n < 0:
		panic("buf: released a buffer that nobody uses")
	case b.pool != nil:
		b.pool.put(b)
	}
}

// Users returns how many users the buffer has.
func (b *Buffer) Users() int { return int(b.users.Load()) }

// View is bytes of a Buffer and one count of it. The zero View is empty and needs
// no Release.
type View struct {
	Bytes  []byte // read only
	Buffer *Buffer
}

// Release gives up the view's count. The bytes must not be touched afterwards.
func (v *View) Release() {
	if v.Buffer != nil {
		v.Buffer.Release()
	}
	*v = View{}
}
