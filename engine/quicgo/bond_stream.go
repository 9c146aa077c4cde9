package quicgo

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// errPeerStopped is what Write returns when the other side closed the stream.
var errPeerStopped = errors.New("the peer reads no more of this stream")

// windowStep is how far the window moves before every lane announces it.
const windowStep = bondWindow / 16

// bondStream is one ordered byte stream over the lanes of its session.
//
// It is over when both directions are: everything written was delivered, and
// everything sent has arrived or nobody reads it. Then each side ends its half of
// every lane, which tells the other that it has nothing left to acknowledge.
type bondStream struct {
	session *bondSession
	id      int64

	mu       sync.Mutex
	readable sync.Cond
	writable sync.Cond
	tx       *sender
	rx       *reassembler
	lanes    []*lane
	running  int    // lane goroutines
	lane     laneID // dialler: the next lane's number
	err      error  // the session's
	closed   bool   // Close was called: nothing is read any more
	refused  bool   // the peer reads no more
}

func newBondStream(s *bondSession, id int64) *bondStream {
	st := &bondStream{
		session: s, id: id,
		tx: newSender(bondWindow, &s.pool), rx: newReassembler(bondWindow, &s.pool),
	}
	st.readable.L, st.writable.L = &st.mu, &st.mu
	return st
}

// nextLane returns a number for a lane that this side opens.
func (st *bondStream) nextLane() laneID {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.lane++
	return st.lane - 1
}

// attach adds a lane and starts it. The caller holds the session's mu.
func (st *bondStream) attach(id laneID, p *bondPath, qs *quic.Stream, kind laneKind) error {
	guess := p.firstGuess()
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.lanes) >= maxLanes || slices.ContainsFunc(st.lanes, func(l *lane) bool { return l.id == id }) {
		return fmt.Errorf("lane %d of stream %d is one too many", id, st.id)
	}
	l := &lane{id: id, path: p, quic: qs, tx: st.tx.addLane(id, guess, time.Now()), wake: make(chan struct{}, 1)}
	l.announced = st.rx.limit()
	l.opened = kind == acceptedLane
	l.stopDue = st.closed
	st.lanes = append(st.lanes, l)
	st.running += 2
	st.session.wg.Go(func() { st.writeLane(l) })
	st.session.wg.Go(func() { st.readLane(l) })
	return nil
}

func (st *bondStream) Read(b []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for len(b) > 0 {
		if st.closed {
			return 0, fmt.Errorf("read: %w", net.ErrClosed)
		}
		if n := st.rx.copyOut(b); n > 0 {
			for _, l := range st.lanes {
				if st.rx.limit()-l.announced >= windowStep {
					l.rouse()
				}
			}
			return n, nil
		}
		if st.rx.drained() {
			return 0, io.EOF
		}
		if st.err != nil {
			return 0, fmt.Errorf("read: %w", st.err)
		}
		st.readable.Wait()
	}
	return 0, nil
}

func (st *bondStream) Write(b []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	total := len(b)
	for {
		switch {
		case st.closed, st.tx.fin && !st.refused:
			return total - len(b), fmt.Errorf("write: %w", net.ErrClosed)
		case st.refused:
			return total - len(b), fmt.Errorf("write: %w", errPeerStopped)
		case st.err != nil:
			return total - len(b), fmt.Errorf("write: %w", st.err)
		}
		if n := st.tx.write(b); n > 0 {
			b = b[n:]
			st.rouseOne()
		}
		if len(b) == 0 {
			return total, nil
		}
		st.writable.Wait()
	}
}

// CloseWrite returns at once; the lanes go on delivering.
func (st *bondStream) CloseWrite() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed || st.tx.fin {
		return nil
	}
	if st.err != nil {
		return fmt.Errorf("close for writing: %w", st.err)
	}
	st.tx.finish()
	st.rouseOne()
	return nil
}

// Close stops reading and ends the writing like CloseWrite. The lanes go on until
// the peer has what was written, or the session ends.
func (st *bondStream) Close() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return nil
	}
	st.closed = true
	st.rx.discard()
	st.tx.finish()
	for _, l := range st.lanes {
		l.stopDue = !st.rx.complete()
	}
	st.rouseAll()
	st.readable.Broadcast()
	st.writable.Broadcast()
	return nil
}

// fail ends everything with the session's error. Bytes that are in order can still
// be read.
func (st *bondStream) fail(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.err == nil {
		st.err = err
	}
	st.rouseAll()
	st.readable.Broadcast()
	st.writable.Broadcast()
}

// over reports whether nothing is left to send or to acknowledge. The caller holds mu.
func (st *bondStream) over() bool {
	return st.tx.finished() && (st.rx.complete() || st.closed)
}

// rouseOne wakes the idle lane that is likely to deliver first. A lane that takes a
// chunk and leaves more wakes the next. The caller holds mu.
func (st *bondStream) rouseOne() {
	var best *lane
	for _, l := range st.lanes {
		if l.idle && l.tx.live() && (best == nil || l.tx.delivery < best.tx.delivery) {
			best = l
		}
	}
	if best != nil {
		best.idle = false
		best.rouse()
	}
}

// rouseIdle wakes every lane that waits. The caller holds mu.
func (st *bondStream) rouseIdle() {
	for _, l := range st.lanes {
		if l.idle {
			l.rouse()
		}
	}
}

// rouseAll wakes every lane. The caller holds mu.
func (st *bondStream) rouseAll() {
	for _, l := range st.lanes {
		l.rouse()
	}
}
