package udpio

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRawAddress(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		in     string
		family int
		want   string // empty: refused
	}{
		{"IPv4", "192.0.2.7:443", unix.AF_INET, "192.0.2.7:443"},
		{"IPv4 on an IPv6 socket", "192.0.2.7:443", unix.AF_INET6, "192.0.2.7:443"},
		{"mapped on an IPv4 socket", "[::ffff:192.0.2.7]:443", unix.AF_INET, "192.0.2.7:443"},
		{"IPv6", "[2001:db8::7]:65535", unix.AF_INET6, "[2001:db8::7]:65535"},
		{"IPv6 on an IPv4 socket", "[2001:db8::7]:1", unix.AF_INET, ""},
		{"a zone by name", "[fe80::1%lo]:9", unix.AF_INET6, "[fe80::1%lo]:9"},
		{"a zone by number", "[fe80::1%1]:9", unix.AF_INET6, "[fe80::1%lo]:9"},
		{"no such zone", "[fe80::1%nothing]:9", unix.AF_INET6, "[fe80::1]:9"},
		{"a zone where none belongs", "[2001:db8::7%lo]:9", unix.AF_INET6, "[2001:db8::7]:9"},
	}
	if lo.Index != 1 {
		t.Fatalf("lo has index %d, want 1", lo.Index)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r rawAddress
			var out, in zoneCache
			n := r.put(netip.MustParseAddrPort(tt.in), tt.family, &out)
			if tt.want == "" {
				if n != 0 {
					t.Errorf("taken, %d bytes", n)
				}
				return
			}
			if got := r.parse(&in); got.String() != tt.want || n == 0 {
				t.Errorf("got %v (%d bytes), want %s", got, n, tt.want)
			}
		})
	}
	var r rawAddress
	if got := r.parse(&zoneCache{}); got.IsValid() {
		t.Errorf("no family gives %v", got)
	}
}
