package relay

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

const sendBatch = 64

// sender sends frames in batches, one system call a batch.
type sender struct {
	fd       int
	messages [sendBatch]message
	parts    [sendBatch]unix.Iovec
	ideal    [sendBatch]emulation.Time // when each frame should leave
	buffers  [sendBatch][]byte
	n        int
}

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	header unix.Msghdr
	sent   uint32
}

func newSender(fd int) *sender {
	s := &sender{fd: fd}
	for i := range s.messages {
		s.messages[i].header.Iov = &s.parts[i]
		s.messages[i].header.SetIovlen(1)
	}
	return s
}

func (s *sender) full() bool { return s.n == sendBatch }

// add keeps buf until the batch is sent. The batch must not be full.
func (s *sender) add(buf []byte, ideal emulation.Time) {
	s.parts[s.n].Base = unsafe.SliceData(buf)
	s.parts[s.n].SetLen(len(buf))
	s.buffers[s.n] = buf
	s.ideal[s.n] = ideal
	s.n++
}

// sendFrom sends the batch from frame i on, and returns the index of the first
// frame that did not go. An error is about that frame.
func (s *sender) sendFrom(i int) (int, error) { return sendMessages(s.fd, s.messages[:s.n], i) }

// packets returns how many wire packets frame i is.
func (s *sender) packets(int) int { return 1 }

// sendMessages sends messages from i on, and returns the index of the first one
// that did not go. An error is about that one.
func sendMessages(fd int, messages []message, i int) (int, error) {
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[i])),
		uintptr(len(messages)-i), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return i, errno
	}
	return i + int(sent), nil
}

// A frame that the kernel has no room for is tried again for sendPatience, then
// counted as lost.
const (
	sendPatience = 20 * time.Millisecond
	sendPause    = 50 * time.Microsecond
)

// batch is frames to send: sender's or outbox's.
type batch interface {
	sendFrom(i int) (int, error)
	packets(i int) int
}

// push sends the n frames of a batch. One that the kernel has no room for is tried
// again; one that cannot be sent at all is counted, by its wire packets.
func (f *forwarder) push(b batch, n int) {
	var patience time.Duration
	for i := 0; i < n; {
		next, err := b.sendFrom(i)
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
			f.stats.cut += uint64(b.packets(i))
			i++
		default:
			f.stats.sendFailed += uint64(b.packets(i))
			f.stats.sendError, _ = errors.AsType[unix.Errno](err)
			if f.out.gone() {
				f.stats.state = StateGone
			}
			i++
		}
	}
}
