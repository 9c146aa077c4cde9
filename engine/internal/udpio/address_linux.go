package udpio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// rawAddress has room for a socket address of either family.
type rawAddress [unix.SizeofSockaddrInet6]byte

// parse returns the address, IPv4 unmapped. Its zone comes from zones.
func (r *rawAddress) parse(zones *zoneCache) netip.AddrPort {
	// struct sockaddr_in: family, port, address.
	// struct sockaddr_in6: family, port, flow, address, scope.
	port := binary.BigEndian.Uint16(r[2:])
	switch binary.NativeEndian.Uint16(r[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(r[4:8])), port)
	case unix.AF_INET6:
		a := netip.AddrFrom16([16]byte(r[8:24])).Unmap()
		if scope := binary.NativeEndian.Uint32(r[24:]); scope != 0 && a.IsLinkLocalUnicast() {
			a = a.WithZone(zones.name(scope))
		}
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}

// put writes the address as a socket of that family takes it, and returns how long
// it is: 0 when the family cannot have it.
func (r *rawAddress) put(a netip.AddrPort, family int, zones *zoneCache) uint32 {
	addr := a.Addr()
	*r = rawAddress{}
	binary.NativeEndian.PutUint16(r[:], uint16(family))
	binary.BigEndian.PutUint16(r[2:], a.Port())
	if family == unix.AF_INET {
		if !addr.Unmap().Is4() {
			return 0
		}
		four := addr.Unmap().As4()
		copy(r[4:8], four[:])
		return unix.SizeofSockaddrInet4
	}
	sixteen := addr.As16() // IPv4 mapped
	copy(r[8:24], sixteen[:])
	if zone := addr.Zone(); zone != "" {
		binary.NativeEndian.PutUint32(r[24:], zones.scope(zone))
	}
	return unix.SizeofSockaddrInet6
}

// zoneCache knows one interface by name and number: that of the last link-local
// address, which hardly ever changes.
type zoneCache struct {
	id   uint32
	zone string
}

// name returns the zone of scope id: the interface's name, else the number.
func (z *zoneCache) name(id uint32) string {
	if z.id != id {
		zone := strconv.FormatUint(uint64(id), 10)
		if i, err := net.InterfaceByIndex(int(id)); err == nil {
			zone = i.Name
		}
		*z = zoneCache{id: id, zone: zone}
	}
	return z.zone
}

// scope returns the scope id of a zone: 0, which is none, when nothing has that name.
func (z *zoneCache) scope(zone string) uint32 {
	if z.zone != zone {
		*z = zoneCache{zone: zone}
		if id, err := strconv.ParseUint(zone, 10, 32); err == nil {
			z.id = uint32(id)
		} else if i, err := net.InterfaceByName(zone); err == nil {
			z.id = uint32(i.Index)
		}
	}
	return z.id
}
