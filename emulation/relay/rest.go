package relay

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// ringPatience bounds how long frames stay in the ring: at 1 Mpps it fills to
	// a quarter meanwhile.
	ringPatience = time.Millisecond
	// departGap is the shortest wait. Departures closer than that leave together:
	// at 1 Gbit/s a packet departs every 12 us, and a wake-up for each would cost
	// more than a core has. No departure is later by more than the gap for it.
	departGap = 50 * time.Microsecond
	downCheck = 100 * time.Millisecond

	// threadPriority is the lowest that is above every ordinary thread, whose
	// time slice (3 ms and more) would else be the lateness of a loaded machine.
	threadPriority  = 1
	sizeofSchedAttr = 48 // SCHED_ATTR_SIZE_VER0
)

// hurry makes the thread wake as early as the kernel lets it.
func (f *forwarder) hurry() error {
	// The default slack of 50 us would be added to every wait.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	err := unix.SchedSetAttr(0, &unix.SchedAttr{
		Size:     sizeofSchedAttr,
		Policy:   unix.SCHED_FIFO,
		Priority: threadPriority,
	}, 0)
	// Without CAP_SYS_NICE, or in a cgroup without real-time share, the relay
	// works but is later under load. The status says so.
	f.stats.realtime = err == nil
	return nil
}

// rest publishes the snapshot and waits for the next departure, for a frame, or
// for end.
//
// While packets are held it does not wait for frames: a frame departs after all
// that came before it, so it can stay in the ring until the next departure, and
// the kernel has noted when it came. That is what keeps a busy wire from waking
// its thread for each frame.
func (f *forwarder) rest() error {
	fds := [2]unix.PollFd{{Fd: int32(f.stop), Events: unix.POLLIN}, {Fd: int32(f.in.fd()), Events: unix.POLLIN}}
	wait := time.Duration(-1)
	now := f.clock.at(time.Now())
	if next, ok := f.model.NextDeparture(); ok {
		wait = min(max(next.Sub(now), departGap), ringPatience)
		fds[1].Events = 0 // errors only
	} else if f.stats.state == StateDown {
		wait = downCheck
	}
	if change := f.model.nextChange(); change != never {
		until := max(change.Add(settle).Sub(now), 0)
		if wait < 0 || until < wait {
			wait = until
		}
	}
	if !f.publish(now) && (wait < 0 || wait > publishRetry) {
		wait = publishRetry
	}
	var timeout *unix.Timespec
	if wait >= 0 {
		ts := unix.NsecToTimespec(int64(wait))
		timeout = &ts
	}
	_, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)),
		uintptr(unsafe.Pointer(timeout)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("poll %s: %w", f.in.name, errno)
	}
	if fds[0].Revents != 0 && !f.stopping.Load() {
		f.wakeUp()
	}
	if fds[1].Revents&^unix.POLLIN != 0 || f.stats.state == StateDown {
		f.inspect()
	}
	return nil
}

// wakeUp makes the next rest a rest again.
func (f *forwarder) wakeUp() {
	var count [8]byte
	_, _ = unix.Read(f.stop, count[:]) // somebody else cannot have read it: it is readable
}

// inspect finds out why the port signals an error: its interface was set down,
// or deleted.
func (f *forwarder) inspect() {
	if err := f.in.takeError(); err != nil {
		f.stats.state, f.downAt = StateDown, f.clock.at(time.Now())
	}
	if f.in.gone() {
		f.stats.state = StateGone
	}
}
