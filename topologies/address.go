package topologies

import (
	"fmt"
	"net/netip"
)

// family is an address family, as an index into a link's addresses.
type family int

const (
	ipv4 family = iota
	ipv6
	families
)

func (f family) String() string { return [...]string{"IPv4", "IPv6"}[f] }

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return ipv4
	}
	return ipv6
}

// defaultPrefix returns the address of an endpoint (0 or 1) of the link at
// index i (from 0, below maxLinks) where the file sets none:
//
//	10.77.i.1/24          and 10.77.i.2/24           (RFC 1918)
//	fd74:7171:0:i::1/64   and fd74:7171:0:i::2/64    (i in hexadecimal; RFC 4193)
//
// RFC 4193 wants the 40 bits after fd drawn at random. Here they are fixed, so
// that the same file gives the same addresses everywhere: no lab is ever
// connected to another site. 7471 71 is "tqq" in ASCII.
func defaultPrefix(f family, i, end int) netip.Prefix {
	if f == ipv4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(i), byte(end + 1)}), 24)
	}
	a := [16]byte{0: 0xfd, 1: 0x74, 2: 0x71, 3: 0x71, 6: byte(i >> 8), 7: byte(i), 15: byte(end + 1)}
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

// subnet is the network of one family of one link.
type subnet struct {
	prefix netip.Prefix // masked
	link   string
	set    bool  // by the file, at the place
	at     place // of the first endpoint's prefix
}

// addresses fills in the addresses of the link at index i and returns its
// subnets, for the check against other links.
func (d *decoder) addresses(i int, l *fileLink, carries Family, endpoints [2]string) ([2][]netip.Prefix, []subnet) {
	given := d.givenAddresses(l, carries, endpoints)
	var out [2][]netip.Prefix
	var subnets []subnet
	for f := range families {
		a, b := given[0][f], given[1][f]
		s := subnet{link: l.name.value}
		switch {
		case !carries.has(f):
			continue
		case a.state == absent && b.state == absent:
			a.value, b.value = defaultPrefix(f, i, 0), defaultPrefix(f, i, 1)
			s.at = l.name.place
		case a.state == bad || b.state == bad:
			continue
		case a.state == absent || b.state == absent:
			have, lack := endpoints[0], endpoints[1]
			if a.state == absent {
				have, lack, a = lack, have, b
			}
			d.problem(a.place, Problem{Text: fmt.Sprintf("%s has an %v address here and %s has none", have, f, lack), Expected: "both ends or neither to set a family"})
			continue
		case !d.pair(a, b):
			continue
		default:
			s.set, s.at = true, a.place
		}
		s.prefix = a.value.Masked()
		out[0], out[1] = append(out[0], a.value), append(out[1], b.value)
		subnets = append(subnets, s)
	}
	return out, subnets
}

// givenAddresses returns what the file sets, by endpoint and family.
func (d *decoder) givenAddresses(l *fileLink, carries Family, endpoints [2]string) (given [2][families]field[netip.Prefix]) {
	for _, end := range l.addresses.value {
		i := -1
		for j, name := range endpoints {
			if end.name == name {
				i = j
			}
		}
		if i < 0 {
			d.problem(end.node, Problem{
				Text:     fmt.Sprintf("node %s is no endpoint of this link", quote(end.name)),
				Expected: endpoints[0] + " or " + endpoints[1],
				Nearest:  nearestOne(end.name, endpoints[:]),
			})
			continue
		}
		for _, p := range end.prefixes.value {
			if p.state != good {
				// Which family was meant is not known: say nothing about either.
				given[i][ipv4].state, given[i][ipv6].state = bad, bad
				continue
			}
			f := familyOf(p.value.Addr())
			if !carries.has(f) {
				d.problem(p.place, Problem{Text: fmt.Sprintf("an %v address on a link with family: %s", f, carries), Expected: "addresses of that family alone"})
				continue
			}
			if before := given[i][f]; before.state != absent {
				if before.state == good {
					d.problem(p.place, Problem{Text: fmt.Sprintf("a second %v address", f), Expected: "at most one of each family"})
				}
				given[i][f].state = bad
				continue
			}
			if text, expected := unusable(p.value); text != "" {
				d.problem(p.place, Problem{Text: p.value.String() + " " + text, Expected: expected})
				p.state = bad
			}
			given[i][f] = p
		}
	}
	return given
}

// pair checks that two usable addresses can talk over one link.
func (d *decoder) pair(a, b field[netip.Prefix]) bool {
	switch {
	case a.value.Addr() == b.value.Addr():
		d.problem(b.place, Problem{Text: fmt.Sprintf("%v is the other end's address too", b.value.Addr()), Expected: "two addresses"})
	case a.value.Masked() != b.value.Masked():
		d.problem(b.place, Problem{
			Text:     fmt.Sprintf("%v is not in the other end's network", b.value),
			Expected: fmt.Sprintf("an address in %v", a.value.Masked()),
		})
	default:
		return true
	}
	return false
}

// unusable says why an interface cannot bear p, and what it can bear; or nothing.
func unusable(p netip.Prefix) (text, expected string) {
	a, bits := p.Addr(), p.Bits()
	const unicast = "a unicast address such as 10.9.0.1/24 or fd00:9::1/64"
	shortest, longest := 8, 31 // RFC 3021: both addresses of a /31 are hosts
	if a.Is6() {
		shortest, longest = 16, 127 // RFC 6164: likewise of a /127
	}
	switch {
	case a.Is4In6():
		return "is IPv4 within IPv6", unicast
	case a.IsUnspecified() || a.Is4() && a.As4()[0] == 0:
		return "is unspecified", unicast
	case a.IsLoopback():
		return "is a loopback address", unicast
	case a.IsMulticast():
		return "is a multicast address", unicast
	case a.IsLinkLocalUnicast():
		return "is a link-local address", unicast
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "is the broadcast address", unicast
	case bits < shortest || bits > longest:
		return "leaves no sensible network", fmt.Sprintf("a prefix length from /%d to /%d", shortest, longest)
	case bits == longest:
		return "", ""
	case a == p.Masked().Addr() && a.Is4():
		return "is the address of the network itself", "an address within it, such as " + a.Next().String()
	case a == p.Masked().Addr():
		// RFC 4291 section 2.6.1.
		return "is the subnet's router anycast address", "an address within it, such as " + a.Next().String()
	case a.Is4() && !p.Contains(a.Next()):
		return "is the broadcast address of its network", "an address within it, such as " + a.Prev().String()
	}
	return "", ""
}

// overlaps reports networks that two links share, at the one that the file set.
func (d *decoder) overlaps(subnets []subnet) {
	for i, b := range subnets {
		for _, a := range subnets[:i] {
			if a.link == b.link || !a.prefix.Overlaps(b.prefix) {
				continue
			}
			at, other := b, a
			if !b.set {
				at, other = a, b
			}
			d.problem(at.at, Problem{
				Text:     fmt.Sprintf("%v overlaps %v of link %s", at.prefix, other.prefix, quote(other.link)),
				Expected: "a network of its own for each link",
			})
		}
	}
}
