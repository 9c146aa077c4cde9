package quicgo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quic-go/quic-go"
)

// laneKind says who opened a lane.
type laneKind uint8

const (
	openLane laneKind = iota
	acceptedLane
)

// lane is one QUIC stream under a bonded stream, with one goroutine for each
// direction. All but the first fields are guarded by the stream's mu.
type lane struct {
	id   laneID
	path *bondPath
	quic *quic.Stream
	wake chan struct{}

	tx         *laneSender
	opened     bool   // the first frame was written, or came from the peer
	received   uint64 // data frames
	ackDue     bool
	announced  int64 // window limit in the last ack
	stopDue    bool
	idle       bool  // the writer waits
	accounted  int64 // re-injected bytes that the path knows of
	wasStalled bool  // as far as the path knows
}

// rouse makes the writer look for work.
func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// work is what a lane's writer does next.
type work struct {
	frame []byte        // write it
	chunk *chunk        // the frame is this chunk's
	end   bool          // nothing is left to do: end the lane in order
	quit  bool          // the lane or the session has failed
	wait  time.Duration // nothing to do; look again after it, if above 0
}

// nextWork returns the lane's next task: acks before data, for they let the other
// side go on. buf is for frames that have no memory of their own.
func (st *bondStream) nextWork(l *lane, buf []byte) work {
	st.mu.Lock()
	defer st.mu.Unlock()
	l.idle = false
	defer st.account()
	switch {
	case st.err != nil || l.tx.dead:
		return work{quit: true}
	case !l.opened:
		l.opened = true
		return work{frame: openFrame(st.id, l.id)}
	case l.stopDue:
		l.stopDue = false
		header{kind: frameStop}.put(buf[:frameHeader])
		return work{frame: buf[:frameHeader]}
	case l.ackDue || st.rx.limit()-l.announced >= windowStep:
		l.ackDue = false
		l.announced = st.rx.limit()
		return work{frame: st.ack().appendFrame(buf[:0])}
	}
	waiting := st.tx.room() < maxUnsent/2
	c, wait := st.tx.take(l.tx, time.Now())
	if c == nil {
		l.idle = true
		return work{end: st.over(), wait: wait}
	}
	if waiting && st.tx.room() >= maxUnsent/2 {
		st.writable.Broadcast()
	}
	if st.tx.lost > 0 || st.tx.fresh < len(st.tx.chunks) {
		st.rouseOne()
	} else {
		// Idle lanes must know when this chunk will be late, to overtake it then.
		st.rouseIdle()
	}
	return work{frame: c.frame(), chunk: c}
}

// ack returns the receiver's state. The caller holds mu.
func (st *bondStream) ack() ack {
	a := ack{next: st.rx.next, limit: st.rx.limit(), lanes: make([]laneCount, 0, len(st.lanes))}
	for _, l := range st.lanes {
		if l.received > 0 {
			a.lanes = append(a.lanes, laneCount{lane: l.id, count: l.received})
		}
	}
	return a
}

// account tells the paths what their lanes did. The caller holds mu.
func (st *bondStream) account() {
	for _, l := range st.lanes {
		stalled := 0
		if l.tx.stalled != l.wasStalled {
			l.wasStalled = l.tx.stalled
			if stalled = 1; !l.wasStalled {
				stalled = -1
			}
		}
		if n := l.tx.reinjected - l.accounted; n > 0 || stalled != 0 {
			l.accounted = l.tx.reinjected
			l.path.account(n, stalled)
		}
	}
}

// writeLane is the lane's writer.
func (st *bondStream) writeLane(l *lane) {
	defer st.exit()
	buf := make([]byte, 0, frameHeader+ackFixed+maxLanes*ackLane)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w := st.nextWork(l, buf[:cap(buf)])
		switch {
		case w.end:
			_ = l.quic.Close() // fails only when there is nothing to close
			return
		case w.quit:
			return // the connection's end says so to the peer, not the lane's
		case w.frame != nil:
			_, err := l.quic.Write(w.frame)
			st.wrote(l, w.chunk, err)
			if err != nil {
				return
			}
		default:
			if w.wait > 0 {
				timer.Reset(w.wait)
			} else {
				timer.Stop()
			}
			select {
			case <-l.wake:
			case <-timer.C:
			}
		}
	}
}

// wrote takes a chunk's memory back from a lane, and the lane out after an error.
func (st *bondStream) wrote(l *lane, c *chunk, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if c != nil {
		st.tx.written(c)
	}
	if err != nil {
		st.failLane(l)
	}
}

// failLane gives the lane's chunks to the others. The caller holds mu.
func (st *bondStream) failLane(l *lane) {
	st.tx.fail(l.tx)
	st.account()
	st.rouseAll()
}

// readLane is the lane's reader. It never waits for anything but the peer.
func (st *bondStream) readLane(l *lane) {
	defer st.exit()
	err := st.readFrames(l)
	if !errors.Is(err, io.EOF) {
		st.wrote(l, nil, err)
		l.path.abort(err)
		return
	}
	// The peer ended the lane: it has all that it needs.
	st.mu.Lock()
	defer st.mu.Unlock()
	st.peerDone()
}

// peerDone takes the peer's word that it wants nothing more. The caller holds mu.
func (st *bondStream) peerDone() {
	st.tx.peerDone()
	st.rouseAll()
	st.writable.Broadcast()
}

// readFrames reads frames until the lane ends. The error is io.EOF at an orderly end.
func (st *bondStream) readFrames(l *lane) error {
	var a ack
	var body [ackFixed + maxLanes*ackLane]byte
	for {
		h, err := readHeader(l.quic)
		if err != nil {
			return err
		}
		switch h.kind {
		case frameData:
			err = st.readData(l, h)
		case frameAck:
			b := body[:h.length]
			if _, err = io.ReadFull(l.quic, b); err != nil {
				break
			}
			if err = a.parse(h, b); err == nil {
				err = st.acked(&a)
			}
		case frameStop:
			st.mu.Lock()
			st.refused = true
			st.peerDone()
			st.mu.Unlock()
		default:
			err = fmt.Errorf("a frame of kind %d came on a lane", h.kind)
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
}

// readData reads a chunk and puts it in its place.
func (st *bondStream) readData(l *lane, h header) error {
	buf := st.session.pool.get()
	data := buf[frameHeader : frameHeader+h.length]
	if _, err := io.ReadFull(l.quic, data); err != nil {
		st.session.pool.put(buf)
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	l.received++
	l.ackDue = true
	l.rouse()
	ready, err := st.rx.insert(piece{offset: h.offset, data: data, buf: buf}, h.fin)
	if err != nil {
		return err
	}
	if st.closed {
		st.rx.discard()
	}
	if ready {
		st.readable.Broadcast()
	}
	if st.over() {
		st.rouseAll()
	}
	return nil
}

// acked hands an ack to the sender.
func (st *bondStream) acked(a *ack) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	progress, err := st.tx.acked(a, time.Now())
	if err != nil {
		return err
	}
	if st.over() {
		st.rouseAll()
	} else if progress {
		st.rouseOne()
	}
	return nil
}

// exit counts the lane's goroutines. The last one takes the stream off the books if
// it is over. One that only lost its lanes waits for a lane on another path.
func (st *bondStream) exit() {
	st.mu.Lock()
	st.running--
	over := st.running == 0 && st.over()
	st.mu.Unlock()
	if over {
		st.session.forget(st)
	}
}

// readLaneID reads the body of an open frame.
func readLaneID(r io.Reader) (laneID, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	return laneID(binary.BigEndian.Uint32(b[:])), nil
}
