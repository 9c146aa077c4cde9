package quicgo

import (
	"sync"
	"time"
)

// chunkSize is the largest payload of one data frame, and what a lane takes at a
// time. 16, 32 and 64 KiB fill two shaped links alike (BenchmarkTwoPaths) and differ
// by less than the noise over loopback; at 10 Mbit/s a lane holds this one for 26 ms.
const chunkSize = 32 << 10

// chunkBuffer holds a data frame: header and payload, so that one Write sends both.
type chunkBuffer [frameHeader + chunkSize]byte

// chunkPool lends chunk buffers to both directions of every stream of a session.
type chunkPool struct{ pool sync.Pool }

func (p *chunkPool) get() *chunkBuffer {
	if b, ok := p.pool.Get().(*chunkBuffer); ok {
		return b
	}
	return new(chunkBuffer)
}

func (p *chunkPool) put(b *chunkBuffer) { p.pool.Put(b) }

// chunk is a piece of a stream on its way out. The bytes stay until some lane has
// delivered them.
type chunk struct {
	offset int64
	buf    *chunkBuffer // nil once given back
	n      int          // bytes of payload
	fin    bool

	delivered bool
	lost      bool // no live lane carries it any more
	carriers  int  // live lanes that carry it
	writing   int  // lanes that are writing buf at this moment
	lane      *laneSender
	taken     time.Time // when lane took it
}

func (c *chunk) end() int64 { return c.offset + int64(c.n) }

// frame returns the chunk's data frame. Every call writes the same header, the first
// one before any lane has the chunk, so lanes may send it side by side.
func (c *chunk) frame() []byte { return c.buf[:frameHeader+c.n] }

// seal puts the header in front of the payload: nothing is appended any more.
func (c *chunk) seal() {
	header{kind: frameData, fin: c.fin, length: c.n, offset: c.offset}.put(c.buf[:])
}
