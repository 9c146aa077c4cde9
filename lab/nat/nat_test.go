package nat

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/netns"
)

// network is a host behind a NAT and one in front of it, both families.
type network struct {
	inside, nat, outside *netns.NS
}

func newNS(t *testing.T) *netns.NS {
	t.Helper()
	name := "tqltest-" + rand.Text()[:8]
	ns, err := netns.Create(name, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(ns.Close(), netns.Remove(name)); err != nil {
			t.Error(err)
		}
	})
	return ns
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

func newNetwork(t *testing.T) network {
	t.Helper()
	n := network{newNS(t), newNS(t), newNS(t)}
	for _, ns := range []*netns.NS{n.inside, n.nat, n.outside} {
		if err := link.SetSysctls(ns, link.NodeSysctls()); err != nil {
			t.Fatal(err)
		}
	}
	mac := func(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, last} }
	for _, pair := range [][2]link.End{
		{
			{NS: n.inside, Name: "home", MTU: 1500, MAC: mac(1), Addresses: prefixes("10.0.0.1/24", "fd00::1/64")},
			{NS: n.nat, Name: "home", MTU: 1500, MAC: mac(2), Addresses: prefixes("10.0.0.2/24", "fd00::2/64")},
		},
		{
			{NS: n.nat, Name: "wan", MTU: 1500, MAC: mac(3), Addresses: prefixes("10.0.1.1/24", "fd00:1::1/64")},
			{NS: n.outside, Name: "wan", MTU: 1500, MAC: mac(4), Addresses: prefixes("10.0.1.2/24", "fd00:1::2/64")},
		},
	} {
		if err := link.CreateVeth(pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
		for i, end := range pair {
			if err := link.AwaitUp(t.Context(), end.NS, end.Name); err != nil {
				t.Fatal(err)
			}
			var peers []link.Neighbour
			for _, p := range pair[1-i].Addresses {
				peers = append(peers, link.Neighbour{Address: p.Addr(), MAC: pair[1-i].MAC})
			}
			if err := link.AddNeighbours(end.NS, end.Name, peers); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := link.SetSysctls(n.nat, []link.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}, {Name: "net.ipv6.conf.all.forwarding", Value: "1"}}); err != nil {
		t.Fatal(err)
	}
	route(t, n.inside, "10.0.1.0/24", "10.0.0.2")
	route(t, n.inside, "fd00:1::/64", "fd00::2")
	// The outside knows a way in: the NAT itself must hide what is there.
	route(t, n.outside, "10.0.0.0/24", "10.0.1.1")
	route(t, n.outside, "fd00::/64", "fd00:1::1")
	if err := SetUp(n.nat, homeNAT()); err != nil {
		t.Fatal(err)
	}
	return n
}

func homeNAT() Config {
	return Config{Inside: []string{"home"}, Outside: []Outside{{
		Name: "wan", Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("fd00:1::1")},
	}}}
}

func route(t *testing.T, ns *netns.NS, to, via string) {
	t.Helper()
	h, err := ns.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	_, dst, err := net.ParseCIDR(to)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.RouteAdd(&netlink.Route{Dst: dst, Gw: net.ParseIP(via)}); err != nil {
		t.Fatal(err)
	}
}

// socket opens a UDP socket inside the namespace.
func socket(t *testing.T, ns *netns.NS, address string) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := ns.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// send sends one datagram and returns where it seemed to come from, or false when it
// did not arrive.
func send(t *testing.T, from, to *net.UDPConn, dst netip.AddrPort, patience time.Duration) (netip.AddrPort, bool) {
	t.Helper()
	text := rand.Text()
	if _, err := from.WriteToUDPAddrPort([]byte(text), dst); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for {
		n, source, err := to.ReadFromUDPAddrPort(buf)
		if err != nil {
			return netip.AddrPort{}, false
		}
		if string(buf[:n]) == text {
			return netip.AddrPortFrom(source.Addr().Unmap(), source.Port()), true
		}
	}
}

const (
	soon  = 5 * time.Second        // for what must arrive
	never = 200 * time.Millisecond // for what must not
)

// The port inside is one of the first range: a NAT keeps it while it can.
var families = []struct{ name, inside, nat, outside string }{
	{"IPv4", "10.0.0.1:20000", "10.0.1.1", "10.0.1.2:443"},
	{"IPv6", "[fd00::1]:20000", "fd00:1::1", "[fd00:1::2]:443"},
}

func TestRebind(t *testing.T) {
	n := newNetwork(t)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			client, server := socket(t, n.inside, f.inside), socket(t, n.outside, f.outside)
			there := netip.MustParseAddrPort(f.outside)
			var before netip.AddrPort
			for range portBlocks + 1 { // the ranges are used again
				seenFrom, ok := send(t, client, server, there, soon)
				if !ok || seenFrom.Addr() != netip.MustParseAddr(f.nat) {
					t.Fatalf("the server sees the client at %v (%v), want the NAT's %s", seenFrom, ok, f.nat)
				}
				if again, _ := send(t, client, server, there, soon); again != seenFrom {
					t.Errorf("the mapping changed by itself from %v to %v", seenFrom, again)
				}
				if seenFrom == before {
					t.Errorf("after Rebind the client is still at %v", before)
				}
				if source, ok := send(t, server, client, seenFrom, soon); !ok || source != there {
					t.Errorf("the answer came from %v (%v), want %v", source, ok, there)
				}
				if before.IsValid() {
					if _, ok := send(t, server, client, before, never); ok {
						t.Errorf("the forgotten mapping %v still works", before)
					}
				}
				ports, err := PortsOf(n.nat)
				if err != nil || seenFrom.Port() < ports.First || seenFrom.Port() > ports.Last {
					t.Errorf("port %d, %v; want one in %v", seenFrom.Port(), err, ports)
				}
				before = seenFrom
				if err := Rebind(n.nat); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A server that sends to a forgotten mapping hears nothing, not a refusal.
func TestForgottenMappingIsSilent(t *testing.T) {
	n := newNetwork(t)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			client, server := socket(t, n.inside, f.inside), socket(t, n.outside, f.outside)
			seen, ok := send(t, client, server, netip.MustParseAddrPort(f.outside), soon)
			if !ok {
				t.Fatal("nothing arrived")
			}
			if err := Rebind(n.nat); err != nil {
				t.Fatal(err)
			}
			var asking net.Conn
			server.Close()
			if err := n.outside.Do(func() (err error) {
				asking, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(f.outside)), net.UDPAddrFromAddrPort(seen))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			defer asking.Close()
			for range 2 {
				if _, err := asking.Write([]byte("there?")); err != nil {
					t.Fatalf("the NAT refused: %v", err)
				}
				_ = asking.SetReadDeadline(time.Now().Add(never))
				if _, err := asking.Read(make([]byte, 10)); err == nil || strings.Contains(err.Error(), "refused") {
					t.Fatalf("reading gives %v, want no answer", err)
				}
			}
		})
	}
}

func TestInsideIsHidden(t *testing.T) {
	n := newNetwork(t)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			client, server := socket(t, n.inside, f.inside), socket(t, n.outside, f.outside)
			if _, ok := send(t, server, client, netip.MustParseAddrPort(f.inside), never); ok {
				t.Error("a datagram from outside reached an inside address")
			}
			// The same way is open for an answer.
			seen, ok := send(t, client, server, netip.MustParseAddrPort(f.outside), soon)
			if !ok {
				t.Fatal("nothing got out")
			}
			if _, ok := send(t, server, client, seen, soon); !ok {
				t.Error("no answer got in")
			}
		})
	}
}

// The shield is for mappings that were, not for the node's own programs.
func TestOwnSocketsAreServed(t *testing.T) {
	n := newNetwork(t)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			own, server := socket(t, n.nat, netip.AddrPortFrom(netip.MustParseAddr(f.nat), 20000).String()), socket(t, n.outside, f.outside)
			if _, ok := send(t, server, own, netip.AddrPortFrom(netip.MustParseAddr(f.nat), 20000), soon); !ok {
				t.Error("nothing arrived at the NAT's own socket")
			}
		})
	}
}

func TestRebindOfWhatIsNoNAT(t *testing.T) {
	if err := Rebind(newNS(t)); err == nil || !strings.Contains(err.Error(), "rebind NAT in tqltest-") {
		t.Errorf("Rebind = %v, want an error that names the namespace", err)
	}
}

func TestSetUpTwice(t *testing.T) {
	n := newNetwork(t)
	if err := Rebind(n.nat); err != nil {
		t.Fatal(err)
	}
	if err := SetUp(n.nat, homeNAT()); err != nil {
		t.Fatal(err)
	}
	if got, err := PortsOf(n.nat); err != nil || got != portsOf(0) {
		t.Errorf("ports %v, %v; want %v", got, err, portsOf(0))
	}
}

func TestPortsOfNeighboursDiffer(t *testing.T) {
	p := portsOf(0)
	for range 2 * portBlocks {
		next := p.next()
		if next.First <= p.Last && next.Last >= p.First || next.Last < next.First || next.First < firstPort {
			t.Errorf("after %v comes %v", p, next)
		}
		p = next
	}
	if p != portsOf(0) {
		t.Errorf("twice around ends at %v", p)
	}
}
