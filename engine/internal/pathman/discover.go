package pathman

import (
	"net/netip"
	"slices"
)

// discover makes the slots fit the addresses: one for each interface that has an
// address of the server's family. A path whose address went and that is the connection's
// last has none: its interface may have another address by now.
func (m *Manager) discover(live []Path) {
	remote := m.config.Discover
	m.slots = slices.DeleteFunc(m.slots, func(s slot) bool { return find(m.addresses, s.pair.Local.Addr()) == nil })
	for _, a := range m.addresses {
		if !a.suits(remote) || slices.ContainsFunc(m.slots, func(s slot) bool { return s.pair.Device == a.Link }) {
			continue
		}
		// A path that is there already says which of the interface's addresses it is.
		at := slices.IndexFunc(live, func(p Path) bool {
			have := find(m.addresses, p.Local.Addr())
			return p.Remote == remote && have != nil && have.Link == a.Link
		})
		local := a.Addr
		if at >= 0 {
			local = live[at].Local.Addr()
		}
		m.slots = append(m.slots, slot{pair: Pair{Local: netip.AddrPortFrom(local, 0), Remote: remote, Device: a.Link}})
	}
	m.see(live)
}

// suits reports whether a path to remote may begin at the address.
func (a *Address) suits(remote netip.AddrPort) bool {
	return a.Up && a.Global && a.Addr.Is4() == remote.Addr().Is4() && a.Addr != remote.Addr()
}
