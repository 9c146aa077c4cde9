package wire

// PacketNumberLen returns how many bytes of pn a packet must carry, 1 to 4, while
// largestAcked is the largest number that the peer acknowledged in the space, or
// NoPacket. pn must be greater.
func PacketNumberLen(pn, largestAcked PacketNumber) int {
	// RFC 9000, section 17.1: the encoding MUST represent more than twice the distance
	// from the largest acknowledged; before the first acknowledgment that distance
	// counts from -1, which is NoPacket.
	twice := uint64(pn-largestAcked) * 2
	switch {
	case twice < 1<<8:
		return 1
	case twice < 1<<16:
		return 2
	case twice < 1<<24:
		return 3
	}
	return 4
}

// AppendPacketNumber appends the n lowest bytes of pn, 1 to 4.
func AppendPacketNumber(b []byte, pn PacketNumber, n int) []byte {
	switch n {
	case 1:
		return append(b, byte(pn))
	case 2:
		return append(b, byte(pn>>8), byte(pn))
	case 3:
		return append(b, byte(pn>>16), byte(pn>>8), byte(pn))
	case 4:
		return append(b, byte(pn>>24), byte(pn>>16), byte(pn>>8), byte(pn))
	}
	panic("wire: a packet number takes 1 to 4 bytes")
}

// DecodePacketNumber returns the number whose n lowest bytes are truncated and which
// is closest to the one after largest, the largest number received in the space, or
// NoPacket (RFC 9000, appendix A.3).
func DecodePacketNumber(largest PacketNumber, truncated uint32, n int) PacketNumber {
	expected := largest + 1
	window := PacketNumber(1) << (8 * n)
	candidate := expected&^(window-1) | PacketNumber(truncated)
	switch {
	case candidate <= expected-window/2 && candidate <= MaxVarint-window:
		return candidate + window
	case candidate > expected+window/2 && candidate >= window:
		return candidate - window
	}
	return candidate
}
