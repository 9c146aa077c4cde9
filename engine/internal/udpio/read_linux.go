package udpio

import (
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
)

// mmsghdr is struct mmsghdr of recvmmsg(2). A single message uses its hdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32 // bytes received or sent
}

// recvSlots is how many datagrams one recvmmsg takes at most, slotSize how much room
// each has at first.
const (
	recvSlots = 32
	slotSize  = 2 << 10
)

// message is what the kernel writes one datagram or train to.
type message struct {
	iov     unix.Iovec
	name    rawAddress
	control [controlRoom]byte
}

// reader is the state of Read. Headers, closures and buffers are made once, so that
// a call allocates nothing.
type reader struct {
	s     *Socket
	poll  func(fd uintptr) bool // receive, bound
	arena arena
	zones zoneCache
	slot  int // bytes of room for each datagram of a recvmmsg
	mmsg  bool

	hdrs     []mmsghdr
	messages []message

	// Of the Read that runs.
	into []Received
	pool *buf.Pool
	n    int
	err  error
}

func (r *reader) init(s *Socket) {
	r.s, r.poll, r.slot = s, r.receive, slotSize
	r.mmsg = s.features.RecvMMsg && !s.features.GRO
	n := 1
	if r.mmsg {
		n = recvSlots
	}
	r.hdrs, r.messages = make([]mmsghdr, n), make([]message, n)
	for i := range r.hdrs {
		h, m := &r.hdrs[i].hdr, &r.messages[i]
		h.Name = &m.name[0]
		h.Iov = &m.iov
		h.SetIovlen(1)
		h.Control = &m.control[0]
	}
}

// Read waits for datagrams, fills into from its front and returns how many trains it
// has: at least one. Each comes with a count of its Buffer (give). The buffers are
// pool's, of 64 KiB at least; 128 KiB are well used. Only one goroutine may call it.
func (s *Socket) Read(into []Received, pool *buf.Pool) (int, error) {
	r := &s.reader
	if pool.Size() < maxDatagram {
		return 0, errSmallPool
	}
	r.into, r.pool, r.n, r.err = into, pool, 0, nil
	err := s.raw.Read(r.poll)
	r.into, r.pool = nil, nil
	if err != nil {
		r.arena.release()
		return 0, err
	}
	if r.n > 0 {
		return r.n, nil
	}
	return 0, r.err
}

// maxPending bounds how many errors in a row are taken for messages of ICMP.
const maxPending = 64

// receive takes what there is. It returns false to be called again when the socket
// has something.
func (r *reader) receive(fd uintptr) bool {
	for failed := 0; r.n < len(r.into); {
		switch errno := r.call(fd); {
		case errno == 0 && r.mmsg && r.n > 0:
			return true // all that there was, or all that fits
		case errno == 0 || errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return r.n > 0
		case errno == unix.ENOSYS && r.mmsg:
			r.mmsg = false
		case failed < maxPending && !broken(errno):
			// What ICMP said about something that was sent. Anybody can say such things, and
			// telling it has cleared it.
			failed++
		default:
			r.err = os.NewSyscallError("receive", errno)
			return true
		}
	}
	return true
}

func (r *reader) call(fd uintptr) unix.Errno {
	if r.mmsg {
		return r.recvMMsg(fd)
	}
	return r.recvMsg(fd)
}

// broken reports whether an error is about the call itself, not about the network.
func broken(errno unix.Errno) bool {
	switch errno {
	case unix.EBADF, unix.EFAULT, unix.ENOTSOCK, unix.EINVAL, unix.ENOSYS:
		return true
	}
	return false
}

// recvMsg takes one datagram, or one train of GRO.
func (r *reader) recvMsg(fd uintptr) unix.Errno {
	room := r.arena.reserve(r.pool, maxDatagram)[:maxDatagram]
	r.prepare(0, room)
	n, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&r.hdrs[0].hdr)), unix.MSG_DONTWAIT)
	if errno == 0 && r.take(0, room, int(n)) {
		r.arena.advance(int(n))
	}
	return errno
}

// recvMMsg takes a datagram per slot.
func (r *reader) recvMMsg(fd uintptr) unix.Errno {
	slot := r.slot
	room := r.arena.reserve(r.pool, slot)
	count := min(len(r.into)-r.n, len(room)/slot, len(r.hdrs))
	for i := range count {
		r.prepare(i, room[i*slot:][:slot])
	}
	// MSG_TRUNC: tell how long a datagram is that is cut off.
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.hdrs[0])), uintptr(count), unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	if errno != 0 {
		return errno
	}
	used := 0
	for i := range int(n) {
		size := int(r.hdrs[i].n)
		if r.take(i, room[i*slot:][:slot], size) {
			used = i*slot + size
		}
	}
	r.arena.advance(used)
	return 0
}

// prepare points header i to room.
func (r *reader) prepare(i int, room []byte) {
	h, m := &r.hdrs[i].hdr, &r.messages[i]
	m.iov.Base = &room[0]
	m.iov.SetLen(len(room))
	h.Namelen = uint32(len(m.name))
	h.SetControllen(len(m.control))
	h.Flags = 0
}

// take adds what header i received, n bytes, to the result. It reports whether it
// did: not for an empty datagram, nor for one that was cut off, which makes the
// slots grow.
func (r *reader) take(i int, room []byte, n int) bool {
	h, m := &r.hdrs[i].hdr, &r.messages[i]
	if n > len(room) || h.Flags&unix.MSG_TRUNC != 0 {
		r.s.counters.truncated.Add(1)
		for r.slot < min(n, maxDatagram) {
			r.slot *= 2
		}
		return false
	}
	if n == 0 {
		return false
	}
	c := parseControl(m.control[:min(int(h.Controllen), len(m.control))])
	in := &r.into[r.n]
	*in = Received{Data: room[:n:n], Segment: n, Local: r.s.local, Remote: m.name.parse(&r.zones), ECN: c.ecn, Buffer: r.arena.retain()}
	if c.segment > 0 {
		in.Segment = min(c.segment, n)
	}
	if c.local.IsValid() {
		in.Local = netip.AddrPortFrom(c.local, r.s.local.Port())
	}
	r.s.counters.received(in)
	r.n++
	return true
}
