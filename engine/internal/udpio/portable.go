//go:build !linux

package udpio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
)

// Socket is a UDP socket. One goroutine may Read; Write, Close and the rest are safe
// for concurrent use.
type Socket struct {
	conn     *net.UDPConn
	local    netip.AddrPort
	features Features
	arena    arena
	counters counters
}

// New sets a socket up for trains. It takes conn over, also when it fails (give).
func New(conn *net.UDPConn, c Config) (*Socket, error) {
	a, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, fmt.Errorf("set up UDP socket: %w", net.ErrClosed)
	}
	s := &Socket{conn: conn, local: netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())}
	s.features.ReadBuffer = enlarge(c.ReadBuffer, conn.SetReadBuffer)
	s.features.WriteBuffer = enlarge(c.WriteBuffer, conn.SetWriteBuffer)
	return s, nil
}

// enlarge asks for less and less until the system agrees, and returns what it got.
func enlarge(want int, set func(int) error) int {
	if want <= 0 {
		want = defaultBuffer
	}
	for ; want > 64<<10; want /= 2 {
		if set(want) == nil {
			return want
		}
	}
	return 0
}

// Features returns what the socket can do.
func (s *Socket) Features() Features { return s.features }

// MaxSegments returns how many datagrams a train should have at most.
func (s *Socket) MaxSegments() int { return 1 }

// LocalAddr returns the address that the socket is bound to.
func (s *Socket) LocalAddr() netip.AddrPort { return s.local }

// Close closes the socket. Read and Write return errors that wrap net.ErrClosed.
func (s *Socket) Close() error { return s.conn.Close() }

// Counters returns what the socket did so far.
func (s *Socket) Counters() Counters { return s.counters.snapshot() }

// Read waits for a datagram and returns it in into's first element, with a count of
// its Buffer (give). The buffers are pool's, of 64 KiB at least; 128 KiB are well
// used. Only one goroutine may call it.
func (s *Socket) Read(into []Received, pool *buf.Pool) (int, error) {
	if pool.Size() < maxDatagram {
		return 0, errSmallPool
	}
	for len(into) > 0 {
		room := s.arena.reserve(pool, maxDatagram)[:maxDatagram]
		n, remote, err := s.conn.ReadFromUDPAddrPort(room)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				s.arena.release()
			}
			return 0, err
		}
		if n == 0 {
			continue // an empty datagram is nobody's
		}
		remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
		into[0] = Received{Data: room[:n:n], Segment: n, Local: s.local, Remote: remote, Buffer: s.arena.retain()}
		s.arena.advance(n)
		s.counters.received(&into[0])
		return 1, nil
	}
	return 0, nil
}

// Write sends a train (borrow), one datagram at a time. What the network refuses is
// counted and no error. Errors: one that wraps net.ErrClosed.
func (s *Socket) Write(m Message) error {
	segment := m.segment()
	for rest := m.Data; len(rest) > 0; {
		n := min(segment, len(rest))
		s.counters.sendCalls.Add(1)
		if _, err := s.conn.WriteToUDPAddrPort(rest[:n], m.Remote); err == nil {
			s.counters.sent(n, n)
		} else {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.counters.dropped.Add(1)
		}
		rest = rest[n:]
	}
	return nil
}
