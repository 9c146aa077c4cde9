package wire

import (
	"math"
	"net/netip"
	"time"
)

// ParseTransportParameters parses the parameters that from sent. Absent ones have
// their default, unknown ones are ignored. An error is a TRANSPORT_PARAMETER_ERROR.
func ParseTransportParameters(b []byte, from Perspective) (TransportParameters, error) {
	p := DefaultTransportParameters()
	seen := make(map[uint64]bool)
	for c := (cursor{b: b}); c.at < len(b); {
		id := c.varint()
		value := c.bytes(c.varint())
		switch {
		case c.short:
			return p, paramError(id, "cut short")
		// RFC 9000, section 7.4: a duplicate SHOULD be a TRANSPORT_PARAMETER_ERROR.
		case seen[id]:
			return p, paramError(id, "sent twice")
		// RFC 9000, section 18.2: a server's parameter from a client MUST be a
		// TRANSPORT_PARAMETER_ERROR.
		case from == Client && serverOnly(id):
			return p, paramError(id, "sent by a client")
		}
		seen[id] = true
		if reason := p.set(id, value); reason != "" {
			return p, paramError(id, reason)
		}
	}
	// draft-ietf-quic-ack-frequency, section 3: a min_ack_delay above max_ack_delay MUST
	// be a TRANSPORT_PARAMETER_ERROR.
	if p.HasMinAckDelay && p.MinAckDelay > p.MaxAckDelay {
		return p, paramError(paramMinAckDelay, "above max_ack_delay")
	}
	return p, nil
}

func paramError(id uint64, reason string) error {
	return Errorf(TransportParameterError, "transport parameter 0x%x: %s", id, reason)
}

// serverOnly reports whether only a server may send the parameter (RFC 9000, section
// 18.2).
func serverOnly(id uint64) bool {
	switch id {
	case paramOriginalDstID, paramResetToken, paramPreferredAddress, paramRetrySrcID:
		return true
	}
	return false
}

// set takes a parameter over and returns what is wrong with it, or "".
func (p *TransportParameters) set(id uint64, value []byte) string {
	switch id {
	case paramOriginalDstID:
		p.HasOriginalDstID = true
		return setID(&p.OriginalDstID, value)
	case paramInitialSrcID:
		p.HasInitialSrcID = true
		return setID(&p.InitialSrcID, value)
	case paramRetrySrcID:
		p.HasRetrySrcID = true
		return setID(&p.RetrySrcID, value)
	case paramResetToken:
		p.HasResetToken = true
		if copy(p.ResetToken[:], value) != len(p.ResetToken) || len(value) > len(p.ResetToken) {
			return "not 16 bytes"
		}
	case paramPreferredAddress:
		p.HasPreferredAddress = true
		return p.PreferredAddress.parse(value)
	case paramDisableActiveMigration:
		p.DisableActiveMigration = true
		return wantEmpty(value)
	// RFC 9287, section 3: a value MUST be a TRANSPORT_PARAMETER_ERROR.
	case paramGreaseBit:
		p.GreaseBit = true
		return wantEmpty(value)
	default:
		if integer(id) {
			return p.setInt(id, value)
		}
	}
	return ""
}

// integer reports whether the parameter is a known one that setInt takes.
func integer(id uint64) bool {
	switch id {
	case paramMaxIdleTimeout, paramMaxUDPPayload, paramInitialMaxData, paramInitialMaxStreamDataBidiLocal,
		paramInitialMaxStreamDataBidiRemote, paramInitialMaxStreamDataUni, paramInitialMaxStreamsBidi,
		paramInitialMaxStreamsUni, paramAckDelayExponent, paramMaxAckDelay, paramActiveConnectionIDLimit,
		paramMaxDatagramFrame, paramMinAckDelay, paramInitialMaxPathID:
		return true
	}
	return false
}

// setInt takes over a parameter that is an integer. RFC 9000, section 7.4: an invalid
// value MUST be a TRANSPORT_PARAMETER_ERROR; section 18.2 says which ones are.
func (p *TransportParameters) setInt(id uint64, value []byte) string {
	v, n := ParseVarint(value)
	if n == 0 || n != len(value) {
		return "not an integer"
	}
	switch id {
	case paramMaxIdleTimeout:
		p.MaxIdleTimeout = duration(v, time.Millisecond)
	case paramMaxUDPPayload:
		p.MaxUDPPayload = ByteCount(v)
		return check(v >= minMaxUDPPayload, "below 1200")
	case paramInitialMaxData:
		p.InitialMaxData = v
	case paramInitialMaxStreamDataBidiLocal:
		p.InitialMaxStreamDataBidiLocal = v
	case paramInitialMaxStreamDataBidiRemote:
		p.InitialMaxStreamDataBidiRemote = v
	case paramInitialMaxStreamDataUni:
		p.InitialMaxStreamDataUni = v
	// RFC 9000, section 4.6: more streams than have an ID MUST be refused.
	case paramInitialMaxStreamsBidi:
		p.InitialMaxStreamsBidi = v
		return check(v <= MaxStreamCount, "above 2^60")
	case paramInitialMaxStreamsUni:
		p.InitialMaxStreamsUni = v
		return check(v <= MaxStreamCount, "above 2^60")
	case paramAckDelayExponent:
		p.AckDelayExponent = uint8(min(v, math.MaxUint8))
		return check(v <= maxAckDelayExponent, "above 20")
	case paramMaxAckDelay:
		p.MaxAckDelay = duration(v, time.Millisecond)
		return check(p.MaxAckDelay < maxAckDelayBound, "2^14 ms or more")
	case paramActiveConnectionIDLimit:
		p.ActiveConnectionIDLimit = v
		return check(v >= defaultActiveConnectionIDLimit, "below 2")
	case paramMaxDatagramFrame:
		p.MaxDatagramFrame = v
	case paramMinAckDelay:
		p.MinAckDelay, p.HasMinAckDelay = duration(v, time.Microsecond), true
	// draft-ietf-quic-multipath-21, section 2.1: above 2^32-1 MUST be refused.
	case paramInitialMaxPathID:
		p.InitialMaxPathID, p.HasMultipath = PathID(v), true
		return check(v <= MaxPathIDValue, "above 2^32-1")
	}
	return ""
}

// parse takes over the value of a preferred_address parameter.
func (a *PreferredAddress) parse(value []byte) string {
	c := cursor{b: value}
	var v4 [4]byte
	var v6 [16]byte
	copy(v4[:], c.bytes(uint64(len(v4))))
	a.IPv4 = addrPort(netip.AddrFrom4(v4), c.uint16())
	copy(v6[:], c.bytes(uint64(len(v6))))
	a.IPv6 = addrPort(netip.AddrFrom16(v6), c.uint16())
	id := c.bytes(uint64(c.byte()))
	copy(a.Token[:], c.bytes(uint64(len(a.Token))))
	switch {
	case c.short || c.at < len(value):
		return "of the wrong length"
	// RFC 9000, section 18.2: an empty connection ID MUST be refused.
	case len(id) == 0:
		return "without a connection ID"
	}
	return setID(&a.ID, id)
}

// addrPort returns the zero AddrPort for an address and a port of zeros, which stand
// for none.
func addrPort(a netip.Addr, port uint16) netip.AddrPort {
	if a.IsUnspecified() && port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a, port)
}

func setID(id *ConnID, value []byte) string {
	if len(value) > MaxConnIDLen {
		return "connection ID of more than 20 bytes"
	}
	*id = NewConnID(value)
	return ""
}

func wantEmpty(value []byte) string { return check(len(value) == 0, "has a value") }

// check returns what is wrong unless ok.
func check(ok bool, wrong string) string {
	if ok {
		return ""
	}
	return wrong
}

// duration returns n units, or the longest duration if it is longer.
func duration(n uint64, unit time.Duration) time.Duration {
	if n > uint64(math.MaxInt64/unit) {
		return math.MaxInt64
	}
	return time.Duration(n) * unit
}
