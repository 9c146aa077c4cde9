package pathman

import "net/netip"

// Address is an address of this machine.
type Address struct {
	Addr netip.Addr // without zone
	Link string     // name of its interface
	// Up: the interface is up and has a carrier, and the address is no duplicate of
	// another machine's.
	Up bool
	// Global: it is of global scope and to be preferred for new connections.
	Global bool
}

// find returns the address, nil when the machine does not have it. When several
// interfaces have it, one that is up comes first.
func find(addresses []Address, a netip.Addr) *Address {
	a = a.Unmap().WithZone("")
	var found *Address
	for i := range addresses {
		if have := &addresses[i]; have.Addr == a && (found == nil || have.Up) {
			found = have
			if have.Up {
				break
			}
		}
	}
	return found
}
