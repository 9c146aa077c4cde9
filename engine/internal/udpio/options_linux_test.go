package udpio

import (
	"testing"

	"golang.org/x/sys/unix"
)

// RFC 9000, section 14: in IPv4 the DF bit MUST be set, in IPv6 no source fragments. The
// kernel must also not set the size by itself, from what ICMP told.
func TestFragmentsAreForbidden(t *testing.T) {
	for _, tt := range []struct {
		bind          string
		level, option int
		want          int
	}{
		{"127.0.0.1:0", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
		{"[::1]:0", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
		{"[::1]:0", unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1},
		{"[::]:0", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE}, // IPv4 through it
	} {
		s := newTestSocket(t, "udp", tt.bind, Config{})
		err := s.raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), tt.level, tt.option); err != nil || got != tt.want {
				t.Errorf("%s: option %d of level %d is %d, %v; want %d", tt.bind, tt.option, tt.level, got, err, tt.want)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
