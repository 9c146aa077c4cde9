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
	At      clock.Time
	Ports   uint16     // how far the source port moves, modulo 65535, never to port 0
	Address netip.Addr // the source address of whatever has its family; the zero Addr: it stays
}

// nat is the rebindings of one direction's sender, by their time, and the sender's
// addresses that have sent something. The zero value does nothing.
type nat struct {
	rebindings []Rebinding
	flows      []netip.AddrPort
}

func newNAT(rs []Rebinding) nat {
	return nat{rebindings: slices.SortedStableFunc(slices.Values(rs), func(a, b Rebinding) int { return cmp.Compare(a.At, b.At) })}
}

// at returns the rebinding in force; false when there is none yet.
func (n *nat) at(now clock.Time) (Rebinding, bool) {
	for _, r := range slices.Backward(n.rebindings) {
		if r.At <= now {
			return r, true
		}
	}
	return Rebinding{}, false
}

// outside returns what a source address becomes.
func (n *nat) outside(now clock.Time, inside netip.AddrPort) netip.AddrPort {
	if len(n.rebindings) == 0 {
		return inside
	}
	if !slices.Contains(n.flows, inside) {
		n.flows = append(n.flows, inside)
	}
	if r, ok := n.at(now); ok {
		return r.apply(inside)
	}
	return inside
}

// inside returns which of its addresses the node is meant by; false when to is not,
// or no longer, an address of its.
func (n *nat) inside(now clock.Time, to netip.AddrPort) (netip.AddrPort, bool) {
	r, ok := n.at(now)
	if !ok {
		return to, true
	}
	for _, inside := range n.flows {
		if r.apply(inside) == to {
			return inside, true
		}
	}
	return netip.AddrPort{}, false
}

func (r Rebinding) apply(a netip.AddrPort) netip.AddrPort {
	addr := a.Addr()
	if r.Address.IsValid() && r.Address.Is4() == addr.Is4() {
		addr = r.Address
	}
	const ports = 65535
	return netip.AddrPortFrom(addr, uint16((int(a.Port())-1+int(r.Ports))%ports)+1)
}
