package relay

const (
	poolChunk = 64        // buffers made at a time
	poolLimit = 256 << 20 // bytes that one direction may hold
)

// pool is a stack of equal buffers, all of one thread. The last one returned is
// the next one taken, while it is still in the cache.
type pool struct {
	size int // bytes of a buffer
	free [][]byte
	made int // buffers
}

// take returns a buffer of n bytes, at most size; nil when the direction holds
// as much as it may.
func (p *pool) take(n int) []byte {
	if len(p.free) == 0 {
		if (p.made+poolChunk)*p.size > poolLimit {
			return nil
		}
		chunk := make([]byte, poolChunk*p.size)
		for i := range poolChunk {
			p.free = append(p.free, chunk[i*p.size:(i+1)*p.size:(i+1)*p.size])
		}
		p.made += poolChunk
	}
	b := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	return b[:n]
}

// give returns a buffer that take handed out.
func (p *pool) give(b []byte) { p.free = append(p.free, b[:p.size]) }
