package udpio

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Room for all control messages that were asked for: packet info of both families
// 40 and 32, marks of both 24 and 24, GRO's segment size 24.
const controlRoom = 192

// wordSize is the size of a control message's length field and the alignment of
// what follows (CMSG_ALIGN in include/linux/socket.h).
const wordSize = int(unsafe.Sizeof(uintptr(0)))

func alignWord(n int) int { return (n + wordSize - 1) &^ (wordSize - 1) }

// control is what the control messages of a received train say.
type control struct {
	ecn     wire.ECN
	local   netip.Addr // invalid: not told
	segment int        // 0: one datagram
}

// parseControl reads control messages. Unknown ones are skipped; it stops at the
// first that does not fit, which only a defect of the kernel could cause.
func parseControl(b []byte) control {
	var c control
	for len(b) >= unix.SizeofCmsghdr {
		n := messageLength(b)
		if n < unix.SizeofCmsghdr || n > len(b) {
			return c
		}
		level := int(int32(binary.NativeEndian.Uint32(b[wordSize:])))
		kind := int(int32(binary.NativeEndian.Uint32(b[wordSize+4:])))
		c.take(level, kind, b[unix.SizeofCmsghdr:n])
		b = b[min(alignWord(n), len(b)):]
	}
	return c
}

// messageLength returns the length field of the message that b begins with, or -1
// when it is no sensible one.
func messageLength(b []byte) int {
	n := uint64(binary.NativeEndian.Uint32(b))
	if wordSize == 8 {
		n = binary.NativeEndian.Uint64(b)
	}
	if n > maxDatagram {
		return -1
	}
	return int(n)
}

func (c *control) take(level, kind int, data []byte) {
	switch {
	case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(data) >= 1:
		c.ecn = wire.ECN(data[0] & 3)
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
		c.ecn = wire.ECN(binary.NativeEndian.Uint32(data) & 3)
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		// struct in_pktinfo: interface, local address, destination in the header.
		c.local = netip.AddrFrom4([4]byte(data[8:12]))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		// struct in6_pktinfo: destination in the header, interface. A dual-stack socket
		// has IPv4 mapped.
		c.local = netip.AddrFrom16([16]byte(data[:16])).Unmap()
	case level == unix.IPPROTO_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		c.segment = max(0, int(int32(binary.NativeEndian.Uint32(data))))
	}
}

// appendMessage appends a control message with zeroed data of n bytes, and returns
// the data to fill in.
func appendMessage(b []byte, level, kind, n int) (_, data []byte) {
	length := unix.SizeofCmsghdr + n
	if wordSize == 8 {
		b = binary.NativeEndian.AppendUint64(b, uint64(length))
	} else {
		b = binary.NativeEndian.AppendUint32(b, uint32(length))
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(kind))
	start := len(b)
	for range alignWord(n) {
		b = append(b, 0)
	}
	return b, b[start : start+n]
}

// appendSegment asks for segments of that size (UDP_SEGMENT).
func appendSegment(b []byte, size int) []byte {
	b, data := appendMessage(b, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(data, uint16(size))
	return b
}

// appendECN sets the mark. IPv4 on an IPv6 socket takes IPv4's message: the kernel
// sends such a datagram through its IPv4 code (udpv6_sendmsg in net/ipv6/udp.c).
func appendECN(b []byte, mark wire.ECN, remote netip.Addr) []byte {
	level, kind := unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	if remote.Is4() {
		level, kind = unix.IPPROTO_IP, unix.IP_TOS
	}
	b, data := appendMessage(b, level, kind, 4)
	binary.NativeEndian.PutUint32(data, uint32(mark))
	return b
}

// appendSource sets the address to send from. The interface is left to the routes.
func appendSource(b []byte, local netip.Addr) []byte {
	if local.Is4() {
		b, data := appendMessage(b, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		a := local.As4()
		copy(data[4:8], a[:]) // ipi_spec_dst
		return b
	}
	b, data := appendMessage(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	a := local.As16()
	copy(data[:16], a[:])
	return b
}
