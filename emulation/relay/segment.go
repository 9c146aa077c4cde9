package relay

import (
	"encoding/binary"

	"github.com/tquiclab/tquiclab/emulation"
)

const (
	tcpHeader = 20 // at least
	udpHeader = 8

	protocolTCP  = 6
	protocolUDP  = 17
	protocolSCTP = 132

	tcpChecksum = 16 // offset of the checksum in its header
	udpChecksum = 6

	tcpFlags = 13 // offset of the flags
	flagFIN  = 0x01
	flagPSH  = 0x08
	flagCWR  = 0x80

	// maxHeaders is the most that stands before a unit's payload: Ethernet, and IPv4
	// and TCP with all options.
	maxHeaders = ethernetHeader + 60 + 60
	// maxSegments bounds the wire packets of one unit. TCP's smallest segment is 48
	// bytes (sysctl net.ipv4.tcp_min_snd_mss), and UDP_SEGMENT makes 128 at most.
	maxSegments = 2048
)

// segments says how a frame falls into wire packets: each has the frame's headers,
// adapted, and the next part of its payload.
type segments struct {
	kind      unitKind
	transport int // offset of the TCP or UDP header; of a whole packet, nothing
	payload   int // offset of the payload
	size      int // payload bytes of each wire packet but the last, which may have less
	count     int
}

// split finds a frame's wire packets, false when it is neither a whole packet nor
// a unit that can be taken apart. Of a whole packet it finishes the checksum, if
// that was left to do; nothing else is changed.
func split(h vnetHeader, frame []byte) (segments, bool) {
	if len(frame) < ethernetHeader {
		return segments{}, false
	}
	network, version := ipHeader(frame)
	if h.kind() == wholePacket {
		headers := ethernetHeader + network
		ok := h.flags&vnetNeedsChecksum == 0 || finishChecksum(frame, int(h.checksumStart), int(h.checksumOffset))
		return segments{payload: headers, size: len(frame) - headers, count: 1}, ok
	}
	s := segments{kind: h.kind(), transport: ethernetHeader + network, size: int(h.segmentSize)}
	length := transportHeader(s.kind, version, frame[ethernetHeader:], network)
	s.payload = s.transport + length
	if length == 0 || s.size == 0 || s.payload >= len(frame) {
		return segments{}, false
	}
	s.count = (len(frame) - s.payload + s.size - 1) / s.size
	return s, s.count <= maxSegments
}

// transportHeader returns the length of a unit's transport header, which stands
// after so many bytes of network header; 0 when the packet is no such unit.
func transportHeader(kind unitKind, version int, ip []byte, network int) int {
	protocol := byte(0)
	switch version {
	case 4:
		// Fragments have no transport header. A total length that is not the frame's
		// is none of the kernel's making.
		if int(binary.BigEndian.Uint16(ip[2:])) == len(ip) && binary.BigEndian.Uint16(ip[6:])&0x3fff == 0 {
			protocol = ip[9]
		}
	case 6:
		if int(binary.BigEndian.Uint16(ip[4:])) == len(ip)-ipv6Header {
			protocol = ip[6]
		}
	}
	switch {
	case kind == udpUnit && protocol == protocolUDP:
		return udpHeader
	case (kind == tcp4Unit && version == 4 || kind == tcp6Unit && version == 6) &&
		protocol == protocolTCP && len(ip) >= network+tcpHeader:
		if length := int(ip[network+12]>>4) * 4; length >= tcpHeader {
			return length
		}
	}
	return 0
}

// finishChecksum computes a checksum that covers the frame from start on, and in
// whose place the sum of the pseudo-header stands. False when there is no such place,
// or the protocol has another kind of checksum.
func finishChecksum(frame []byte, start, offset int) bool {
	if start < ethernetHeader || start+offset+2 > len(frame) {
		return false
	}
	if length, version := ipHeader(frame); version != 0 && ethernetHeader+length == start {
		if ip := frame[ethernetHeader:]; version == 4 && ip[9] == protocolSCTP || version == 6 && ip[6] == protocolSCTP {
			return false
		}
	}
	putTransportChecksum(frame[start+offset:], wordSum(0, frame[start:]), offset == udpChecksum)
	return true
}

// part returns the payload of a run of count wire packets.
func (s *segments) part(frame []byte, first, count int) []byte {
	return frame[s.payload+first*s.size : min(s.payload+(first+count)*s.size, len(frame))]
}

// length returns the bytes of the Ethernet frame of one wire packet.
func (s *segments) length(frame []byte, i int) int {
	return s.payload + min(s.size, len(frame)-s.payload-i*s.size)
}

// headers writes the headers of a run of count wire packets into dst, which has
// room for maxHeaders, and returns their length. A run of one is a finished packet;
// a longer one is a unit as its sender would have made it.
//
// What the wire packets have in common with the frame and what not is as in
// the kernel's own segmentation (inet_gso_segment, tcp_gso_segment and
// __udp_gso_segment): IPv4 numbers its packets, TCP numbers its bytes, CWR is the
// first one's, FIN and PSH are the last one's.
func (s *segments) headers(dst, frame []byte, first, count int, ecn emulation.ECN) (int, vnetHeader) {
	dst = dst[:copy(dst, frame[:s.payload])]
	if ecn == emulation.CE {
		setCE(dst)
	}
	if s.kind == wholePacket {
		return len(dst), vnetHeader{}
	}
	part := s.part(frame, first, count)
	addresses := s.network(dst, first, len(part))
	transport := dst[s.transport:]
	protocol, place := byte(protocolTCP), tcpChecksum
	length := len(transport) + len(part)
	v := vnetHeader{
		flags: vnetNeedsChecksum, gsoType: uint8(s.kind), headerLength: uint16(len(dst)), segmentSize: uint16(s.size),
		checksumStart: uint16(s.transport),
	}
	if s.kind == udpUnit {
		protocol, place = protocolUDP, udpChecksum
		binary.BigEndian.PutUint16(transport[4:], uint16(length))
	} else if s.tcp(transport, first, count) {
		v.gsoType |= vnetCWR
	}
	v.checksumOffset = uint16(place)
	sum := pseudoSum(addresses, protocol, length)
	if count > 1 {
		binary.NativeEndian.PutUint16(transport[place:], fold(sum))
		return len(dst), v
	}
	transport[place], transport[place+1] = 0, 0
	putTransportChecksum(transport[place:], wordSum(wordSum(sum, transport), part), s.kind == udpUnit)
	return len(dst), vnetHeader{}
}

// network adapts the IP header of a run with so many bytes of payload, and returns
// the two addresses.
func (s *segments) network(headers []byte, first, payload int) (addresses []byte) {
	ip := headers[ethernetHeader:]
	if ip[0]>>4 == 6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-ipv6Header+payload))
		return ip[8:ipv6Header]
	}
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+payload))
	binary.BigEndian.PutUint16(ip[4:], binary.BigEndian.Uint16(ip[4:])+uint16(first))
	ip[10], ip[11] = 0, 0
	putChecksum(ip[10:], wordSum(0, ip[:s.transport-ethernetHeader]))
	return ip[12:ipv4Header]
}

// tcp adapts the TCP header of a run, and reports whether it has CWR.
func (s *segments) tcp(header []byte, first, count int) bool {
	binary.BigEndian.PutUint32(header[4:], binary.BigEndian.Uint32(header[4:])+uint32(first*s.size))
	if first > 0 {
		header[tcpFlags] &^= flagCWR
	}
	if first+count < s.count {
		header[tcpFlags] &^= flagFIN | flagPSH
	}
	return header[tcpFlags]&flagCWR != 0
}
