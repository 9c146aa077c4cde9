package relay

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	icmpHeader = 8
	// icmpv4Size and icmpv6Size bound the message with its IP header: RFC 1812, section
	// 4.3.2.3; RFC 4443, section 3.2.
	icmpv4Size = 576
	icmpv6Size = 1280

	protocolICMP = 1
	icmpTTL      = 64
	icmpTOS      = 0xc0 // internetwork control (RFC 1812, section 4.3.2.5)

	// The rate limit of RFC 4443, section 2.4 (f), a token bucket: a direction sends so
	// many messages a second, and so many at once.
	icmpRate  = 100
	icmpBurst = 100
)

// router tells the sender of a packet that is too big the MTU of the wire, as the
// router in front of a smaller link does. A wire has no address: the message comes
// from the packet's own destination, which is what any check of its source accepts,
// and what the receiver of the message looks at is the packet that it quotes.
type router struct {
	tokens  float64
	last    emulation.Time                               // when they were counted
	message [vnetSize + ethernetHeader + icmpv6Size]byte // behind an empty vnet header
}

// refuse is told of a frame that the model did not accept.
func (f *forwarder) refuse(frame []byte, v emulation.Verdict) {
	if v.TellMTU == 0 {
		return
	}
	message := f.router.tooBig(frame, v.TellMTU)
	switch {
	case message == nil:
		f.stats.untold++
	case !f.router.may(f.arrived):
		f.stats.heldBack++
	case unix.Send(f.in.fd(), f.router.toSend(message, f.super != nil), unix.MSG_DONTWAIT) != nil:
		f.stats.untold++
	default:
		f.stats.told++
	}
}

// toSend returns tooBig's message as the socket takes it: behind a vnet header where
// it has them.
func (r *router) toSend(message []byte, vnet bool) []byte {
	if vnet {
		return r.message[:vnetSize+len(message)]
	}
	return message
}

// may takes a token from the bucket.
func (r *router) may(now emulation.Time) bool {
	if r.last == 0 {
		r.tokens = icmpBurst
	} else {
		r.tokens = min(r.tokens+now.Sub(r.last).Seconds()*icmpRate, icmpBurst)
	}
	r.last = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// tooBig returns the message about a frame, which is good until the next call; nil
// where none may be sent: to or about more than one host, about an ICMP error, about
// any but the first fragment, and, in IPv4, about a packet that may be fragmented
// (RFC 1122, section 3.2.2; RFC 4443, section 2.4 (e)). A packet to an IPv6 multicast
// group could have one, but from no address that this router has.
func (r *router) tooBig(frame []byte, mtu int) []byte {
	length, version := ipHeader(frame)
	if version == 0 || frame[0]&1 != 0 || frame[6]&1 != 0 {
		return nil
	}
	message := r.message[vnetSize:]
	copy(message, frame[6:12]) // back to where it came from
	copy(message[6:], frame[:6])
	copy(message[12:], frame[12:ethernetHeader])
	ip := frame[ethernetHeader:]
	var n int
	switch {
	case version == 4 && tellable4(ip, length):
		n = fragmentationNeeded(message[ethernetHeader:], ip, mtu)
	case version == 6 && tellable6(ip):
		n = packetTooBig(message[ethernetHeader:], ip, mtu)
	default:
		return nil
	}
	return message[:ethernetHeader+n]
}

func tellable4(ip []byte, length int) bool {
	const dontFragment, offset = 0x4000, 0x1fff
	flags := binary.BigEndian.Uint16(ip[6:])
	if flags&dontFragment == 0 || flags&offset != 0 {
		return false
	}
	for _, first := range []byte{ip[12], ip[16]} { // of the addresses
		if first == 0 || first == 127 || first >= 224 {
			return false
		}
	}
	if ip[9] != protocolICMP || length >= len(ip) {
		return ip[9] != protocolICMP
	}
	switch ip[length] {
	case 3, 4, 5, 11, 12: // the errors of RFC 792
		return false
	}
	return true
}

func tellable6(ip []byte) bool {
	source, destination := ip[8:24], ip[24:40]
	if source[0] == 0xff || destination[0] == 0xff || allZero(source[:15]) || allZero(destination[:15]) {
		return false
	}
	protocol, payload := upperLayer(ip)
	if protocol != protocolICMPv6 {
		return true
	}
	return len(payload) > 0 && payload[0] >= 128 && payload[0] != 137 // an error, or a redirect
}

// allZero holds for the first 15 bytes of the unspecified address and of loopback.
func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// upperLayer returns the protocol behind an IPv6 packet's extension headers (RFC 8200,
// section 4), and its bytes: none when the packet ends before, or is a later fragment.
func upperLayer(ip []byte) (protocol byte, payload []byte) {
	const routing, fragment, destination = 43, 44, 60
	protocol, payload = ip[6], ip[ipv6Header:]
	for len(payload) >= 8 {
		length := 8
		switch protocol {
		case hopByHop, routing, destination:
			length += 8 * int(payload[1])
		case fragment:
			if binary.BigEndian.Uint16(payload[2:])>>3 != 0 {
				return payload[0], nil
			}
		default:
			return protocol, payload
		}
		protocol, payload = payload[0], payload[min(length, len(payload)):]
	}
	return protocol, payload
}

// fragmentationNeeded writes the IPv4 packet with the message (RFC 792; RFC 1191,
// section 4) about a packet, and returns its length.
func fragmentationNeeded(to, about []byte, mtu int) int {
	const unreachable, needed = 3, 4
	quoted := min(len(about), icmpv4Size-ipv4Header-icmpHeader)
	size := ipv4Header + icmpHeader + quoted
	clear(to[:ipv4Header+icmpHeader])
	to[0], to[1] = 0x45, icmpTOS
	binary.BigEndian.PutUint16(to[2:], uint16(size))
	to[6] = 0x40 // do not fragment: the identification means nothing (RFC 6864)
	to[8], to[9] = icmpTTL, protocolICMP
	copy(to[12:16], about[16:20])
	copy(to[16:20], about[12:16])
	binary.BigEndian.PutUint16(to[10:], ^internetSum(to[:ipv4Header], 0))
	icmp := to[ipv4Header:size]
	icmp[0], icmp[1] = unreachable, needed
	binary.BigEndian.PutUint16(icmp[6:], uint16(mtu))
	copy(icmp[icmpHeader:], about[:quoted])
	binary.BigEndian.PutUint16(icmp[2:], ^internetSum(icmp, 0))
	return size
}

// packetTooBig writes the IPv6 packet with the message (RFC 4443, section 3.2) about a
// packet, and returns its length.
func packetTooBig(to, about []byte, mtu int) int {
	const tooBig = 2
	quoted := min(len(about), icmpv6Size-ipv6Header-icmpHeader)
	clear(to[:ipv6Header+icmpHeader])
	binary.BigEndian.PutUint32(to, 6<<28|icmpTOS<<20)
	binary.BigEndian.PutUint16(to[4:], uint16(icmpHeader+quoted))
	to[6], to[7] = protocolICMPv6, icmpTTL
	copy(to[8:24], about[24:40])
	copy(to[24:40], about[8:24])
	icmp := to[ipv6Header : ipv6Header+icmpHeader+quoted]
	icmp[0] = tooBig
	binary.BigEndian.PutUint32(icmp[4:], uint32(mtu))
	copy(icmp[icmpHeader:], about[:quoted])
	// The pseudo-header of RFC 8200, section 8.1.
	sum := internetSum(to[8:40], uint32(len(icmp))+protocolICMPv6)
	binary.BigEndian.PutUint16(icmp[2:], ^internetSum(icmp, uint32(sum)))
	return ipv6Header + len(icmp)
}

// internetSum returns the ones' complement sum of the bytes and a sum (RFC 1071).
func internetSum(b []byte, sum uint32) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
