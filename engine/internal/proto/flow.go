package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// window is what we allow the peer to send: on one stream, or on all together (RFC
// 9000, section 4.1). All offsets are bytes from the start.
//
// It tunes itself: whoever reads half a window in less than two round trips is held
// up by the window or soon will be, so it doubles, up to max. It ends at about four
// times the bandwidth-delay product, and stays there.
type window struct {
	limit    uint64 // what the peer was told
	received uint64 // highest offset received; of the connection: the sum over streams
	consumed uint64 // read by the application or thrown away
	size     uint64
	max      uint64

	since clock.Time // when the measurement began
	from  uint64     // consumed, then
}

func (w *window) init(size, most uint64) {
	size = min(size, wire.MaxVarint)
	*w = window{limit: size, size: size, max: min(max(size, most), wire.MaxVarint)}
}

// room reports whether n more bytes may arrive.
func (w *window) room(n uint64) bool { return n <= w.limit-w.received }

// consume notes n bytes as read and tunes the size.
func (w *window) consume(now clock.Time, n uint64, rtt time.Duration) {
	w.consumed += n
	if w.since.IsZero() {
		w.since, w.from = now, w.consumed-n
	}
	if w.consumed-w.from <= w.size/2 {
		return
	}
	if rtt > 0 && now.Sub(w.since) < 2*rtt {
		w.grow(2 * w.size)
	}
	w.since, w.from = now, w.consumed
}

// grow makes the window at least size, as far as max allows.
func (w *window) grow(size uint64) { w.size = max(w.size, min(size, w.max)) }

// due reports whether a new limit is worth a frame: a quarter of the window or more.
func (w *window) due() bool { return w.consumed+w.size >= w.limit+w.size/4+1 }

// offer returns the limit that could be told. Who tells it calls told.
func (w *window) offer() uint64 { return max(w.limit, min(w.consumed+w.size, wire.MaxVarint)) }

// told says that the peer is told of limit.
func (w *window) told(limit uint64) { w.limit = limit }

// credit is what the peer allows us to send: on one stream, or on all together.
type credit struct {
	limit uint64
	used  uint64
	told  uint64 // 1 + the limit of which the peer knows that it blocks us; 0: none
}

func (c *credit) left() uint64 {
	if c.used >= c.limit { // above it after refused 0-RTT
		return 0
	}
	return c.limit - c.used
}

// raise takes a new limit and reports whether it allows more than the last. RFC
// 9000, section 4.1: limits that do not increase MUST be ignored.
func (c *credit) raise(limit uint64) bool {
	if limit <= c.limit {
		return false
	}
	c.limit = limit
	return true
}

// blocked reports whether the peer is to be told that the limit blocks us: once for
// each limit.
func (c *credit) blocked() bool { return c.left() == 0 && c.told != c.limit+1 }

// tell returns the limit that blocks us, to be put into a frame.
func (c *credit) tell() uint64 {
	c.told = c.limit + 1
	return c.limit
}

// untold says that the frame which told of limit was lost.
func (c *credit) untold(limit uint64) {
	if c.told == limit+1 {
		c.told = 0
	}
}
