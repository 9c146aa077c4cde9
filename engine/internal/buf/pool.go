package buf

import "sync"

// Pool keeps buffers of one size for use again. The zero Pool is not ready: see
// NewPool. It is safe for concurrent use.
type Pool struct {
	size int
	keep int

	mu   sync.Mutex
	free []*Buffer
	out  int // buffers that have users
}

// NewPool returns a pool of buffers of size bytes that keeps at most keep idle ones.
func NewPool(size, keep int) *Pool { return &Pool{size: size, keep: keep} }

// Size returns the size of the pool's buffers, in bytes.
func (p *Pool) Size() int { return p.size }

// Get returns a buffer with one user. Its bytes are whatever was in them last.
func (p *Pool) Get() *Buffer {
	p.mu.Lock()
	p.out++
	var b *Buffer
	if n := len(p.free); n > 0 {
		b, p.free = p.free[n-1], p.free[:n-1]
	}
	p.mu.Unlock()
	if b == nil {
		b = &Buffer{Data: make([]byte, p.size), pool: p}
	}
	b.users.Store(1)
	return b
}

// InUse returns how many of the pool's buffers have users.
func (p *Pool) InUse() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}

func (p *Pool) put(b *Buffer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	if len(p.free) < p.keep {
		p.free = append(p.free, b)
	}
}
