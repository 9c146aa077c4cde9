package wire

import (
	"net/netip"
	"time"
)

// Identifiers of transport parameters (RFC 9000, section 18.2; RFC 9221, section 3;
// RFC 9287, section 3). multipath.go and ackfrequency.go have those of their drafts.
const (
	paramOriginalDstID                  = 0x00
	paramMaxIdleTimeout                 = 0x01
	paramResetToken                     = 0x02
	paramMaxUDPPayload                  = 0x03
	paramInitialMaxData                 = 0x04
	paramInitialMaxStreamDataBidiLocal  = 0x05
	paramInitialMaxStreamDataBidiRemote = 0x06
	paramInitialMaxStreamDataUni        = 0x07
	paramInitialMaxStreamsBidi          = 0x08
	paramInitialMaxStreamsUni           = 0x09
	paramAckDelayExponent               = 0x0a
	paramMaxAckDelay                    = 0x0b
	paramDisableActiveMigration         = 0x0c
	paramPreferredAddress               = 0x0d
	paramActiveConnectionIDLimit        = 0x0e
	paramInitialSrcID                   = 0x0f
	paramRetrySrcID                     = 0x10
	paramMaxDatagramFrame               = 0x20
	paramGreaseBit                      = 0x2ab2
)

// What a parameter is when the peer did not send it (RFC 9000, section 18.2).
const (
	defaultMaxUDPPayload           = 65527
	defaultAckDelayExponent        = 3
	defaultMaxAckDelay             = 25 * time.Millisecond
	defaultActiveConnectionIDLimit = 2
)

// Bounds of parameters (RFC 9000, section 18.2).
const (
	minMaxUDPPayload    = 1200
	maxAckDelayExponent = 20
	maxAckDelayBound    = 1 << 14 * time.Millisecond // exclusive
)

// TransportParameters is what a side declares of itself in the handshake (RFC 9000,
// section 18.2, and extensions). DefaultTransportParameters is where to start: zero is
// not the default of all of them.
type TransportParameters struct {
	// Those with a Has field are absent without it. A client sends neither
	// OriginalDstID, RetrySrcID, ResetToken nor PreferredAddress.
	OriginalDstID       ConnID
	HasOriginalDstID    bool
	InitialSrcID        ConnID
	HasInitialSrcID     bool
	RetrySrcID          ConnID
	HasRetrySrcID       bool
	ResetToken          ResetToken
	HasResetToken       bool
	PreferredAddress    PreferredAddress
	HasPreferredAddress bool

	MaxIdleTimeout time.Duration // whole milliseconds on the wire; 0: none
	MaxUDPPayload  ByteCount     // 1200 or more; 0 when sending: 65527

	// Limits of flow control, bytes and streams. Local and remote are seen from the
	// sender of the parameters.
	InitialMaxData                 uint64
	InitialMaxStreamDataBidiLocal  uint64
	InitialMaxStreamDataBidiRemote uint64
	InitialMaxStreamDataUni        uint64
	InitialMaxStreamsBidi          uint64 // up to MaxStreamCount
	InitialMaxStreamsUni           uint64 // up to MaxStreamCount

	AckDelayExponent        uint8         // 0 to 20
	MaxAckDelay             time.Duration // whole milliseconds on the wire, less than 2^14 of them
	DisableActiveMigration  bool
	ActiveConnectionIDLimit uint64 // 2 or more; 0 when sending: 2

	MaxDatagramFrame uint64 // bytes, type and length included; 0: no DATAGRAM frames (RFC 9221)
	GreaseBit        bool   // the sender accepts packets with a fixed bit of 0 (RFC 9287)

	// MinAckDelay has whole microseconds on the wire (draft-ietf-quic-ack-frequency).
	MinAckDelay    time.Duration
	HasMinAckDelay bool
	// InitialMaxPathID is the largest path ID that the peer may use, and HasMultipath
	// whether paths are spoken of at all (draft-ietf-quic-multipath-21, section 2.1).
	InitialMaxPathID PathID
	HasMultipath     bool

	// Grease, unless 0, adds a parameter that peers have to ignore: the one of the
	// reserved identifiers 31*N+27 with N = Grease/31 (RFC 9000, section 18.1). It is not
	// set by parsing.
	Grease uint64
}

// PreferredAddress is where a server would rather be spoken to (RFC 9000, section
// 9.6). An address that is not given is the zero AddrPort.
type PreferredAddress struct {
	IPv4, IPv6 netip.AddrPort
	ID         ConnID // at least a byte; its sequence number is 1
	Token      ResetToken
}

// DefaultTransportParameters returns what a side that sends no parameters declares.
func DefaultTransportParameters() TransportParameters {
	return TransportParameters{
		MaxUDPPayload:           defaultMaxUDPPayload,
		AckDelayExponent:        defaultAckDelayExponent,
		MaxAckDelay:             defaultMaxAckDelay,
		ActiveConnectionIDLimit: defaultActiveConnectionIDLimit,
	}
}
