package quicgo

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxUnsent is how much a stream holds that no lane has taken yet. Write waits past
// it. It is a few milliseconds at 1 Gbit/s: enough that a lane never waits for the
// writer to be scheduled.
const maxUnsent = 1 << 20

// minPatience is the shortest silence after which a lane's chunks move to others.
const minPatience = time.Second

// sender decides which chunk goes on which lane. Lanes pull: each asks for a chunk
// when its connection has taken the one before, so every path's own congestion and
// flow control make the split.
//
// It is pure: no lock, no clock, no I/O; now is an argument. The owner serialises
// the calls.
type sender struct {
	pool   *chunkPool
	chunks []*chunk // from the oldest that was not delivered, in offset order
	fresh  int      // chunks before it were taken at least once
	unsent int64    // bytes in chunks from fresh on
	lost   int      // chunks that are lost
	end    int64    // offset after the last byte written
	next   int64    // offset that the peer has everything before
	limit  int64    // the peer's window ends here
	fin    bool     // nothing is written any more
	lanes  []*laneSender
}

// laneSender is one lane's part.
type laneSender struct {
	id    laneID
	sent  uint64 // data frames handed to the lane
	count uint64 // of them, delivered
	// outstanding holds the frames from count to sent.
	outstanding []carried

	progress time.Time     // last delivery, or the lane's start
	delivery time.Duration // smoothed time from taking a chunk to its ack; a first guess before
	stalled  bool          // silent while others moved; its chunks went to them
	dead     bool

	reinjected int64 // bytes taken that another lane had carried before
}

type carried struct {
	chunk *chunk
	taken time.Time
}

func newSender(window int64, pool *chunkPool) *sender {
	return &sender{pool: pool, limit: window}
}

// addLane makes a lane. guess is its delivery time until one was measured.
func (s *sender) addLane(id laneID, guess time.Duration, now time.Time) *laneSender {
	l := &laneSender{id: id, progress: now, delivery: guess}
	s.lanes = append(s.lanes, l)
	return l
}

// room is how many bytes write takes now.
func (s *sender) room() int64 { return max(0, maxUnsent-s.unsent) }

// write copies up to room bytes of p into chunks and returns how many.
func (s *sender) write(p []byte) int {
	p = p[:min(int64(len(p)), s.room())]
	for rest := p; len(rest) > 0; {
		c := s.tail()
		n := copy(c.buf[frameHeader+c.n:], rest)
		c.n += n
		s.end += int64(n)
		s.unsent += int64(n)
		rest = rest[n:]
	}
	return len(p)
}

// tail returns the last chunk if bytes fit into it and no lane has it, else a new one.
func (s *sender) tail() *chunk {
	if n := len(s.chunks); n > s.fresh && s.chunks[n-1].n < chunkSize {
		return s.chunks[n-1]
	}
	c := &chunk{offset: s.end, buf: s.pool.get()}
	s.chunks = append(s.chunks, c)
	return c
}

// finish ends the stream after the bytes written so far.
func (s *sender) finish() {
	if s.fin {
		return
	}
	s.fin = true
	if n := len(s.chunks); n > s.fresh {
		s.chunks[n-1].fin = true
		return
	}
	s.chunks = append(s.chunks, &chunk{offset: s.end, buf: s.pool.get(), fin: true})
}

// finished reports whether the peer has everything.
func (s *sender) finished() bool { return s.fin && len(s.chunks) == 0 }

// take returns the chunk that lane l sends next. Without one, a wait above zero
// says when asking again may help even if nothing happens until then.
//
// In order: chunks that a dead or stalled lane left behind, new chunks within the
// peer's window, and, when there is neither, a chunk that l is likely to deliver
// sooner than the lane that has it.
func (s *sender) take(l *laneSender, now time.Time) (c *chunk, wait time.Duration) {
	if !l.live() {
		return nil, 0
	}
	s.findStalled(l, now)
	if s.lost > 0 {
		for _, c := range s.chunks[:s.fresh] {
			if c.lost {
				return s.hand(c, l, now), 0
			}
		}
	}
	if s.fresh < len(s.chunks) {
		if c := s.chunks[s.fresh]; c.end() <= s.limit {
			c.seal()
			s.fresh++
			s.unsent -= int64(c.n)
			return s.hand(c, l, now), 0
		}
	}
	return s.overtake(l, now)
}

// hand gives c to l. The caller calls written when the lane has let go of it.
func (s *sender) hand(c *chunk, l *laneSender, now time.Time) *chunk {
	if c.lane != nil {
		l.reinjected += int64(c.n)
	}
	s.found(c)
	c.lane, c.taken = l, now
	c.carriers++
	c.writing++
	l.sent++
	l.outstanding = append(l.outstanding, carried{chunk: c, taken: now})
	return c
}

// written says that a lane no longer uses c's memory.
func (s *sender) written(c *chunk) {
	c.writing--
	s.recycle(c)
}

func (s *sender) recycle(c *chunk) {
	if c.delivered && c.writing == 0 && c.buf != nil {
		s.pool.put(c.buf)
		c.buf = nil
	}
}

// overtake looks for the oldest chunk that another lane carries alone and that l
// is likely to deliver sooner, or that is late. One copy more is the most.
func (s *sender) overtake(l *laneSender, now time.Time) (c *chunk, wait time.Duration) {
	for _, c := range s.chunks[:s.fresh] {
		if c.delivered || c.lost || c.carriers != 1 || c.lane == l {
			continue
		}
		age, usual := now.Sub(c.taken), c.lane.delivery
		late := usual + usual/2
		if usual-age > l.delivery || age >= late {
			return s.hand(c, l, now), 0
		}
		if again := late - age; wait == 0 || again < wait {
			wait = again
		}
	}
	return nil, wait
}

// live reports whether the lane counts as a carrier of its outstanding chunks. A
// lane that does not takes no more.
func (l *laneSender) live() bool { return !l.stalled && !l.dead }

// patience is how long a lane with outstanding chunks may be silent.
func (l *laneSender) patience() time.Duration { return max(minPatience, 4*l.delivery) }

// findStalled moves the chunks of lanes that have been silent for too long while l
// delivered. A stalled lane keeps its place: when it delivers again, it is as good
// as before.
func (s *sender) findStalled(l *laneSender, now time.Time) {
	for _, other := range s.lanes {
		if other == l || !other.live() || len(other.outstanding) == 0 {
			continue
		}
		since := other.progress
		if t := other.outstanding[0].taken; t.After(since) {
			since = t
		}
		if l.progress.After(since) && now.Sub(since) > other.patience() {
			s.abandon(other)
			other.stalled = true
		}
	}
}

// fail takes a lane out for good.
func (s *sender) fail(l *laneSender) {
	s.abandon(l)
	l.dead = true
}

// abandon marks as lost what only l carried. l is about to stop counting as live.
func (s *sender) abandon(l *laneSender) {
	if !l.live() {
		return
	}
	for _, o := range l.outstanding {
		c := o.chunk
		c.carriers--
		if c.carriers == 0 && !c.delivered {
			c.lost = true
			s.lost++
		}
	}
}

// acked takes what the peer says that it has. It reports whether lanes or writers
// that wait may go on.
func (s *sender) acked(a *ack, now time.Time) (progress bool, err error) {
	if a.next > s.end || a.limit < a.next {
		return false, fmt.Errorf("the peer acknowledges byte %d of %d", a.next, s.end)
	}
	for _, lc := range a.lanes {
		i := slices.IndexFunc(s.lanes, func(l *laneSender) bool { return l.id == lc.lane })
		if i < 0 && lc.count == 0 {
			continue
		}
		if i < 0 {
			return false, fmt.Errorf("the peer acknowledges lane %d, which does not exist", lc.lane)
		}
		if lc.count > s.lanes[i].sent {
			return false, fmt.Errorf("the peer acknowledges %d frames of lane %d, which sent %d", lc.count, lc.lane, s.lanes[i].sent)
		}
	}
	for _, lc := range a.lanes {
		i := slices.IndexFunc(s.lanes, func(l *laneSender) bool { return l.id == lc.lane })
		if i >= 0 && lc.count > s.lanes[i].count {
			s.advance(s.lanes[i], lc.count, now)
			progress = true
		}
	}
	s.next = max(s.next, a.next)
	if a.limit > s.limit {
		s.limit, progress = a.limit, true
	}
	return progress, s.trim()
}

// advance notes that l has delivered count frames.
func (s *sender) advance(l *laneSender, count uint64, now time.Time) {
	n := int(count - l.count)
	for _, o := range l.outstanding[:n] {
		c := o.chunk
		if l.live() {
			c.carriers--
		}
		s.deliver(c)
	}
	l.delivery += (now.Sub(l.outstanding[n-1].taken) - l.delivery) / 8
	l.outstanding = slices.Delete(l.outstanding, 0, n)
	l.count = count
	l.progress = now
	if l.stalled && !l.dead {
		s.revive(l)
	}
}

// revive takes a lane that was silent back among the carriers.
func (s *sender) revive(l *laneSender) {
	l.stalled = false
	for _, o := range l.outstanding {
		o.chunk.carriers++
		s.found(o.chunk)
	}
}

// found takes c off the lost ones.
func (s *sender) found(c *chunk) {
	if c.lost {
		c.lost = false
		s.lost--
	}
}

func (s *sender) deliver(c *chunk) {
	if c.delivered {
		return
	}
	c.delivered = true
	s.found(c)
	s.recycle(c)
}

// trim drops delivered chunks from the front. What is before the peer's cumulative
// offset must be among them: frame counts and offsets tell the same story.
func (s *sender) trim() error {
	n := 0
	for n < s.fresh && s.chunks[n].delivered {
		n++
	}
	s.chunks = slices.Delete(s.chunks, 0, n)
	s.fresh -= n
	if len(s.chunks) > 0 && s.chunks[0].n > 0 && s.chunks[0].end() <= s.next {
		return errors.New("the peer acknowledges bytes that it has not counted on any lane")
	}
	return nil
}

// peerDone takes the peer's word that it needs nothing more: it has everything, or
// it stopped reading.
func (s *sender) peerDone() {
	for _, c := range s.chunks {
		s.deliver(c)
	}
	s.chunks, s.fresh, s.unsent, s.lost, s.fin = nil, 0, 0, 0, true
}
