package proto

import (
	"math"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// copyOf is a STREAM frame that is under way on another path and is to be sent here, too.
type copyOf struct {
	from *path
	ref  uint64 // in from's log of SpaceApplication
	done uint32 // bytes of it that were copied
}

// copyQueue is a FIFO of them. Its memory is a ring that grows to the most it ever had and
// stays.
type copyQueue struct {
	ring []copyOf // length a power of two, or 0
	head int
	n    int
}

func (q *copyQueue) len() int { return q.n }

func (q *copyQueue) push(e copyOf) {
	if q.n == len(q.ring) {
		bigger := make([]copyOf, max(64, 2*len(q.ring)))
		for i := range q.n {
			bigger[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = bigger, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = e
	q.n++
}

func (q *copyQueue) front() *copyOf { return &q.ring[q.head] }

func (q *copyQueue) pop() {
	q.ring[q.head] = copyOf{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
}

const (
	// reinjectShare bounds what is sent again while it may still arrive, in parts of what
	// was sent, reinjectLeast is allowed in any case.
	reinjectShare                = 0.025
	reinjectLeast wire.ByteCount = 96 << 10
)

// reinjectRoom returns how many bytes may be sent again that are not known to be lost.
func (c *Conn) reinjectRoom() wire.ByteCount {
	if c.cfg.NoReinject {
		return 0
	}
	allowed := max(reinjectLeast, wire.ByteCount(reinjectShare*float64(c.streams.counts.Sent)))
	return max(0, allowed-wire.ByteCount(c.stats.reinjected))
}

// reinjectAll has everything that is under way on p sent again on another path: the path is
// silent for long, or over.
func (c *Conn) reinjectAll(now clock.Time, p *path) { c.reinject(now, p, noBound) }

const noBound wire.ByteCount = math.MaxInt64

// reinject has what is under way on p sent again on another path, as if it were lost, up to
// most bytes of data: the oldest, which the peer's application waits for. What arrives after
// all is not sent again.
func (c *Conn) reinject(now clock.Time, p *path, most wire.ByteCount) {
	var queued Reinjection
	s := &p.spaces[recovery.SpaceApplication]
	for i := s.log.first; i < s.log.next && queued.Bytes < most; i++ {
		r := s.log.at(i)
		if r.kind == refDone || r.kind == refAck || r.copied == copySent {
			continue
		}
		if r.kind == refStream {
			c.stats.reinjected += uint64(r.n)
			queued.Bytes += wire.ByteCount(r.n)
			queued.Frames++
		}
		c.refLost(s, *r)
		r.copied = copySent
	}
	c.traceReinjected(now, p, nil, queued)
}

// copyTrain has the STREAM frames that left on p, from a reference on, sent on every other
// path as well: the redundant scheduler.
func (c *Conn) copyTrain(p *path, from uint64) {
	log := &p.spaces[recovery.SpaceApplication].log
	for i := max(from, log.first); i < log.next; i++ {
		if r := log.at(i); r.kind != refStream || r.copy {
			continue
		}
		for _, o := range c.open {
			if o != p && o.state == PathActive && o.copies.len() < maxCopies {
				o.copies.push(copyOf{from: p, ref: i})
			}
		}
	}
}

// maxCopies bounds what waits to be copied to a path that cannot keep up: beyond it, the
// path goes without.
const maxCopies = 1 << 12

// reinjectTail has the end of what is under way on slow paths sent on a faster one that
// has nothing else to do, as far as that brings it there earlier.
//
// The newest bytes on a slow path arrive last. Copied from the end on, x bytes are there by
// the fast path after its own time and x by its rate; by then the slow path has brought
// what was before them. Where the two meet, copying more helps nothing.
func (c *Conn) reinjectTail(now clock.Time) {
	if len(c.open) < 2 || c.streams.hasData() {
		return
	}
	room := c.reinjectRoom()
	if room == 0 {
		return
	}
	fast := c.fastest()
	if fast == nil || fast.copies.len() > 0 {
		return
	}
	for _, p := range c.open {
		if p != fast && p.state == PathActive {
			room -= c.copyTail(now, p, fast, room)
		}
	}
}

// fastest returns the active path with the smallest round trip that has room.
func (c *Conn) fastest() *path {
	var best *path
	for _, p := range c.open {
		if p.state != PathActive || p.vitals.suspect || !p.det.RTT().HasSample || p.backup || p.peerBackup {
			continue
		}
		if p.det.State().Window-p.det.BytesInFlight() < p.mtu.size() {
			continue
		}
		if best == nil || p.det.RTT().Smoothed < best.det.RTT().Smoothed {
			best = p
		}
	}
	return best
}

// copyTail queues the end of what p owes on fast, at most room bytes, and returns how much
// that is.
func (c *Conn) copyTail(now clock.Time, p, fast *path, room wire.ByteCount) wire.ByteCount {
	slowRTT, fastRTT := p.det.RTT(), fast.det.RTT()
	if !slowRTT.HasSample || slowRTT.Smoothed <= fastRTT.Smoothed || p.det.BytesInFlight() == 0 {
		return 0
	}
	newest, ok := p.det.NewestEliciting(recovery.SpaceApplication)
	if !ok {
		return 0
	}
	// Both as round trips: half of each would do as well if both were even.
	bySlow := newest.Add(slowRTT.Smoothed).Sub(now).Seconds()
	byFast := fastRTT.Smoothed.Seconds() + float64(fast.det.BytesInFlight())/rateOf(fast)
	perByte := 1/rateOf(p) + 1/rateOf(fast)
	most := min(float64(room), (bySlow-byFast)/perByte)
	log := &p.spaces[recovery.SpaceApplication].log
	var taken wire.ByteCount
	frames := 0
	for i := log.next; i > log.first && float64(taken) < most; i-- {
		r := log.at(i - 1)
		if r.kind != refStream || r.copied != notCopied || r.copy {
			continue
		}
		r.copied = copyQueued
		fast.copies.push(copyOf{from: p, ref: i - 1})
		taken += wire.ByteCount(r.n)
		frames++
	}
	c.traceReinjected(now, p, fast, Reinjection{Bytes: taken, Frames: frames})
	return taken
}

// rateOf returns what a path carries, byte/s.
func rateOf(p *path) float64 {
	if r := p.det.DeliveryRate(); r > 0 {
		return float64(r)
	}
	return float64(p.det.State().Window) / max(p.det.RTT().Smoothed.Seconds(), 1e-4)
}

// appendCopies appends STREAM frames that are under way elsewhere; false: the packet is
// full.
func (c *Conn) appendCopies(w *builder) bool {
	q := &w.path.copies
	for q.len() > 0 {
		e := q.front()
		log := &e.from.spaces[recovery.SpaceApplication].log
		if e.ref < log.first || e.ref >= log.next {
			q.pop()
			continue
		}
		r := log.at(e.ref)
		if r.kind != refStream {
			q.pop() // settled
			continue
		}
		n, fits := c.streams.appendCopy(w, *r, e.done)
		e.done += n
		if !fits {
			return false
		}
		if n > 0 {
			sent := uint64(n)
			w.path.reinjected += sent
			c.stats.reinjected += sent
		}
		if n == 0 || e.done >= r.n {
			if r.copied == copyQueued && n > 0 { // not for the end of a stream, without data
				r.copied = copySent
			}
			q.pop()
		}
	}
	return true
}

// appendCopy appends a STREAM frame with what r has from done on, as far as it is still
// wanted. It returns how far it came; fits is false when there was no room for a byte. 0
// and true: nothing of it is wanted.
func (ss *streams) appendCopy(w *builder, r frameRef, done uint32) (n uint32, fits bool) {
	s := r.stream
	if ss.err != nil || s == nil || s.forgotten || !s.send.alive() {
		return 0, true
	}
	data := &s.send.data
	start, end := max(r.off+uint64(done), data.base), r.off+uint64(r.n)
	if start >= end || end > data.sent {
		return 0, true
	}
	f := wire.Stream{ID: s.id, Offset: start}
	k, ok := fitStream(&f, end-start, w.room())
	if !ok || k == 0 {
		return 0, false
	}
	f.Fin = r.fin && start+uint64(k) == end
	w.b = f.AppendHeader(w.b, k)
	w.b = data.appendTo(w.b, start, k)
	w.added(wire.TypeStream)
	w.note(frameRef{kind: refStream, fin: f.Fin, copy: true, n: uint32(k), off: start, stream: s})
	ss.copies.Packet += uint64(k)
	ss.counts.Sent += uint64(k)
	ss.counts.Resent += uint64(k)
	return uint32(start + uint64(k) - r.off - uint64(done)), true
}
