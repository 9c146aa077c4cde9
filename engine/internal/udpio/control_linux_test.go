package udpio

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func testMessage(level, kind int, data ...byte) []byte {
	b, room := appendMessage(nil, level, kind, len(data))
	copy(room, data)
	return b
}

func testJoin(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func TestParseControl(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	mapped := netip.AddrFrom16(four.As16())
	info4 := testMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, 1, 0, 0, 0, 9, 9, 9, 9, 192, 0, 2, 7)
	info6 := appendSource(nil, six)
	infoMapped := testMessage(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, append(mapped.AsSlice(), 1, 0, 0, 0)...)
	gro := func(n uint16) []byte { // an int, and a machine that is little-endian
		return testMessage(unix.IPPROTO_UDP, unix.UDP_GRO, byte(n), byte(n>>8), 0, 0)
	}
	tests := []struct {
		name string
		in   []byte
		want control
	}{
		{"nothing", nil, control{}},
		{"mark of IPv4, with DSCP", testMessage(unix.IPPROTO_IP, unix.IP_TOS, 0xb8|2), control{ecn: wire.ECT0}},
		{"mark of IPv6", testMessage(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 3, 0, 0, 0), control{ecn: wire.CE}},
		{"address of IPv4: the header's", info4, control{local: four}},
		{"address of IPv6", info6, control{local: six}},
		{"address of IPv4 on an IPv6 socket", infoMapped, control{local: four}},
		{"segments", gro(1200), control{segment: 1200}},
		{"negative segments", testMessage(unix.IPPROTO_UDP, unix.UDP_GRO, 0xff, 0xff, 0xff, 0xff), control{}},
		{"all at once", testJoin(info6, testMessage(unix.IPPROTO_IP, unix.IP_TOS, 1), gro(9)), control{ecn: wire.ECT1, local: six, segment: 9}},
		{"unknown ones are skipped", testJoin(testMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMP, 1, 2, 3), gro(9)), control{segment: 9}},
		{"data too short", testMessage(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, 1, 2, 3), control{}},
		{"cut off in the header", gro(9)[:unix.SizeofCmsghdr-1], control{}},
		{"cut off in the data", gro(9)[:unix.SizeofCmsghdr+3], control{}},
		{"length below the header's", append(make([]byte, unix.SizeofCmsghdr), gro(9)...), control{}},
		{"length beyond all", testHuge(), control{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseControl(tt.in); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// testHuge is a message whose length field has all bits set.
func testHuge() []byte {
	b := testMessage(unix.IPPROTO_UDP, unix.UDP_GRO, 9, 0, 0, 0)
	for i := range wordSize {
		b[i] = 0xff
	}
	return b
}

func TestControlRoom(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::7")
	b := appendSegment(appendSource(appendECN(nil, wire.ECT0, six), six), 1200)
	if len(b) > controlRoom {
		t.Errorf("messages for sending are %d bytes, room is %d", len(b), controlRoom)
	}
	// A dual-stack socket hands out both families'.
	received := testJoin(appendSource(nil, six), appendSource(nil, netip.MustParseAddr("192.0.2.7")),
		testMessage(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0, 0, 0, 0), testMessage(unix.IPPROTO_IP, unix.IP_TOS, 0),
		testMessage(unix.IPPROTO_UDP, unix.UDP_GRO, 0, 0, 0, 0))
	if len(received) > controlRoom {
		t.Errorf("messages of receiving are %d bytes, room is %d", len(received), controlRoom)
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add([]byte{})
	f.Add(testHuge())
	f.Add(appendSegment(appendSource(appendECN(nil, wire.ECT0, netip.MustParseAddr("::1")), netip.MustParseAddr("::1")), 1200))
	f.Add(testMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, make([]byte, 12)...))
	f.Add(testMessage(unix.IPPROTO_UDP, unix.UDP_GRO, 0xb0, 4, 0, 0)[:21])
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parseControl(b)
		if c.segment < 0 || c.ecn > wire.CE || c.local.Is4In6() {
			t.Errorf("%x gives %+v", b, c)
		}
	})
}
