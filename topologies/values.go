package topologies

import (
	"fmt"
	"math"
	"net/netip"
)

// Readers and schemas of values that this format alone has.

const maxSeed = math.MaxUint64

// anySize is the word that files write for no limit of a size.
const anySize = "any"

// mtu reads an MTU. Whether it is too small depends on the link's family.
func mtu(d *decoder, n node) (uint64, bool) {
	v, ok := wholeNumber(d, n, fmt.Sprintf("an MTU of %d to %d bytes", minMTU, maxMTU))
	switch {
	case !ok:
		return 0, false
	case v == 0:
		d.wantMTU(field[uint64]{place: n.place(), state: good}, DualStack)
		return 0, false
	case v > maxMTU:
		d.problem(n.place(), Problem{
			Text:     fmt.Sprintf("mtu %d is too large", v),
			Expected: fmt.Sprintf("at most %d bytes: no IP packet is larger", maxMTU),
		})
		return 0, false
	}
	return v, true
}

// wantMTU reports an MTU that is too small for what the link carries.
func (d *decoder) wantMTU(f field[uint64], carries Family) bool {
	p := Problem{Text: fmt.Sprintf("mtu %d is too small", f.value)}
	switch {
	case f.state != good:
		return false
	case carries == IPv4Only && f.value < minMTU4:
		p.Expected = fmt.Sprintf("at least %d bytes: IPv4 needs them (RFC 791 section 3.1)", minMTU4)
	case carries != IPv4Only && f.value < minMTU:
		p.Expected = fmt.Sprintf("at least %d bytes: IPv6 needs them (RFC 8200 section 5)", minMTU)
	default:
		return true
	}
	d.problem(f.place, p)
	return false
}

// ends reads the mapping of a link's addresses.
func ends(d *decoder, n node) ([]fileEnd, bool) {
	var ends []fileEnd
	ok := d.pairs(n, func(name, value node) {
		end := fileEnd{node: name.place(), name: name.Value}
		at(func(e *fileEnd) *field[[]field[netip.Prefix]] { return &e.prefixes }, list(quantity(parsePrefix)))(d, value, &end)
		ends = append(ends, end)
	})
	return ends, ok
}

func addressesSchema() schema {
	// Only the shape: Parse checks the addresses themselves.
	prefix := textSchema(`^[0-9a-f.:]+/[0-9]{1,3}$`)
	return schema{"type": "object", "maxProperties": 2, "additionalProperties": listSchema(prefix, 0, 2)}
}

// parsePrefix reads an interface's address with its prefix length.
func parsePrefix(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, nil
	}
	e := &QuantityError{Text: quote(text) + " is no address with a prefix length", Expected: "one such as 10.9.0.1/24 or fd00:9::1/64"}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		e.Nearest = text + "/64"
		if a.Is4() {
			e.Nearest = text + "/24"
		}
	}
	return netip.Prefix{}, e
}
