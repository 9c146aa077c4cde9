package driver

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/udpio"
)

// AddSocket gives the endpoint another socket (give, also when it fails), and returns
// its address.
func (e *Endpoint) AddSocket(conn *net.UDPConn) (netip.AddrPort, error) {
	s, err := udpio.New(conn, e.config.Socket)
	if err != nil {
		return netip.AddrPort{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		_ = s.Close() // the endpoint's end is the news
		return netip.AddrPort{}, errEndpointClosed()
	}
	e.sockets = append(e.sockets, s)
	e.tasks.Go(newReader(e, s).run)
	return s.LocalAddr(), nil
}

// Sockets returns what each socket is and did.
func (e *Endpoint) Sockets() []SocketStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []SocketStats
	for _, s := range e.sockets {
		out = append(out, SocketStats{Local: s.LocalAddr(), Features: s.Features(), Counters: s.Counters()})
	}
	return out
}

// SocketStats is one socket's part of an endpoint's statistics.
type SocketStats struct {
	Local    netip.AddrPort
	Features udpio.Features
	Counters udpio.Counters
}

// localFor returns the address that datagrams to remote should leave from: the first
// socket's of the right family. On a wildcard socket that tells where datagrams
// arrive, it is the one that the routes choose now, so that it is the same for all
// of the connection.
func (e *Endpoint) localFor(remote netip.AddrPort) (netip.AddrPort, error) {
	e.mu.Lock()
	var s *udpio.Socket
	for _, have := range e.sockets {
		a := have.LocalAddr().Addr()
		if s == nil && (a.Is6() == remote.Addr().Is6() || a == netip.IPv6Unspecified()) {
			s = have
		}
	}
	e.mu.Unlock()
	if s == nil {
		return netip.AddrPort{}, fmt.Errorf("no socket for %v", remote)
	}
	local := s.LocalAddr()
	if !s.Features().PacketInfo {
		return local, nil
	}
	from, err := routeTo(remote)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(from, local.Port()), nil
}

// routeTo asks the kernel which address it would use to reach remote. Nothing is
// sent.
func routeTo(remote netip.AddrPort) (netip.Addr, error) {
	probe, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find a route to %v: %w", remote.Addr(), err)
	}
	defer probe.Close()
	return probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// socketFor returns the socket to send from local with, nil when there is none.
func (e *Endpoint) socketFor(local netip.AddrPort) *udpio.Socket {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sockets {
		if a := s.LocalAddr(); a == local || (a.Addr().IsUnspecified() && a.Port() == local.Port()) {
			return s
		}
	}
	return nil
}

// send writes a train. What goes wrong is as lost as on the way; a socket counts it.
func send(s *udpio.Socket, t *proto.Transmit) {
	if s != nil {
		_ = s.Write(udpio.Message{Data: t.Buf, Segment: t.Segment, Local: t.Local, Remote: t.Remote, ECN: t.ECN})
	}
}

// RemoveSocket closes the socket at local, which must not be the endpoint's only one.
func (e *Endpoint) RemoveSocket(local netip.AddrPort) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, s := range e.sockets {
		if i > 0 && s.LocalAddr() == local {
			e.sockets = append(e.sockets[:i:i], e.sockets[i+1:]...)
			return s.Close()
		}
	}
	return nil
}
