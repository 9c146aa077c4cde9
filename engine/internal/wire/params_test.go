package wire

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawParameters makes parameters that from may send.
func drawParameters(t *rapid.T, from Perspective) TransportParameters {
	num := func(name string, highest uint64) uint64 {
		return rapid.Uint64Range(0, highest).Draw(t, name) >> rapid.IntRange(0, 61).Draw(t, "shift")
	}
	id := func(least int) ConnID {
		return NewConnID(rapid.SliceOfN(rapid.Byte(), least, MaxConnIDLen).Draw(t, "id"))
	}
	token := func() ResetToken { return ResetToken(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "token")) }
	yes := func(name string) bool { return rapid.Bool().Draw(t, name) }
	p := TransportParameters{
		MaxIdleTimeout:                 time.Duration(num("idle", 1<<40)) * time.Millisecond,
		MaxUDPPayload:                  ByteCount(minMaxUDPPayload + num("payload", 1<<20)),
		InitialMaxData:                 num("data", MaxVarint),
		InitialMaxStreamDataBidiLocal:  num("local", MaxVarint),
		InitialMaxStreamDataBidiRemote: num("remote", MaxVarint),
		InitialMaxStreamDataUni:        num("uni", MaxVarint),
		InitialMaxStreamsBidi:          num("bidi streams", MaxStreamCount),
		InitialMaxStreamsUni:           num("uni streams", MaxStreamCount),
		AckDelayExponent:               uint8(rapid.IntRange(0, maxAckDelayExponent).Draw(t, "exponent")),
		MaxAckDelay:                    time.Duration(num("delay", 1<<14-1)) * time.Millisecond,
		DisableActiveMigration:         yes("no migration"),
		ActiveConnectionIDLimit:        2 + num("limit", 100),
		MaxDatagramFrame:               num("datagram", 65535),
		GreaseBit:                      yes("grease bit"),
		HasMinAckDelay:                 yes("ack frequency"),
		HasMultipath:                   yes("multipath"),
		HasInitialSrcID:                yes("source"),
		InitialSrcID:                   ConnID{},
	}
	if p.HasInitialSrcID {
		p.InitialSrcID = id(0)
	}
	if p.HasMinAckDelay {
		p.MinAckDelay = time.Duration(num("min", uint64(p.MaxAckDelay/time.Microsecond))) * time.Microsecond
	}
	if p.HasMultipath {
		p.InitialMaxPathID = PathID(num("path", MaxPathIDValue))
	}
	if from == Server {
		if p.HasOriginalDstID = yes("original"); p.HasOriginalDstID {
			p.OriginalDstID = id(0)
		}
		if p.HasRetrySrcID = yes("retry"); p.HasRetrySrcID {
			p.RetrySrcID = id(0)
		}
		if p.HasResetToken = yes("reset"); p.HasResetToken {
			p.ResetToken = token()
		}
		if p.HasPreferredAddress = yes("preferred"); p.HasPreferredAddress {
			p.PreferredAddress = PreferredAddress{ID: id(1), Token: token()}
			if yes("v4") {
				p.PreferredAddress.IPv4 = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(num("port", math.MaxUint16)))
			}
			if yes("v6") {
				p.PreferredAddress.IPv6 = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: 9}), uint16(num("port", math.MaxUint16)))
			}
		}
	}
	return p
}

// RFC 9000, section 18.2.
func TestDefaultTransportParameters(t *testing.T) {
	want := TransportParameters{MaxUDPPayload: 65527, AckDelayExponent: 3, MaxAckDelay: 25 * time.Millisecond, ActiveConnectionIDLimit: 2}
	if diff := diffValues(DefaultTransportParameters(), want); diff != "" {
		t.Errorf("got + want -:\n%s", diff)
	}
}

func TestTransportParametersRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := Perspective(rapid.IntRange(0, 1).Draw(t, "from"))
		want := drawParameters(t, from)
		want.Grease = rapid.Uint64().Draw(t, "grease")
		b := want.Append(nil, from)
		want.Grease = 0 // peers ignore it
		got, err := ParseTransportParameters(b, from)
		if diff := diffValues(got, want); diff != "" || err != nil {
			t.Fatalf("%x: error %v; got + want -:\n%s", b, err, diff)
		}
	})
}
