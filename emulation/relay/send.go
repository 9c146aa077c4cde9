package relay

import (
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
func (s *sender) sendFrom(i int) (int, error) {
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[i])),
		uintptr(s.n-i), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return i, errno
	}
	return i + int(sent), nil
}
