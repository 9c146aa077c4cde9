package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

var (
	macA = [6]byte{2, 0, 0, 0, 0, 0xa}
	macB = [6]byte{2, 0, 0, 0, 0, 0xb}
)

// ipFrame is a frame from a to b with a UDP payload, or what edit makes of it.
func ipFrame(a, b netip.Addr, payload int, edit func(frame []byte)) []byte {
	var frame []byte
	frame = append(append(frame, macB[:]...), macA[:]...)
	if a.Is4() {
		frame = binary.BigEndian.AppendUint16(frame, etherTypeIPv4)
		frame = append(frame, 0x45, 0, byte((28+payload)>>8), byte(28+payload), 0, 0, 0x40, 0, 64, 17, 0, 0)
	} else {
		frame = binary.BigEndian.AppendUint16(frame, etherTypeIPv6)
		frame = append(frame, 0x60, 0, 0, 0, byte((8+payload)>>8), byte(8+payload), 17, 64)
	}
	frame = append(append(frame, a.AsSlice()...), b.AsSlice()...)
	frame = append(frame, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0)
	for i := range payload {
		frame = append(frame, byte(i))
	}
	if edit != nil {
		edit(frame)
	}
	return frame
}

// checksum is that of RFC 1071, as plain as can be: 0xffff over what includes it.
func checksum(parts ...[]byte) uint16 {
	b := bytes.Join(parts, nil)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	sum := 0
	for i := 0; i < len(b); i += 2 {
		if sum += int(b[i])<<8 + int(b[i+1]); sum > 0xffff {
			sum -= 0xffff
		}
	}
	return uint16(sum)
}

// RFC 1191, section 4: type 3, code 4, the MTU in the low 16 bits of the second word.
func TestFragmentationNeeded(t *testing.T) {
	for _, payload := range []int{1301, 1472, 301} { // cut, full, whole and odd
		frame := ipFrame(addrA4.Addr(), addrB4.Addr(), payload, nil)
		got := new(router).tooBig(frame, 1300)
		quoted := min(28+payload, 548)
		if len(got) != 14+20+8+quoted {
			t.Fatalf("payload %d: the message has %d bytes, want %d", payload, len(got), 14+28+quoted)
		}
		ip, icmp := got[14:], got[34:]
		if !bytes.Equal(got[:6], macA[:]) || !bytes.Equal(got[6:12], macB[:]) || binary.BigEndian.Uint16(got[12:]) != 0x0800 {
			t.Errorf("Ethernet header % x", got[:14])
		}
		if ip[0] != 0x45 || int(binary.BigEndian.Uint16(ip[2:])) != len(ip) || ip[8] != 64 || ip[9] != 1 ||
			!bytes.Equal(ip[12:16], addrB4.Addr().AsSlice()) || !bytes.Equal(ip[16:20], addrA4.Addr().AsSlice()) {
			t.Errorf("IP header % x", ip[:20])
		}
		if sum := checksum(ip[:20]); sum != 0xffff {
			t.Errorf("IP header % x has the sum %#x", ip[:20], sum)
		}
		if icmp[0] != 3 || icmp[1] != 4 || binary.BigEndian.Uint32(icmp[4:]) != 1300 || !bytes.Equal(icmp[8:], frame[14:14+quoted]) {
			t.Errorf("message % x", icmp[:36])
		}
		if sum := checksum(icmp); sum != 0xffff {
			t.Errorf("the message has the sum %#x", sum)
		}
	}
}

// RFC 4443, section 3.2: type 2, code 0, the MTU, as much of the packet as fits the
// smallest MTU of IPv6.
func TestPacketTooBig(t *testing.T) {
	for _, payload := range []int{1301, 1452, 301} {
		frame := ipFrame(addrA6.Addr(), addrB6.Addr(), payload, nil)
		got := new(router).tooBig(frame, 1300)
		quoted := min(48+payload, 1232)
		if len(got) != 14+40+8+quoted {
			t.Fatalf("payload %d: the message has %d bytes, want %d", payload, len(got), 14+48+quoted)
		}
		ip, icmp := got[14:], got[54:]
		if ip[0]>>4 != 6 || int(binary.BigEndian.Uint16(ip[4:])) != len(icmp) || ip[6] != 58 || ip[7] != 64 ||
			!bytes.Equal(ip[8:24], addrB6.Addr().AsSlice()) || !bytes.Equal(ip[24:40], addrA6.Addr().AsSlice()) {
			t.Errorf("IP header % x", ip[:40])
		}
		if icmp[0] != 2 || icmp[1] != 0 || binary.BigEndian.Uint32(icmp[4:]) != 1300 || !bytes.Equal(icmp[8:], frame[14:14+quoted]) {
			t.Errorf("message % x", icmp[:56])
		}
		// RFC 8200, section 8.1: the pseudo-header.
		pseudo := append(bytes.Clone(ip[8:40]), 0, 0, byte(len(icmp)>>8), byte(len(icmp)), 0, 0, 0, 58)
		if sum := checksum(pseudo, icmp); sum != 0xffff {
			t.Errorf("the message has the sum %#x", sum)
		}
	}
}

// RFC 1122, section 3.2.2, and RFC 4443, section 2.4 (e): what no message may be about.
func TestNoMessage(t *testing.T) {
	v4 := func(edit func(ip []byte)) []byte {
		return ipFrame(addrA4.Addr(), addrB4.Addr(), 1400, func(f []byte) { edit(f[14:]) })
	}
	v6 := func(edit func(ip []byte)) []byte {
		return ipFrame(addrA6.Addr(), addrB6.Addr(), 1400, func(f []byte) { edit(f[14:]) })
	}
	for _, tc := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"IPv4", v4(func([]byte) {}), true},
		{"IPv4 that may be fragmented", v4(func(ip []byte) { ip[6] = 0 }), false},
		{"IPv4, the first fragment", v4(func(ip []byte) { ip[6] = 0x60 }), true},
		{"IPv4, a later fragment", v4(func(ip []byte) { ip[6], ip[7] = 0x40, 1 }), false},
		{"IPv4 to a group", v4(func(ip []byte) { ip[16] = 224 }), false},
		{"IPv4 to all", v4(func(ip []byte) { copy(ip[16:], []byte{255, 255, 255, 255}) }), false},
		{"IPv4 from nobody", v4(func(ip []byte) { copy(ip[12:], []byte{0, 0, 0, 0}) }), false},
		{"IPv4 from loopback", v4(func(ip []byte) { ip[12] = 127 }), false},
		{"IPv4, an ICMP error", v4(func(ip []byte) { ip[9], ip[20] = 1, 3 }), false},
		{"IPv4, a ping", v4(func(ip []byte) { ip[9], ip[20] = 1, 8 }), true},
		{"IPv4, a header that is too long", v4(func(ip []byte) { ip[0] = 0x4f; copy(ip, ip[:20]) })[:14+20], false},
		{"IPv6", v6(func([]byte) {}), true},
		{"IPv6 to a group", v6(func(ip []byte) { ip[24] = 0xff }), false},
		{"IPv6 from nobody", v6(func(ip []byte) { clear(ip[8:24]) }), false},
		{"IPv6, an ICMP error", v6(func(ip []byte) { ip[6], ip[40] = 58, 2 }), false},
		{"IPv6, a redirect", v6(func(ip []byte) { ip[6], ip[40] = 58, 137 }), false},
		{"IPv6, a ping", v6(func(ip []byte) { ip[6], ip[40] = 58, 128 }), true},
		{"IPv6, an ICMP error behind options", v6(func(ip []byte) { ip[6] = 60; ip[40], ip[41] = 58, 1; ip[56] = 2 }), false},
		{"IPv6, a ping behind options", v6(func(ip []byte) { ip[6] = 60; ip[40], ip[41] = 58, 1; ip[56] = 128 }), true},
		{"IPv6, options without end", v6(func(ip []byte) { ip[6] = 60; ip[40], ip[41] = 58, 255 }), false},
		{"to more than one host", ipFrame(addrA4.Addr(), addrB4.Addr(), 1400, func(f []byte) { f[0] |= 1 }), false},
		{"no IP", ipFrame(addrA4.Addr(), addrB4.Addr(), 1400, func(f []byte) { f[12] = 0x86 }), false},
		{"nothing", nil, false},
	} {
		if got := new(router).tooBig(tc.frame, 1300) != nil; got != tc.want {
			t.Errorf("%s: message %v, want %v", tc.name, got, tc.want)
		}
	}
}

func FuzzTooBig(f *testing.F) {
	f.Add(ipFrame(addrA4.Addr(), addrB4.Addr(), 100, nil))
	f.Add(ipFrame(addrA6.Addr(), addrB6.Addr(), 100, func(f []byte) { f[20] = 0 }))
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		startsClock(frame)
		message := new(router).tooBig(frame, 68)
		if len(message) > 14+icmpv6Size || !bytes.Equal(frame, before) {
			t.Errorf("a message of %d bytes about % x, now % x", len(message), before, frame)
		}
	})
}

// RFC 4443, section 2.4 (f): the rate of messages is limited.
func TestMessagesAreLimited(t *testing.T) {
	var r router
	sent := 0
	for now := emulation.Time(1); now < emulation.Time(2*time.Second); now = now.Add(time.Millisecond) {
		if r.may(now) {
			sent++
		}
	}
	if want := icmpBurst + 2*icmpRate; sent < want-2 || sent > want+2 {
		t.Errorf("%d messages in 2 s, want about %d", sent, want)
	}
	sent = 0
	for r.may(emulation.Time(time.Hour)) {
		sent++
	}
	if sent != icmpBurst {
		t.Errorf("%d messages at once after an hour, want %d", sent, icmpBurst)
	}
}

func TestStartsClock(t *testing.T) {
	icmp := func(icmpType byte) func([]byte) {
		return func(f []byte) { f[20], f[54] = 58, icmpType }
	}
	for _, tc := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"IPv4", ipFrame(addrA4.Addr(), addrB4.Addr(), 10, nil), true},
		{"IGMP", ipFrame(addrA4.Addr(), addrB4.Addr(), 10, func(f []byte) { f[23] = 2 }), false},
		{"ARP", ipFrame(addrA4.Addr(), addrB4.Addr(), 10, func(f []byte) { f[13] = 6 }), false},
		{"IPv6", ipFrame(addrA6.Addr(), addrB6.Addr(), 10, nil), true},
		{"ping", ipFrame(addrA6.Addr(), addrB6.Addr(), 10, icmp(128)), true},
		{"neighbour solicitation", ipFrame(addrA6.Addr(), addrB6.Addr(), 10, icmp(135)), false},
		{"router solicitation", ipFrame(addrA6.Addr(), addrB6.Addr(), 10, icmp(133)), false},
		{"MLD report behind a router alert", ipFrame(addrA6.Addr(), addrB6.Addr(), 20, func(f []byte) { f[20], f[54], f[55], f[62] = 0, 58, 0, 143 }), false},
		{"a whole frame of nothing", make([]byte, 60), false},
	} {
		if got := startsClock(tc.frame); got != tc.want {
			t.Errorf("%s: starts the clock %v, want %v", tc.name, got, tc.want)
		}
	}
}

// throughHole is a wire with a path MTU of 1300, both ways.
func throughHole(t *testing.T) *rig {
	r := newRig(t)
	hole := emulation.Impairments{MTU: 1300, TooBig: emulation.TooBigICMP}
	r.start(Wire{Up: hole, Down: hole})
	return r
}

var families = []struct {
	name     string
	a, b     netip.Addr
	level    int // of the socket options
	discover int
	do       int
	mtu      int
	overhead int // of UDP
}{
	{"ipv4", addrA4.Addr(), addrB4.Addr(), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO, unix.IP_MTU, 28},
	{"ipv6", addrA6.Addr(), addrB6.Addr(), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO, unix.IPV6_MTU, 48},
}

// Linux learns the path MTU from the message: the socket says so, refuses what is
// larger, and what fits comes through.
func TestUDPLearnsThePathMTU(t *testing.T) {
	for _, tc := range families {
		t.Run(tc.name, func(t *testing.T) {
			r := throughHole(t)
			f := r.flow(100, tc.a, tc.b)
			f.send(1, 1) // the neighbours know each other now
			onSocket(t, f.from, func(fd int) error { return unix.SetsockoptInt(fd, tc.level, tc.discover, tc.do) })
			mtu := func() (mtu int) {
				onSocket(t, f.from, func(fd int) (err error) {
					mtu, err = unix.GetsockoptInt(fd, tc.level, tc.mtu)
					return err
				})
				return mtu
			}
			if got := mtu(); got != 1500 {
				t.Fatalf("the path MTU is %d at first, want 1500", got)
			}
			if _, err := f.from.Write(make([]byte, 1400)); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(patience); mtu() != 1300; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the path MTU is still %d, want 1300: %+v", mtu(), r.counters().Up)
				}
			}
			onSocket(t, f.from, func(fd int) error { // take the error that the message left
				_, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
				return err
			})
			if _, err := f.from.Write(make([]byte, 1301-tc.overhead)); !errors.Is(err, unix.EMSGSIZE) {
				t.Errorf("a packet of 1301 bytes: got %v, want %v", err, unix.EMSGSIZE)
			}
			f.size = 1300 - tc.overhead
			f.send(1, 1)
			s := r.until("counted", func(s WireStatus) bool { return s.Up.TooBig.Told == 1 })
			if s.Up.Dropped["mtu"] != 1 || s.Up.TooBig != (TooBigStatus{Told: 1}) || s.Down.TooBig != (TooBigStatus{}) {
				t.Errorf("counted %d drops, %+v and %+v down; want 1, one told and none", s.Up.Dropped["mtu"], s.Up.TooBig, s.Down.TooBig)
			}
		})
	}
}

// TCP gets through a hole of 1300 with the messages, whichever end sends.
func TestTCPThroughAnMTUHole(t *testing.T) {
	for _, tc := range families {
		t.Run(tc.name, func(t *testing.T) {
			r := throughHole(t)
			const size = 1 << 20
			var listener net.Listener
			r.b.do(func() (err error) {
				listener, err = net.Listen("tcp", netip.AddrPortFrom(tc.b, 0).String())
				return err
			})
			defer listener.Close()
			got := make(chan int64)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					got <- -1
					return
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				n, _ := io.Copy(conn, io.LimitReader(conn, size)) // back as it comes
				got <- n
			}()
			var conn net.Conn
			r.a.do(func() (err error) {
				conn, err = net.Dial("tcp", listener.Addr().String())
				return err
			})
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			go func() { _, _ = conn.Write(make([]byte, size)) }()
			if n, err := io.Copy(io.Discard, io.LimitReader(conn, size)); n != size || err != nil {
				t.Errorf("%d of %d bytes came back: %v", n, size, err)
			}
			if n := <-got; n != size {
				t.Errorf("%d of %d bytes came through", n, size)
			}
			s := r.until("what was told", func(s WireStatus) bool { return s.Up.TooBig.Told > 0 && s.Down.TooBig.Told > 0 })
			if s.Up.Dropped["mtu"] != s.Up.TooBig.Told+s.Up.TooBig.HeldBack {
				t.Errorf("%d drops, %+v", s.Up.Dropped["mtu"], s.Up.TooBig)
			}
		})
	}
}

// Silence is silence: neither a message when none is asked for, nor one about a packet
// that may be fragmented.
func TestNoMessageOnTheWire(t *testing.T) {
	for _, tc := range []struct {
		name   string
		tooBig emulation.TooBig
		mode   int
		want   TooBigStatus
	}{
		{"silent", emulation.TooBigSilent, unix.IP_PMTUDISC_DO, TooBigStatus{}},
		{"may be fragmented", emulation.TooBigICMP, unix.IP_PMTUDISC_DONT, TooBigStatus{Untold: 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t).quiet()
			r.start(Wire{Up: emulation.Impairments{MTU: 1300, TooBig: tc.tooBig}})
			f := r.flow(1400, addrA4.Addr(), addrB4.Addr())
			onSocket(t, f.from, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, tc.mode) })
			in := r.a.statistics("a").RxPackets
			f.send(3, 0)
			s := r.until("three drops", func(s WireStatus) bool { return s.Up.Dropped["mtu"] == 3 })
			if s.Up.TooBig != tc.want {
				t.Errorf("counted %+v, want %+v", s.Up.TooBig, tc.want)
			}
			if n := r.a.statistics("a").RxPackets - in; n != 0 {
				t.Errorf("%d frames came back", n)
			}
		})
	}
}
