package calibrate

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// End is one end of a probe: a UDP socket that is bound to an address and talks to
// another.
type End struct {
	fd      int
	segment int // UDP_SEGMENT of the socket
}

const (
	receiveBuffer = 32 << 20
	// receivePatience is how long a receiver blocks before it looks whether the probe is
	// over.
	receivePatience = 50 * time.Millisecond
)

// Listen opens an end in the calling thread's network namespace, with a port that the
// kernel chooses. It talks to nobody yet.
func Listen(local netip.Addr) (*End, error) {
	family := unix.AF_INET
	if local.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open probe's socket: %w", err)
	}
	e := &End{fd: fd}
	if err := e.setUp(family, local); err != nil {
		return nil, errors.Join(fmt.Errorf("open probe's socket on %s: %w", local, err), e.Close())
	}
	return e, nil
}

func (e *End) setUp(family int, local netip.Addr) error {
	level, option, probe := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
	if family == unix.AF_INET6 {
		level, option, probe = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
	}
	patience := unix.NsecToTimeval(int64(receivePatience))
	return errors.Join(
		// Packets leave whole, whatever the kernel has learnt of the path's MTU.
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(e.fd, level, option, probe)),
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)),
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)),
		os.NewSyscallError("setsockopt", unix.SetsockoptInt(e.fd, unix.SOL_UDP, unix.UDP_GRO, 1)),
		os.NewSyscallError("setsockopt", e.enlarge()),
		os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(e.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience)),
		os.NewSyscallError("bind", unix.Bind(e.fd, sockaddr(netip.AddrPortFrom(local, 0)))),
	)
}

// enlarge asks for room beyond net.core.rmem_max, which root may.
func (e *End) enlarge() error {
	if err := unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err == nil {
		return nil
	}
	return unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
}

// cut has the kernel cut what is sent next into n packets of that much payload.
func (e *End) cut(n, payload int) error {
	if n == 1 {
		payload = 0
	}
	if payload == e.segment {
		return nil
	}
	e.segment = payload
	if err := unix.SetsockoptInt(e.fd, unix.SOL_UDP, unix.UDP_SEGMENT, payload); err != nil {
		return fmt.Errorf("have the kernel cut probes: %w", err)
	}
	return nil
}

// Connect joins two ends. Neither hears anybody else then.
func Connect(a, b *End) error {
	for _, pair := range [][2]*End{{a, b}, {b, a}} {
		addr, err := unix.Getsockname(pair[1].fd)
		if err != nil {
			return fmt.Errorf("connect the probe's ends: %w", err)
		}
		if err := unix.Connect(pair[0].fd, addr); err != nil {
			return fmt.Errorf("connect the probe's ends: %w", err)
		}
	}
	return nil
}

// Close closes the socket. It must not be in use.
func (e *End) Close() error { return unix.Close(e.fd) }

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
