package udpio

import (
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// sender is the scratch memory of one Write that runs, and its progress.
type sender struct {
	s    *Socket
	once func(fd uintptr)      // try, bound
	poll func(fd uintptr) bool // step, bound

	hdrs    []mmsghdr
	iovs    []unix.Iovec
	name    rawAddress
	zones   zoneCache
	control [controlRoom]byte
	// The control messages of a datagram, and how many bytes they are with UDP_SEGMENT
	// behind.
	plain, segmented int

	left     []byte // not yet sent
	segment  int
	gso      bool
	suspects bool // a train was refused: if its datagrams are not, GSO is to blame
	blocked  bool
	err      error
}

// sendBatch is how many datagrams one sendmmsg takes at most.
const sendBatch = 64

func newSender(s *Socket) *sender {
	w := &sender{s: s, hdrs: make([]mmsghdr, sendBatch), iovs: make([]unix.Iovec, sendBatch)}
	w.once, w.poll = w.try, w.step
	for i := range w.hdrs {
		h := &w.hdrs[i].hdr
		h.Name = &w.name[0]
		h.Iov = &w.iovs[i]
		h.SetIovlen(1)
	}
	return w
}

// Write sends a train (borrow). It waits while the socket's buffer is full. What the
// network or the kernel's memory refuses is counted and no error: it is as lost as a
// datagram on the way. Errors: ErrTooLarge; one that wraps net.ErrClosed; others are
// defects.
func (s *Socket) Write(m Message) error {
	if len(m.Data) == 0 {
		return nil
	}
	w := s.scratch()
	if !w.load(&m) {
		s.counters.dropped.Add(uint64(datagrams(len(m.Data), m.segment()))) // no way to such an address from here
		s.giveBack(w)
		return nil
	}
	// Control lets several goroutines into the kernel at once; RawConn.Write holds the
	// descriptor's write lock, which is needed only to wait.
	err := s.raw.Control(w.once)
	if err == nil && w.blocked {
		err = s.raw.Write(w.poll)
	}
	if err == nil {
		err = w.err
	}
	s.giveBack(w)
	return err
}

func (s *Socket) scratch() *sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		w := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return w
	}
	return newSender(s)
}

func (s *Socket) giveBack(w *sender) {
	w.left, w.err = nil, nil
	for i := range w.iovs {
		if w.iovs[i].Base == nil {
			break // the rest was not used
		}
		w.iovs[i].Base = nil // must not keep the caller's memory alive
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, w)
}

// load takes the message up. False: the socket's family has no such address.
func (w *sender) load(m *Message) bool {
	s := w.s
	w.left, w.segment = m.Data, m.segment()
	w.gso = s.gso.Load()
	w.suspects, w.blocked, w.err = false, false, nil
	remote := netip.AddrPortFrom(m.Remote.Addr().Unmap(), m.Remote.Port())
	namelen := w.name.put(remote, s.family, &w.zones)
	b := w.control[:0]
	if m.ECN != wire.NotECT {
		b = appendECN(b, m.ECN, remote.Addr())
	}
	if local := m.Local.Addr().Unmap(); s.features.PacketInfo && local.IsValid() && !local.IsUnspecified() {
		b = appendSource(b, local)
	}
	w.plain = len(b)
	w.segmented = len(appendSegment(b, w.segment))
	for i := range min(len(w.hdrs), datagrams(len(w.left), w.segment)) {
		h := &w.hdrs[i].hdr
		h.Namelen = namelen
		w.setControl(h, w.plain)
	}
	return namelen > 0
}

func (w *sender) setControl(h *unix.Msghdr, n int) {
	h.Control = nil
	if n > 0 {
		h.Control = &w.control[0]
	}
	h.SetControllen(n)
}

func (w *sender) try(fd uintptr) { w.blocked = !w.step(fd) }

// step sends what is left. It returns false to be called again when the socket's
// buffer has room.
func (w *sender) step(fd uintptr) bool {
	for len(w.left) > 0 {
		w.s.counters.sendCalls.Add(1)
		n, errno := w.send(fd)
		switch errno {
		case 0:
			w.sent(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			if !w.goOn(errno) {
				return true
			}
		}
	}
	return true
}

// send makes one system call and returns how many bytes of left it sent.
func (w *sender) send(fd uintptr) (int, unix.Errno) {
	switch {
	case len(w.left) <= w.segment:
		return w.sendMsg(fd, len(w.left), w.plain)
	case w.gso:
		n := min(len(w.left), maxSegments*w.segment, maxTrain/w.segment*w.segment)
		if n <= w.segment {
			return w.sendMsg(fd, w.segment, w.plain)
		}
		return w.sendMsg(fd, n, w.segmented)
	case w.s.sendMMsg.Load():
		return w.sendMMsg(fd)
	}
	return w.sendMsg(fd, w.segment, w.plain)
}

func (w *sender) sendMsg(fd uintptr, n, control int) (int, unix.Errno) {
	w.iovs[0].Base = &w.left[0]
	w.iovs[0].SetLen(n)
	h := &w.hdrs[0].hdr
	w.setControl(h, control)
	_, _, errno := unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT)
	return n, errno
}

func (w *sender) sendMMsg(fd uintptr) (int, unix.Errno) {
	w.setControl(&w.hdrs[0].hdr, w.plain)
	rest, count := w.left, 0
	for ; len(rest) > 0 && count < len(w.hdrs); count++ {
		n := min(w.segment, len(rest))
		w.iovs[count].Base = &rest[0]
		w.iovs[count].SetLen(n)
		rest = rest[n:]
	}
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&w.hdrs[0])), uintptr(count), unix.MSG_DONTWAIT, 0, 0)
	return min(int(sent)*w.segment, len(w.left)), errno
}

func (w *sender) sent(n int) {
	if w.suspects {
		// Its datagrams leave, the train did not.
		w.s.gso.Store(false)
		w.suspects = false
	}
	w.s.counters.sent(n, w.segment)
	w.left = w.left[n:]
}

// goOn decides what an error of a send means. It returns whether to try again in
// another way; if not, the rest of the train is lost.
func (w *sender) goOn(errno unix.Errno) bool {
	lost := &w.s.counters.dropped
	switch {
	case w.gso && len(w.left) > w.segment && blamesGSO(errno):
		w.gso, w.suspects = false, true
		return true
	case errno == unix.ENOSYS && w.s.sendMMsg.Load() && len(w.left) > w.segment:
		w.s.sendMMsg.Store(false)
		return true
	case errno == unix.EMSGSIZE:
		w.err = ErrTooLarge
		lost = &w.s.counters.tooLarge
	case errno == unix.EBADF || errno == unix.EFAULT || errno == unix.ENOTSOCK || errno == unix.ENOSYS || errno == unix.EDESTADDRREQ || errno == unix.EPIPE:
		w.err = os.NewSyscallError("send", errno)
	}
	// Else the network's: no buffer (ENOBUFS, ENOMEM), no route or an address that has
	// gone (ENETUNREACH, EHOSTUNREACH, ENETDOWN, EINVAL, EADDRNOTAVAIL), a firewall
	// (EPERM, EACCES), or what ICMP said earlier (ECONNREFUSED).
	lost.Add(uint64(datagrams(len(w.left), w.segment)))
	return false
}

// blamesGSO reports whether an error may come from UDP_SEGMENT. udp_send_skb in
// Linux's net/ipv4/udp.c returns EIO when IPsec is in the way or, in older kernels,
// the device does no checksums; EINVAL when the socket has checksums off and, in
// older kernels, when a segment is larger than the MTU, where the datagrams tell
// next. A device that cannot do what it promised gives EOPNOTSUPP.
func blamesGSO(errno unix.Errno) bool {
	return errno == unix.EIO || errno == unix.EINVAL || errno == unix.EOPNOTSUPP
}
