package simnet

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// Rebinding is a NAT that from a time on gives its flows other addresses. What is
// sent to the former ones is dropped. Each Rebinding stands by itself: it shifts the
// sender's own ports, not those of the one before it.
type Rebinding struct {
	At    clock.Time
	Ports uint16 // how far the source port moves, modulo 65535, never to port 0
	// Address is the source address of whatever has its family; the zero Addr: it stays.
	// A sender with several of that family is reached at its first.
	Address netip.Addr
}

// nat is the rebindings of one direction's sender, by their time.
type nat []Rebinding

func newNAT(rs []Rebinding) nat {
	return slices.SortedFunc(slices.Values(rs), func(a, b Rebinding) int { return cmp.Compare(a.At, b.At) })
}

// at returns the rebinding in force; false when there is none yet.
func (n nat) at(now clock.Time) (Rebinding, bool) {
	for i := range slices.Backward(n) {
		if n[i].At <= now {
			return n[i], true
		}
	}
	return Rebinding{}, false
}

// outside returns what a source address becomes.
func (n nat) outside(now clock.Time, inside netip.AddrPort) netip.AddrPort {
	r, ok := n.at(now)
	if !ok {
		return inside
	}
	addr := inside.Addr()
	if r.moves(addr) {
		addr = r.Address
	}
	return netip.AddrPortFrom(addr, shift(inside.Port(), int(r.Ports)))
}

// inside returns which of its own addresses a node is meant by; false when the
// address is not, or no longer, the node's.
func (n nat) inside(now clock.Time, outside netip.AddrPort, own []netip.Addr) (netip.AddrPort, bool) {
	addr := outside.Addr()
	r, ok := n.at(now)
	if !ok {
		return outside, slices.Contains(own, addr)
	}
	i := slices.Index(own, addr)
	if r.moves(addr) {
		i = -1
		if addr == r.Address {
			i = slices.IndexFunc(own, r.moves)
		}
	}
	if i < 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(own[i], shift(outside.Port(), -int(r.Ports))), true
}

// moves reports whether the rebinding gives addr another address.
func (r Rebinding) moves(addr netip.Addr) bool {
	return r.Address.IsValid() && r.Address.Is4() == addr.Is4()
}

// shift moves a port by so many, within 1 to 65535.
func shift(port uint16, by int) uint16 {
	const ports = 65535
	return uint16((int(port)-1+by%ports+ports)%ports) + 1
}
