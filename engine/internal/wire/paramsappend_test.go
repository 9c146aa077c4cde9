package wire

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

func TestTransportParametersAppend(t *testing.T) {
	id := NewConnID([]byte{0xaa, 0xbb})
	token := ResetToken(unhex(t, "000102030405060708090a0b0c0d0e0f"))
	const tokenHex = "000102030405060708090a0b0c0d0e0f"
	address := PreferredAddress{
		IPv4: netip.MustParseAddrPort("192.0.2.1:443"), IPv6: netip.MustParseAddrPort("[2001:db8::1]:4433"), ID: id, Token: token,
	}
	tests := []struct {
		name   string
		from   Perspective
		change func(p *TransportParameters)
		want   string
	}{
		{"defaults are not sent", Server, func(*TransportParameters) {}, ""},
		{"zero stands for the default where it is invalid", Client, func(p *TransportParameters) {
			p.MaxUDPPayload, p.ActiveConnectionIDLimit = 0, 0
		}, ""},
		{"zero is sent where it is not the default", Client, func(p *TransportParameters) {
			p.AckDelayExponent, p.MaxAckDelay = 0, 0
		}, "0a0100 0b0100"},
		{"IDs of a client", Client, func(p *TransportParameters) { p.InitialSrcID, p.HasInitialSrcID = ConnID{}, true }, "0f00"},
		// RFC 9000, section 18.2: a client MUST NOT send these.
		{"a client leaves a server's out", Client, func(p *TransportParameters) {
			p.HasOriginalDstID, p.HasRetrySrcID, p.HasResetToken, p.HasPreferredAddress = true, true, true, true
		}, ""},
		{"a server's", Server, func(p *TransportParameters) {
			p.OriginalDstID, p.HasOriginalDstID = id, true
			p.RetrySrcID, p.HasRetrySrcID = id, true
			p.ResetToken, p.HasResetToken = token, true
		}, "0002aabb 1002aabb 0210" + tokenHex},
		{
			"preferred address", Server, func(p *TransportParameters) { p.PreferredAddress, p.HasPreferredAddress = address, true },
			"0d2b c0000201 01bb 20010db8000000000000000000000001 1151 02aabb" + tokenHex,
		},
		{"half a preferred address", Server, func(p *TransportParameters) {
			p.PreferredAddress, p.HasPreferredAddress = PreferredAddress{IPv4: address.IPv4, ID: id}, true
		}, "0d2b c0000201 01bb 00000000000000000000000000000000 0000 02aabb 00000000000000000000000000000000"},
		{"integers", Client, func(p *TransportParameters) {
			p.MaxIdleTimeout, p.MaxUDPPayload, p.MaxAckDelay = 30*time.Second, 1472, 26*time.Millisecond
			p.InitialMaxData, p.InitialMaxStreamDataBidiLocal, p.InitialMaxStreamDataBidiRemote = 4, 5, 6
			p.InitialMaxStreamDataUni, p.InitialMaxStreamsBidi, p.InitialMaxStreamsUni = 7, 8, 9
			p.AckDelayExponent, p.ActiveConnectionIDLimit = 10, 14
		}, "0104 80007530 0302 45c0 040104 050105 060106 070107 080108 090109 0a010a 0b011a 0e010e"},
		{"extensions", Client, func(p *TransportParameters) {
			p.DisableActiveMigration, p.GreaseBit, p.MaxDatagramFrame = true, true, 65535
			p.HasMinAckDelay, p.HasMultipath = true, true
			p.MinAckDelay, p.InitialMaxPathID = time.Millisecond, 3
		}, "0c00 2004 8000ffff 6ab200 c0000000ff04de1b 02 43e8 3e01 03"},
		{"extensions of value 0", Client, func(p *TransportParameters) { p.HasMinAckDelay, p.HasMultipath = true, true }, "c0000000ff04de1b 01 00 3e01 00"},
		{"times are rounded up", Client, func(p *TransportParameters) { p.MaxIdleTimeout = time.Nanosecond }, "010101"},
		// RFC 9000, section 18.1: reserved are 31*N+27.
		{"grease", Client, func(p *TransportParameters) { p.Grease = 58 }, "3a00"},
		{"grease from any number", Client, func(p *TransportParameters) { p.Grease = 1 }, "1b00"},
		{"grease from the largest", Client, func(p *TransportParameters) { p.Grease = 1<<64 - 1 }, "fffffffffffffff800"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := DefaultTransportParameters()
			tt.change(&p)
			if got, want := p.Append(nil, tt.from), unhex(t, tt.want); string(got) != string(want) {
				t.Errorf("Append = %s, want %s", hex.EncodeToString(got), hex.EncodeToString(want))
			}
		})
	}
}
