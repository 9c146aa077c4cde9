package wire

// PacketType is what kind of packet one is (RFC 9000, section 17).
type PacketType uint8

// The packet types. The first four have their number on the wire.
const (
	PacketInitial PacketType = iota
	PacketZeroRTT
	PacketHandshake
	PacketRetry
	PacketVersionNegotiation
	PacketOneRTT
)

// String returns the type as qlog spells it.
func (t PacketType) String() string {
	switch t {
	case PacketInitial:
		return "initial"
	case PacketZeroRTT:
		return "0RTT"
	case PacketHandshake:
		return "handshake"
	case PacketRetry:
		return "retry"
	case PacketVersionNegotiation:
		return "version_negotiation"
	case PacketOneRTT:
		return "1RTT"
	}
	return "unknown"
}
