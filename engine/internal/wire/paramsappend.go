package wire

import (
	"encoding/binary"
	"time"
)

// Append appends the parameters as from sends them: those that differ from their
// default. Times are rounded up to the unit of their parameter.
func (p *TransportParameters) Append(b []byte, from Perspective) []byte {
	// RFC 9000, section 18.2: a client MUST NOT send a server's parameters.
	if from == Server {
		b = p.appendServerOnly(b)
	}
	if p.HasInitialSrcID {
		b = appendIDParam(b, paramInitialSrcID, p.InitialSrcID)
	}
	b = appendIntParam(b, paramMaxIdleTimeout, units(p.MaxIdleTimeout, time.Millisecond), 0)
	if p.MaxUDPPayload != 0 {
		b = appendIntParam(b, paramMaxUDPPayload, uint64(p.MaxUDPPayload), defaultMaxUDPPayload)
	}
	b = appendIntParam(b, paramInitialMaxData, p.InitialMaxData, 0)
	b = appendIntParam(b, paramInitialMaxStreamDataBidiLocal, p.InitialMaxStreamDataBidiLocal, 0)
	b = appendIntParam(b, paramInitialMaxStreamDataBidiRemote, p.InitialMaxStreamDataBidiRemote, 0)
	b = appendIntParam(b, paramInitialMaxStreamDataUni, p.InitialMaxStreamDataUni, 0)
	b = appendIntParam(b, paramInitialMaxStreamsBidi, p.InitialMaxStreamsBidi, 0)
	b = appendIntParam(b, paramInitialMaxStreamsUni, p.InitialMaxStreamsUni, 0)
	b = appendIntParam(b, paramAckDelayExponent, uint64(p.AckDelayExponent), defaultAckDelayExponent)
	b = appendIntParam(b, paramMaxAckDelay, units(p.MaxAckDelay, time.Millisecond), units(defaultMaxAckDelay, time.Millisecond))
	if p.DisableActiveMigration {
		b = appendParam(b, paramDisableActiveMigration, 0)
	}
	if p.ActiveConnectionIDLimit != 0 {
		b = appendIntParam(b, paramActiveConnectionIDLimit, p.ActiveConnectionIDLimit, defaultActiveConnectionIDLimit)
	}
	return p.appendExtensions(b)
}

// appendServerOnly appends the parameters of RFC 9000 that only a server sends.
func (p *TransportParameters) appendServerOnly(b []byte) []byte {
	if p.HasOriginalDstID {
		b = appendIDParam(b, paramOriginalDstID, p.OriginalDstID)
	}
	if p.HasRetrySrcID {
		b = appendIDParam(b, paramRetrySrcID, p.RetrySrcID)
	}
	if p.HasResetToken {
		b = append(appendParam(b, paramResetToken, len(p.ResetToken)), p.ResetToken[:]...)
	}
	if p.HasPreferredAddress {
		b = p.PreferredAddress.append(b)
	}
	return b
}

// appendExtensions appends the parameters that RFC 9000 does not have.
func (p *TransportParameters) appendExtensions(b []byte) []byte {
	b = appendIntParam(b, paramMaxDatagramFrame, p.MaxDatagramFrame, 0)
	if p.GreaseBit {
		b = appendParam(b, paramGreaseBit, 0)
	}
	if p.HasMinAckDelay {
		v := units(p.MinAckDelay, time.Microsecond)
		b = AppendVarint(appendParam(b, paramMinAckDelay, VarintLen(v)), v)
	}
	if p.HasMultipath {
		v := uint64(p.InitialMaxPathID)
		b = AppendVarint(appendParam(b, paramInitialMaxPathID, VarintLen(v)), v)
	}
	if p.Grease != 0 {
		const highest = (MaxVarint - 27) / 31
		b = appendParam(b, min(p.Grease/31, highest)*31+27, 0)
	}
	return b
}

func (a *PreferredAddress) append(b []byte) []byte {
	const fixed = 4 + 2 + 16 + 2 + 1
	b = appendParam(b, paramPreferredAddress, fixed+a.ID.Len()+len(a.Token))
	var v4 [4]byte
	var v6 [16]byte
	if a.IPv4.Addr().Is4() {
		v4 = a.IPv4.Addr().As4()
	}
	if a.IPv6.Addr().Is6() {
		v6 = a.IPv6.Addr().As16()
	}
	b = binary.BigEndian.AppendUint16(append(b, v4[:]...), a.IPv4.Port())
	b = binary.BigEndian.AppendUint16(append(b, v6[:]...), a.IPv6.Port())
	b = a.ID.Append(append(b, byte(a.ID.Len())))
	return append(b, a.Token[:]...)
}

// appendParam appends a parameter's identifier and the length of its value.
func appendParam(b []byte, id uint64, length int) []byte {
	return AppendVarint(AppendVarint(b, id), uint64(length))
}

// appendIntParam appends a parameter that is an integer, unless it has its default.
func appendIntParam(b []byte, id, v, otherwise uint64) []byte {
	if v == otherwise {
		return b
	}
	return AppendVarint(appendParam(b, id, VarintLen(v)), v)
}

func appendIDParam(b []byte, id uint64, v ConnID) []byte {
	return v.Append(appendParam(b, id, v.Len()))
}

// units returns how many units d has, rounded up.
func units(d, unit time.Duration) uint64 {
	n := d / unit
	if d%unit > 0 {
		n++
	}
	return uint64(n)
}
