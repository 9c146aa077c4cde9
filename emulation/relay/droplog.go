package relay

import (
	"sync"
	"sync/atomic"

	"github.com/tquiclab/tquiclab/emulation"
)

// dropLogSize is how many drops a direction keeps for those who follow them: at 20 ms
// between two looks, 200 000 drops/s.
const dropLogSize = 4096

// Drop is one packet that the emulated path dropped.
type Drop struct {
	At   emulation.Time `json:"at_ns"` // CLOCK_MONOTONIC: of the arrival, or when the queue gave it up
	Link string         `json:"link"`
	Way  string         `json:"way"`
	// SinceStart is At on the clock of traces and timelines; nil: it had not started.
	SinceStart    *int64              `json:"since_start_ns,omitempty"`
	Reason        string              `json:"reason"` // as in DirectionStatus.Dropped
	Size          emulation.ByteCount `json:"bytes"`  // of the Ethernet frame
	QueuedPackets int                 `json:"queued_packets"`
	QueuedBytes   emulation.ByteCount `json:"queued_bytes"`
	// Missed, where it is not zero, stands for so many drops of the direction before this
	// line that came faster than they were read; all but Link and Way are empty then.
	Missed uint64 `json:"missed,omitempty"`
}

// dropLog is what one forwarder notes of its drops while somebody follows them.
type dropLog struct {
	ring atomic.Pointer[dropRing] // nil: nobody does

	mu        sync.Mutex // never taken by a forwarder
	followers int
}

// dropRing is a ring that one thread writes, without waiting for anybody, and any
// number read, each for itself. A reader that is too slow misses the oldest.
type dropRing struct {
	written atomic.Uint64 // drops in all
	entries [dropLogSize]dropEntry
}

// dropEntry is a drop in words that are written and read one by one.
type dropEntry struct {
	at, sinceStart, what, packets, bytes atomic.Int64
}

// notStarted is the time since the start where there is none.
const notStarted = -1 << 63

const reasonBits = 8

// add notes a drop on a course.
func (l *dropLog) add(d emulation.Drop, c *course) {
	ring := l.ring.Load()
	if ring == nil {
		return
	}
	since := int64(notStarted)
	if c.known {
		since = int64(d.At.Sub(c.from))
	}
	n := ring.written.Load()
	e := &ring.entries[n%dropLogSize]
	e.at.Store(int64(d.At))
	e.sinceStart.Store(since)
	e.what.Store(int64(d.Size)<<reasonBits | int64(d.Reason))
	e.packets.Store(int64(d.QueuedPackets))
	e.bytes.Store(int64(d.QueuedBytes))
	ring.written.Store(n + 1)
}

// follow returns a reader of the drops from now on. Its end must be called.
func (l *dropLog) follow(link, way string) *dropReader {
	l.mu.Lock()
	defer l.mu.Unlock()
	ring := l.ring.Load()
	if ring == nil {
		ring = &dropRing{}
		l.ring.Store(ring)
	}
	l.followers++
	return &dropReader{log: l, ring: ring, next: ring.written.Load(), link: link, way: way}
}

// dropReader reads a dropLog from where it was made.
type dropReader struct {
	log       *dropLog
	ring      *dropRing
	next      uint64
	link, way string
}

// end says that nobody reads on. The last one to leave takes the ring away.
func (r *dropReader) end() {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if r.log.followers--; r.log.followers == 0 {
		r.log.ring.Store(nil)
	}
}

// read appends the drops since the last call.
func (r *dropReader) read(to []Drop) []Drop {
	for {
		written := r.ring.written.Load()
		if r.next == written {
			return to
		}
		if oldest := written - min(written, dropLogSize); r.next < oldest {
			to = append(to, Drop{Link: r.link, Way: r.way, Missed: oldest - r.next})
			r.next = oldest
		}
		drop := r.entry(r.next)
		// The writer may have come round meanwhile, and be at work on this very entry.
		if r.ring.written.Load() >= r.next+dropLogSize {
			to = append(to, Drop{Link: r.link, Way: r.way, Missed: 1})
		} else {
			to = append(to, drop)
		}
		r.next++
	}
}

func (r *dropReader) entry(n uint64) Drop {
	e := &r.ring.entries[n%dropLogSize]
	what := e.what.Load()
	d := Drop{
		At: emulation.Time(e.at.Load()), Link: r.link, Way: r.way,
		Reason:        emulation.DropReason(what & (1<<reasonBits - 1)).String(),
		Size:          emulation.ByteCount(what >> reasonBits),
		QueuedPackets: int(e.packets.Load()),
		QueuedBytes:   emulation.ByteCount(e.bytes.Load()),
	}
	if since := e.sinceStart.Load(); since != notStarted {
		d.SinceStart = &since
	}
	return d
}
