package udpio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is a UDP socket. One goroutine may Read; Write, Close and the rest are safe
// for concurrent use.
type Socket struct {
	conn     *net.UDPConn
	raw      syscall.RawConn
	local    netip.AddrPort
	family   int  // unix.AF_INET or unix.AF_INET6
	wildcard bool // bound to no address

	features Features // as probed; gso and mmsg say what is left of it
	gso      atomic.Bool
	sendMMsg atomic.Bool

	reader   reader
	counters counters

	mu   sync.Mutex
	idle []*sender // scratch memory, one for each Write that runs
}

// New sets a socket up for trains. It takes conn over, also when it fails (give).
func New(conn *net.UDPConn, c Config) (*Socket, error) {
	s := &Socket{conn: conn}
	if err := s.open(c); err != nil {
		return nil, errors.Join(fmt.Errorf("set up UDP socket %v: %w", conn.LocalAddr(), err), conn.Close())
	}
	return s, nil
}

func (s *Socket) open(c Config) error {
	a, ok := s.conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return net.ErrClosed
	}
	s.local = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	s.wildcard = s.local.Addr().IsUnspecified()
	var err error
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		return err
	}
	cerr := s.raw.Control(func(fd uintptr) { err = s.configure(int(fd), c) })
	if err = errors.Join(cerr, err); err != nil {
		return err
	}
	s.gso.Store(s.features.GSO)
	s.sendMMsg.Store(s.features.SendMMsg)
	s.reader.init(s)
	return nil
}

// configure probes and sets the socket's options. Only what makes wrong bytes or
// wrong answers likely is an error; what is missing is a feature less.
func (s *Socket) configure(fd int, c Config) error {
	var err error
	if s.family, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
		return os.NewSyscallError("getsockopt SO_DOMAIN", err)
	}
	if err := s.forbidFragments(fd); err != nil {
		return err
	}
	off := c.Disable
	f := &s.features
	// The system calls are older (2.6.33, 3.0) than any kernel that Go runs on, but a
	// seccomp filter may know better: ENOSYS turns them off when it comes.
	f.SendMMsg, f.RecvMMsg = !off.SendMMsg, !off.RecvMMsg
	f.ECN = !off.ECN && s.eitherFamily(fd, unix.IP_RECVTOS, unix.IPV6_RECVTCLASS) == nil
	f.PacketInfo = s.wildcard && !off.PacketInfo && s.eitherFamily(fd, unix.IP_PKTINFO, unix.IPV6_RECVPKTINFO) == nil
	knowsGRO := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, toInt(!off.GRO)) == nil
	f.GRO = knowsGRO && !off.GRO
	// UDP_SEGMENT came with Linux 4.18, UDP_GRO with 5.0. A kernel without the second
	// has a first version of the first, and RHEL 8.1's crashed on it.
	_, err = unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	f.GSO = knowsGRO && !off.GSO && err == nil
	f.ReadBuffer = enlarge(fd, c.ReadBuffer, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE)
	f.WriteBuffer = enlarge(fd, c.WriteBuffer, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE)
	return nil
}

// forbidFragments sets DF and makes the kernel ignore what ICMP told it about the
// path's MTU. A datagram larger than the interface's fails with EMSGSIZE.
//
// RFC 9000, section 14: UDP datagrams MUST NOT be fragmented at the IP layer; in
// IPv4, the DF bit MUST be set if possible.
func (s *Socket) forbidFragments(fd int) error {
	if s.family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE); err != nil {
			return os.NewSyscallError("setsockopt IPV6_MTU_DISCOVER", err)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1); err != nil {
			return os.NewSyscallError("setsockopt IPV6_DONTFRAG", err)
		}
	}
	err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	if s.family == unix.AF_INET6 {
		return nil // no IPv4 in this socket, then
	}
	return os.NewSyscallError("setsockopt IP_MTU_DISCOVER", err)
}

// eitherFamily switches an option on: for IPv4, which a dual-stack socket has too,
// and for IPv6. The error is that of the socket's own family.
func (s *Socket) eitherFamily(fd, v4, v6 int) error {
	err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, v4, 1)
	if s.family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, v6, 1)
	}
	return err
}

// enlarge makes a kernel buffer hold want bytes, past the sysctl limit where the
// process may (CAP_NET_ADMIN), and returns what it holds. The kernel doubles what it
// is asked for, for its overhead, and tells the double (socket(7)).
func enlarge(fd, want, option, force int) int {
	if want <= 0 {
		want = defaultBuffer
	}
	got := func() int {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
		if err != nil {
			return 0
		}
		return n / 2
	}
	if n := got(); n >= want {
		return n
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, want) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, want) // got tells how far it went
	}
	return got()
}

func toInt(on bool) int {
	if on {
		return 1
	}
	return 0
}

// Features returns what the socket can do now: sending can find that GSO does not
// work after all.
func (s *Socket) Features() Features {
	f := s.features
	f.GSO, f.SendMMsg = s.gso.Load(), s.sendMMsg.Load()
	return f
}

// MaxSegments returns how many datagrams a train should have at most.
func (s *Socket) MaxSegments() int {
	switch {
	case s.gso.Load():
		return maxSegments
	case s.sendMMsg.Load():
		return mmsgSegments
	}
	return 1
}

// LocalAddr returns the address that the socket is bound to.
func (s *Socket) LocalAddr() netip.AddrPort { return s.local }

// Close closes the socket. Read and Write return errors that wrap net.ErrClosed.
func (s *Socket) Close() error { return s.conn.Close() }

// Counters returns what the socket did so far.
func (s *Socket) Counters() Counters {
	c := s.counters.snapshot()
	_ = s.raw.Control(func(fd uintptr) { c.OverflowDatagrams = overflows(fd) }) // closed: 0
	return c
}

// overflows asks the kernel how many datagrams found the receive buffer full.
func overflows(fd uintptr) uint64 {
	var info [unix.SK_MEMINFO_VARS * 4]byte
	n := uint32(len(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	const drops = unix.SK_MEMINFO_DROPS * 4
	if errno != 0 || n < drops+4 {
		return 0
	}
	return uint64(binary.NativeEndian.Uint32(info[drops:]))
}
