package driver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

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
	e.generation.Add(1)
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

// socketFor returns the socket to send from local with, nil when there is none: the
// one that is bound to it, else one that is bound to the port on all addresses.
func (e *Endpoint) socketFor(local netip.AddrPort) *udpio.Socket {
	e.mu.Lock()
	defer e.mu.Unlock()
	var wildcard *udpio.Socket
	for _, s := range e.sockets {
		a := s.LocalAddr()
		if a == local {
			return s
		}
		// A wildcard of IPv6 also has IPv4's addresses.
		if a.Addr().IsUnspecified() && a.Port() == local.Port() && (a.Addr().Is6() || local.Addr().Is4()) {
			wildcard = s
		}
	}
	return wildcard
}

// maxCached bounds a socketCache: no connection has more paths.
const maxCached = 16

// socketCache is the sockets that a connection sends with. A connection with several
// paths asks for another one with every train.
type socketCache struct {
	generation uint64 // of the endpoint's sockets
	found      []cachedSocket
}

type cachedSocket struct {
	local  netip.AddrPort
	socket *udpio.Socket // nil: there is none
}

// find returns the socket to send from local with, nil when there is none.
func (k *socketCache) find(e *Endpoint, local netip.AddrPort) *udpio.Socket {
	if g := e.generation.Load(); g != k.generation {
		k.generation = g
		k.drop()
	}
	for i := range k.found {
		if k.found[i].local == local {
			return k.found[i].socket
		}
	}
	if len(k.found) == maxCached {
		k.drop()
	}
	s := e.socketFor(local)
	k.found = append(k.found, cachedSocket{local, s})
	return s
}

func (k *socketCache) drop() {
	clear(k.found) // holds no socket that is gone
	k.found = k.found[:0]
}

// maxSegments is how long a train may be that leaves from any of the sockets.
func (k *socketCache) maxSegments() int {
	n := 0
	for i := range k.found {
		if s := k.found[i].socket; s != nil && (n == 0 || s.MaxSegments() < n) {
			n = s.MaxSegments()
		}
	}
	return max(n, 1)
}

// send writes a train. What goes wrong is as lost as on the way; a socket counts it.
func send(s *udpio.Socket, t *proto.Transmit) {
	if s != nil {
		_ = s.Write(udpio.Message{Data: t.Buf, Segment: t.Segment, Local: t.Local, Remote: t.Remote, ECN: t.ECN})
	}
}

// without removes a socket that nothing came of, and returns why.
func (e *Endpoint) without(local netip.AddrPort, why error) error {
	if err := e.RemoveSocket(local); err != nil {
		return errors.Join(why, err)
	}
	return why // by its type
}

// RemoveSocket closes the socket at local; the others go on. The endpoint's only one
// stays.
func (e *Endpoint) RemoveSocket(local netip.AddrPort) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.sockets, func(s *udpio.Socket) bool { return s.LocalAddr() == local })
	switch {
	case i < 0:
		return fmt.Errorf("remove socket: the endpoint has none at %v", local)
	case len(e.sockets) == 1:
		return fmt.Errorf("remove socket: %v is the endpoint's only one", local)
	}
	s := e.sockets[i]
	e.sockets = slices.Delete(e.sockets, i, i+1)
	e.generation.Add(1)
	return s.Close()
}
