package relay

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	receiveBatch = 64 // frames taken before departures get their turn

	// A frame that the kernel has no room for is tried again for sendPatience,
	// then counted as lost.
	sendPatience = 20 * time.Millisecond
	sendPause    = 50 * time.Microsecond

	publishEvery = 10 * time.Millisecond // while the thread never rests
	publishRetry = time.Millisecond      // while a reader holds the snapshot
	downCheck    = 100 * time.Millisecond
)

// forwarder moves one direction's frames: from in, through the model, to out. It
// has one thread, which owns all but the fields below the line.
type forwarder struct {
	in, out *Port
	ring    *receiveRing
	model   *emulation.Direction
	clock   clock
	sender  *sender
	pool    pool
	stats   stats
	arrived emulation.Time // of the newest frame

	published emulation.Time // when the snapshot was last written

	// ---
	stop     int // eventfd; readable when the thread shall end
	stopping atomic.Bool

	mu       sync.Mutex // held for a copy only
	snapshot snapshot
}

// stats is what the relay counts beside the model.
type stats struct {
	lateness   lateness
	unfinished uint64 // frames whose checksum the kernel had not computed
	oversized  uint64 // frames longer than the interface's MTU, or than a slot
	tagged     uint64 // frames with a VLAN tag, which the socket takes off
	noMemory   uint64 // frames beyond what a direction may hold
	sendFailed uint64 // frames that departed and could not be sent
	sendRetry  uint64 // times that the kernel had no room for a frame
	sendError  unix.Errno
	state      State
}

type snapshot struct {
	stats
	model emulation.Counters
}

func newForwarder(in, out *Port, ring *receiveRing, model *emulation.Direction, clock clock) (*forwarder, error) {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	f := &forwarder{
		in: in, out: out, ring: ring, model: model, clock: clock, stop: stop,
		sender: newSender(out.fd()),
		pool:   pool{size: in.maxFrame()},
	}
	f.stats.state = StateUp
	return f, nil
}

// end makes the thread return soon. It may be called from anywhere, repeatedly.
func (f *forwarder) end() {
	f.stopping.Store(true)
	one := [8]byte{0: 1}
	// The only failure is an eventfd that is full, hence readable as it should be.
	_, _ = unix.Write(f.stop, one[:])
}

// close frees what newForwarder made. The thread must have ended.
func (f *forwarder) close() error {
	return errors.Join(f.ring.close(), unix.Close(f.stop))
}

// run forwards until end or until an interface is gone. It keeps its thread to
// itself, and the thread ends with it.
func (f *forwarder) run() error {
	runtime.LockOSThread()
	// The timer slack of 50 us would be added to every wait.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	for !f.stopping.Load() && f.stats.state != StateGone {
		received := f.receive()
		now := f.clock.at(time.Now())
		f.depart(now)
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
	for !f.publish(f.clock.at(time.Now())) {
		time.Sleep(publishRetry)
	}
	return nil
}

// receive gives up to a batch of frames to the model, and returns how many.
func (f *forwarder) receive() int {
	now := f.clock.read()
	for n := range receiveBatch {
		fr, ok := f.ring.peek()
		if !ok {
			return n
		}
		f.stats.state = StateUp
		if fr.realTime > now.real {
			now = f.clock.read() // came in after the reading
		}
		f.arrived = now.convert(fr.realTime, f.arrived)
		f.arrive(fr)
		f.ring.release()
	}
	return receiveBatch
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
	})
	if !verdict.Accepted {
		f.pool.give(buf)
	}
}

// depart sends every packet that is due.
func (f *forwarder) depart(now emulation.Time) {
	for {
		p, ideal, ok := f.model.Dequeue(now)
		if ok {
			f.sender.add(p.Data, ideal)
		}
		if f.sender.full() || !ok {
			f.flush()
		}
		if !ok {
			return
		}
	}
}

// flush sends the batch. A frame that the kernel has no room for is tried again;
// one that cannot be sent at all is counted.
func (f *forwarder) flush() {
	s := f.sender
	if s.n == 0 {
		return
	}
	var patience time.Duration
	for i := 0; i < s.n; {
		next, err := s.sendFrom(i)
		switch {
		case err == nil:
			i, patience = next, 0
		case err == unix.EINTR:
		case (err == unix.EAGAIN || err == unix.ENOBUFS) && patience < sendPatience:
			// ENOBUFS: the backlog of the CPU on the other side of the veth is
			// full (netdev_max_backlog).
			f.stats.sendRetry++
			patience += sendPause
			time.Sleep(sendPause)
		default:
			f.stats.sendFailed++
			f.stats.sendError, _ = errors.AsType[unix.Errno](err)
			if f.out.gone() {
				f.stats.state = StateGone
			}
			i++
		}
	}
	now := f.clock.at(time.Now())
	for i := range s.n {
		f.stats.lateness.add(now.Sub(s.ideal[i]))
		f.pool.give(s.buffers[i])
		s.buffers[i], s.parts[i].Base = nil, nil
	}
	s.n = 0
}

// rest publishes the snapshot and waits for a frame, the next departure or end.
func (f *forwarder) rest() error {
	wait := time.Duration(-1)
	if !f.publish(f.clock.at(time.Now())) {
		wait = publishRetry
	}
	if f.stats.state == StateDown {
		wait = downCheck
	}
	if next, ok := f.model.NextDeparture(); ok {
		until := max(0, next.Sub(f.clock.at(time.Now())))
		if wait < 0 || until < wait {
			wait = until
		}
	}
	var timeout *unix.Timespec
	if wait >= 0 {
		ts := unix.NsecToTimespec(int64(wait))
		timeout = &ts
	}
	fds := [2]unix.PollFd{{Fd: int32(f.in.fd()), Events: unix.POLLIN}, {Fd: int32(f.stop), Events: unix.POLLIN}}
	_, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)),
		uintptr(unsafe.Pointer(timeout)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("poll %s: %w", f.in.name, errno)
	}
	if fds[0].Revents&^unix.POLLIN != 0 || f.stats.state == StateDown {
		f.inspect()
	}
	return nil
}

// inspect finds out why the port signals an error: its interface was set down,
// or deleted.
func (f *forwarder) inspect() {
	if err := f.in.takeError(); err != nil {
		f.stats.state = StateDown
	}
	if f.in.gone() {
		f.stats.state = StateGone
	}
}

// publish copies what was counted to where others read it, and reports whether
// it did. It never waits: while a reader holds the snapshot it does nothing.
func (f *forwarder) publish(now emulation.Time) bool {
	if !f.mu.TryLock() {
		return false
	}
	defer f.mu.Unlock()
	f.snapshot = snapshot{stats: f.stats, model: f.model.Counters()}
	f.published = now
	return true
}

// read returns the latest snapshot.
func (f *forwarder) read() snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot
}
