package relay

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	receiveBatch = 64 // frames taken before departures get their turn

	publishEvery = 10 * time.Millisecond // while the thread never rests
	publishRetry = time.Millisecond      // while a reader holds the snapshot
)

// forwarder moves one direction's frames: from in, through the model, to out. It
// has one thread, which owns all but the fields below the line.
type forwarder struct {
	in, out *Port
	ring    *receiveRing
	model   *lane
	super   *super // nil on a wire with OffloadOff
	clock   clock
	sender  *sender
	pool    pool
	stats   stats
	arrived emulation.Time // of the newest frame
	router  router         // tells senders the MTU

	downAt    emulation.Time // when the interface was found down
	published emulation.Time // when the snapshot was last written

	// ---
	stop     int // eventfd; readable when the thread shall end, or look at its orders
	stopping atomic.Bool
	ended    chan struct{} // closed when run returns

	mu       sync.Mutex // held for a copy only
	snapshot snapshot
}

// stats is what the relay counts beside the model.
type stats struct {
	lateness   lateness
	units      uint64     // with OffloadOn: frames that arrived, of one wire packet or more
	runs       uint64     // and those that were sent
	unfinished uint64     // frames whose checksum the kernel had not computed
	oversized  uint64     // frames longer than the interface's MTU, or than a slot
	tagged     uint64     // frames with a VLAN tag, which the socket takes off
	noMemory   uint64     // frames beyond what a direction may hold
	sendFailed uint64     // frames that departed and could not be sent
	cut        uint64     // frames that departed towards an end that was down
	sendRetry  uint64     // times that the kernel had no room for a frame
	sendError  unix.Errno // of the latest such frame
	told       uint64     // messages that a packet is too big, sent
	heldBack   uint64     // not sent for the rate limit
	untold     uint64     // not sent as none may be, or could not be
	state      State
	realtime   bool // the thread has a real-time priority
}

type snapshot struct {
	stats
	at      emulation.Time
	model   emulation.Counters
	inForce emulation.Impairments
	refused uint64
	refusal error
	older   int // courses that still hold packets
}

// newForwarder takes the port's ring, or nil when frames may be units.
func newForwarder(in, out *Port, ring *receiveRing, model *lane, clock clock) (*forwarder, error) {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	f := &forwarder{
		in: in, out: out, ring: ring, model: model, clock: clock, stop: stop, ended: make(chan struct{}),
		sender: newSender(out.fd()),
		pool:   pool{size: in.maxFrame()},
	}
	if ring == nil {
		f.super = newSuper(in, out)
	}
	f.stats.state = StateUp
	return f, nil
}

// end makes the thread return soon. It may be called from anywhere, repeatedly.
func (f *forwarder) end() {
	f.stopping.Store(true)
	f.wake()
}

// wake ends the thread's rest. It may be called from anywhere.
func (f *forwarder) wake() {
	one := [8]byte{0: 1}
	// The only failure is an eventfd that is full, hence readable as it should be.
	_, _ = unix.Write(f.stop, one[:])
}

// close frees what newForwarder made. The thread must have ended.
func (f *forwarder) close() error {
	var err error
	if f.ring != nil {
		err = f.ring.close()
	}
	return errors.Join(err, unix.Close(f.stop))
}

// run forwards until end or until an interface is gone. It keeps its thread to
// itself, and the thread ends with it.
func (f *forwarder) run() error {
	defer close(f.ended)
	runtime.LockOSThread()
	if err := f.hurry(); err != nil {
		return err
	}
	for !f.stopping.Load() && f.stats.state != StateGone {
		before := f.clock.now()
		received := f.receive()
		now := f.clock.now()
		f.depart(f.model.play(f.horizon(before, now, received)))
		if received == receiveBatch {
			if now.Sub(f.published) > publishEvery {
				f.publish(now)
			}
			continue
		}
		if err := f.rest(); err != nil {
			return err
		}
	}
	for !f.publish(f.clock.now()) {
		time.Sleep(publishRetry)
	}
	return nil
}

// receive gives up to a batch of frames to the model, and returns how many.
func (f *forwarder) receive() int {
	if f.super != nil {
		return f.receiveUnits()
	}
	now := f.clock.read()
	for n := range receiveBatch {
		fr, ok := f.ring.peek()
		if !ok {
			return n
		}
		if fr.realTime > now.real {
			now = f.clock.read() // came in after the reading
		}
		f.note(now, fr.realTime)
		f.meet(fr.data)
		f.arrive(fr)
		f.ring.release()
	}
	return receiveBatch
}

// note takes the arrival time of the next frame.
func (f *forwarder) note(now reading, realTime int64) {
	f.arrived = now.convert(realTime, f.arrived)
	if f.stats.state == StateDown && f.arrived > f.downAt {
		f.stats.state = StateUp
	}
}

// arrive copies the frame and gives it to the model, unless it cannot be
// forwarded as it was sent.
func (f *forwarder) arrive(fr frame) {
	switch {
	case fr.status&unix.TP_STATUS_CSUMNOTREADY != 0:
		f.stats.unfinished++
		return
	case fr.status&unix.TP_STATUS_VLAN_VALID != 0:
		f.stats.tagged++
		return
	case fr.length > f.in.maxFrame(), fr.length > len(fr.data):
		f.stats.oversized++
		return
	}
	buf := f.pool.take(len(fr.data))
	if buf == nil {
		f.stats.noMemory++
		return
	}
	copy(buf, fr.data)
	verdict := f.model.Enqueue(f.arrived, emulation.Packet{
		Size:   emulation.ByteCount(len(buf)),
		IPSize: len(buf) - ethernetHeader,
		Data:   buf,
		ECN:    codepoint(buf),
	})
	if !verdict.Accepted {
		f.refuse(buf, verdict)
		f.pool.give(buf)
	}
	f.reclaim()
}

// reclaim takes the buffers back of the frames that the model dropped after it had
// accepted them.
func (f *forwarder) reclaim() {
	for p, ok := f.model.Discarded(); ok; p, ok = f.model.Discarded() {
		f.pool.give(p.Data)
	}
}

// publish copies what was counted to where others read it, and reports whether
// it did. It never waits: while a reader holds the snapshot it does nothing.
func (f *forwarder) publish(now emulation.Time) bool {
	if !f.mu.TryLock() {
		return false
	}
	defer f.mu.Unlock()
	f.snapshot = snapshot{
		stats: f.stats, at: now, model: f.model.Counters(), inForce: f.model.direction.Impairments(),
		refused: f.model.refused, refusal: f.model.refusal, older: len(f.model.older),
	}
	f.published = now
	return true
}

// hasEnded reports whether the thread has, with its interface.
func (f *forwarder) hasEnded() bool {
	select {
	case <-f.ended:
		return true
	default:
		return false
	}
}

// read returns the latest snapshot.
func (f *forwarder) read() snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot
}
