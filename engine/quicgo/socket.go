package quicgo

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/quic-go/quic-go"
	"golang.org/x/sys/unix"
)

// socketBuffer is asked for in both directions: quic-go itself asks for 7 MB.
const socketBuffer = 8 << 20

// socket is a UDP socket with quic-go's transport on it. A listener and the
// sessions that it accepted share one, so it counts its users.
type socket struct {
	udp       *net.UDPConn
	transport *quic.Transport

	mu   sync.Mutex
	refs int
}

// openSocket binds a socket to the local address. Its caller is the first user.
func openSocket(ctx context.Context, local netip.AddrPort) (*socket, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { enlarge(int(fd)) })
	}}
	pc, err := lc.ListenPacket(ctx, "udp", local.String())
	if err != nil {
		return nil, fmt.Errorf("bind UDP socket: %w", err)
	}
	udp := pc.(*net.UDPConn)
	return &socket{udp: udp, transport: &quic.Transport{Conn: udp}, refs: 1}, nil
}

// enlarge sets both buffers, past the sysctl limit where the process may. Failing
// is no error: quic-go tries again and warns about what it got.
func enlarge(fd int) {
	for _, opt := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt[0], socketBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt[1], socketBuffer)
		}
	}
}

// local returns the address with the port that the kernel gave.
func (s *socket) local() netip.AddrPort {
	a := s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// acquire adds a user.
func (s *socket) acquire() *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs++
	return s
}

// release takes a user away. The last one closes the socket.
func (s *socket) release() error {
	s.mu.Lock()
	s.refs--
	last := s.refs == 0
	s.mu.Unlock()
	if !last {
		return nil
	}
	err := s.transport.Close()
	if cerr := s.udp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("close UDP socket: %w", err)
	}
	return nil
}
