package relay

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

// A frame that the kernel has no room for is tried again for sendPatience, then
// counted as lost.
const (
	sendPatience = 20 * time.Millisecond
	sendPause    = 50 * time.Microsecond
)

// depart sends every packet that is due.
func (f *forwarder) depart(now emulation.Time) {
	for {
		p, ideal, ok := f.model.Dequeue(now)
		if buf := f.finish(p); ok && buf != nil {
			f.sender.add(buf, ideal)
		}
		if f.sender.full() || !ok {
			f.flush()
		}
		if !ok {
			f.reclaim()
			return
		}
	}
}

// finish does to a departing frame what the model says, and returns its bytes:
// their own, even if another frame shares them. Nil when there is no memory.
func (f *forwarder) finish(p emulation.Packet) []byte {
	buf := p.Data
	if p.Marks&emulation.Shared != 0 {
		if buf = f.pool.take(len(p.Data)); buf == nil {
			f.stats.noMemory++
			return nil
		}
		copy(buf, p.Data)
	}
	if p.Marks&emulation.Corrupted != 0 {
		flip(buf, p.Flip)
	}
	if p.ECN == emulation.CE {
		setCE(buf)
	}
	return buf
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
		case err == unix.ENETDOWN:
			// The link was cut with this frame on its way: the path's doing.
			f.stats.cut++
			i++
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
