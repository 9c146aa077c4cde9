package relay

import (
	"encoding/binary"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd

	ipv4Header = 20 // at least
	ipv6Header = 40
)

// ipHeader returns the length of an Ethernet frame's IP header and the version;
// 0 and 0 when the frame has no whole one.
func ipHeader(frame []byte) (length, version int) {
	if len(frame) < ethernetHeader {
		return 0, 0
	}
	ip := frame[ethernetHeader:]
	switch binary.BigEndian.Uint16(frame[ethernetHeader-2:]) {
	case etherTypeIPv4:
		if len(ip) < ipv4Header || ip[0]>>4 != 4 {
			return 0, 0
		}
		if length := 4 * int(ip[0]&15); length >= ipv4Header && length <= len(ip) {
			return length, 4
		}
	case etherTypeIPv6:
		if len(ip) >= ipv6Header && ip[0]>>4 == 6 {
			return ipv6Header, 6
		}
	}
	return 0, 0
}

// codepoint returns the frame's ECN field (RFC 3168, section 5).
func codepoint(frame []byte) emulation.ECN {
	switch _, version := ipHeader(frame); version {
	case 4:
		return emulation.ECN(frame[ethernetHeader+1] & 3)
	case 6:
		return emulation.ECN(frame[ethernetHeader+1] >> 4 & 3)
	}
	return emulation.NotECT
}

// setCE makes the frame's codepoint CE. The IPv4 header's checksum follows
// (RFC 1624, section 3).
func setCE(frame []byte) {
	_, version := ipHeader(frame)
	ip := frame[min(ethernetHeader, len(frame)):]
	switch version {
	case 4:
		old := binary.BigEndian.Uint16(ip)
		ip[1] |= byte(emulation.CE)
		sum := uint32(^binary.BigEndian.Uint16(ip[10:])) + uint32(^old) + uint32(binary.BigEndian.Uint16(ip))
		sum = sum>>16 + sum&0xffff
		sum = sum>>16 + sum&0xffff
		binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	case 6:
		ip[1] |= byte(emulation.CE) << 4
	}
}

// flip inverts one bit of what the IP packet carries, or of the frame's payload
// when it is no IP packet; which one the model drew.
func flip(frame []byte, which uint32) {
	length, _ := ipHeader(frame)
	payload := frame[min(ethernetHeader+length, len(frame)):]
	if len(payload) == 0 {
		return
	}
	bit := uint64(which) % uint64(8*len(payload))
	payload[bit/8] ^= 1 << (bit % 8)
}
