package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/nat"
	"github.com/tquiclab/tquiclab/topologies"
)

// topologyOf makes a topology of nodes and of links that join them, dual-stack, with
// the addresses that a file would get.
func topologyOf(nodes []topologies.Node, links ...topologies.Link) topologies.Topology {
	t := topologies.Topology{Name: "nodes", Seed: 1, Nodes: nodes}
	for i, l := range links {
		l.MTU = 1500
		for end := range l.Addresses {
			if l.Family != topologies.IPv6Only {
				l.Addresses[end] = append(l.Addresses[end], netip.MustParsePrefix(fmt.Sprintf("10.77.%d.%d/24", i, end+1)))
			}
			if l.Family != topologies.IPv4Only {
				l.Addresses[end] = append(l.Addresses[end], netip.MustParsePrefix(fmt.Sprintf("fd74:7171:0:%x::%d/64", i, end+1)))
			}
		}
		t.Links = append(t.Links, l)
	}
	return t
}

func joining(name, a, b string) topologies.Link {
	return topologies.Link{Name: name, Endpoints: [2]string{a, b}}
}

func hosts(names ...string) (nodes []topologies.Node) {
	for _, n := range names {
		nodes = append(nodes, topologies.Node{Name: n})
	}
	return nodes
}

// sharedBottleneck is a client with two links to a router, and the router's one link
// to the server.
func sharedBottleneck() topologies.Topology {
	wan := joining("wan", "router", "server")
	wan.Up = emulation.Impairments{Delay: time.Millisecond}
	wan.Down = wan.Up
	return topologyOf(append(hosts("client", "server"), topologies.Node{Name: "router", Kind: topologies.Router}),
		joining("a", "client", "router"), joining("b", "client", "router"), wan)
}

// home is a client behind a NAT, with a router between the NAT and the server.
func home() topologies.Topology {
	return topologyOf(append(hosts("client", "server"),
		topologies.Node{Name: "home", Kind: topologies.NAT, Inside: []string{"lan"}},
		topologies.Node{Name: "isp", Kind: topologies.Router}),
		joining("lan", "client", "home"), joining("access", "home", "isp"), joining("wan", "isp", "server"))
}

// udp opens a socket in the node.
func udp(t *testing.T, l *Lab, node string, address netip.AddrPort) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	if err := l.Do(node, func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// exchange sends a datagram and its answer, and returns where the answerer saw it come
// from.
func exchange(t *testing.T, from, to *net.UDPConn, dst netip.AddrPort) netip.AddrPort {
	t.Helper()
	buf := make([]byte, 100)
	deadline := time.Now().Add(5 * time.Second)
	if err := errors.Join(from.SetDeadline(deadline), to.SetDeadline(deadline)); err != nil {
		t.Fatal(err)
	}
	if _, err := from.WriteToUDPAddrPort([]byte("there"), dst); err != nil {
		t.Fatal(err)
	}
	n, source, err := to.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("nothing arrived: %v", err)
	}
	if _, err := to.WriteToUDPAddrPort(buf[:n], source); err != nil {
		t.Fatal(err)
	}
	if n, _, err = from.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != "there" {
		t.Fatalf("got %q, %v, want the datagram back", buf[:n], err)
	}
	return netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
}

// addressesOf returns the node's addresses on the link.
func addressesOf(t topologies.Topology, link, node string) (addresses []netip.Addr) {
	l := t.Links[slices.IndexFunc(t.Links, func(l topologies.Link) bool { return l.Name == link })]
	for _, p := range l.Addresses[l.End(node)] {
		addresses = append(addresses, p.Addr())
	}
	return addresses
}

// packetsOn counts what the node sent on the link.
func packetsOn(t *testing.T, l *Lab, node, link string) (n int) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", NodeNamespace(l.Name(), node), "cat", "/sys/class/net/"+link+"/statistics/tx_packets").CombinedOutput()
	if err == nil {
		_, err = fmt.Sscan(string(out), &n)
	}
	if err != nil {
		t.Fatalf("read counter: %v: %s", err, out)
	}
	return n
}

func TestPacketsLeaveByTheLinkOfTheirAddress(t *testing.T) {
	h, top := newHost(t), sharedBottleneck()
	l := mustUp(t, h, UpConfig{Topology: top, Name: uniqueName(), Backend: BackendRelay}).Lab
	const packets = 20
	for family := range 2 {
		server := udp(t, l, "server", netip.AddrPortFrom(addressesOf(top, "wan", "server")[family], 7000))
		for _, link := range []string{"a", "b"} {
			before := packetsOn(t, l, "client", link)
			backBefore := packetsOn(t, l, "router", link)
			client := udp(t, l, "client", netip.AddrPortFrom(addressesOf(top, link, "client")[family], 0))
			for range packets {
				seen := exchange(t, client, server, netip.AddrPortFrom(addressesOf(top, "wan", "server")[family], 7000))
				if want := addressesOf(top, link, "client")[family]; seen.Addr() != want {
					t.Fatalf("the server sees %v, want %v", seen, want)
				}
			}
			if sent := packetsOn(t, l, "client", link) - before; sent < packets {
				t.Errorf("%d packets left by %s, want %d", sent, link, packets)
			}
			if sent := packetsOn(t, l, "router", link) - backBefore; sent < packets {
				t.Errorf("%d answers came by %s, want %d", sent, link, packets)
			}
		}
	}
}

func TestNATNode(t *testing.T) {
	h, top := newHost(t), home()
	l := mustUp(t, h, UpConfig{Topology: top, Name: uniqueName(), Backend: BackendRelay}).Lab
	for family := range 2 {
		there := netip.AddrPortFrom(addressesOf(top, "wan", "server")[family], 7000)
		server := udp(t, l, "server", there)
		client := udp(t, l, "client", netip.AddrPortFrom(addressesOf(top, "lan", "client")[family], 6000))
		first := exchange(t, client, server, there)
		if want := addressesOf(top, "access", "home")[family]; first.Addr() != want {
			t.Errorf("the server sees the client at %v, want the NAT's %v", first, want)
		}
		ns, err := l.Namespace("home")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(nat.Rebind(ns), ns.Close()); err != nil {
			t.Fatal(err)
		}
		if second := exchange(t, client, server, there); second == first || second.Addr() != first.Addr() {
			t.Errorf("after Rebind the server sees %v, before %v, want another port", second, first)
		}
		// Nobody outside knows a way to what the NAT hides.
		inside := netip.AddrPortFrom(addressesOf(top, "lan", "client")[family], 6000)
		if _, err := server.WriteToUDPAddrPort([]byte("hello"), inside); err == nil || !strings.Contains(err.Error(), "unreachable") {
			t.Errorf("sending to %v from outside: %v, want it unreachable", inside, err)
		}
	}
}

func TestFamilies(t *testing.T) {
	four, six := joining("four", "client", "server"), joining("six", "client", "server")
	four.Family, six.Family = topologies.IPv4Only, topologies.IPv6Only
	six.Up = emulation.Impairments{Delay: time.Millisecond}
	h, top := newHost(t), topologyOf(hosts("client", "server"), four, six)
	l := mustUp(t, h, UpConfig{Topology: top, Name: uniqueName(), Backend: BackendRelay}).Lab
	for _, link := range []string{"four", "six"} {
		there := netip.AddrPortFrom(addressesOf(top, link, "server")[0], 7000)
		server := udp(t, l, "server", there)
		client := udp(t, l, "client", netip.AddrPortFrom(addressesOf(top, link, "client")[0], 0))
		exchange(t, client, server, there)
	}
	for node := range map[string]bool{"client": true, "server": true} {
		for link, foreign := range map[string]string{"four": "inet6", "six": "inet "} {
			out, err := exec.Command("ip", "-n", NodeNamespace(l.Name(), node), "addr", "show", "dev", link).CombinedOutput()
			if err != nil || strings.Contains(string(out), foreign) {
				t.Errorf("%s of %s: %v, want no %s:\n%s", link, node, err, foreign, out)
			}
		}
	}
}

// A router hands packets on over several hops, and tells a sender that they do not
// fit.
func TestPathMTUIsFound(t *testing.T) {
	top := sharedBottleneck()
	top.Links[2].MTU = 1280
	h := newHost(t)
	l := mustUp(t, h, UpConfig{Topology: top, Name: uniqueName(), Backend: BackendRelay}).Lab
	for family := range 2 {
		there := netip.AddrPortFrom(addressesOf(top, "wan", "server")[family], 7000)
		server := udp(t, l, "server", there)
		client := udp(t, l, "client", netip.AddrPortFrom(addressesOf(top, "a", "client")[family], 0))
		exchange(t, client, server, there)
		// The first big one is refused by the router, later ones come in fragments.
		buf := make([]byte, 2000)
		arrived := false
		for range 20 {
			_, _ = client.WriteToUDPAddrPort(buf[:1400], there)
			_ = server.SetReadDeadline(time.Now().Add(250 * time.Millisecond))
			if n, _, err := server.ReadFromUDPAddrPort(buf); err == nil && n == 1400 {
				arrived = true
				break
			}
		}
		if !arrived {
			t.Errorf("family %d: a datagram above the path's MTU never arrived", family)
		}
	}
}

func TestPlanOfRoutersAndNATs(t *testing.T) {
	var text []string
	for _, s := range NewPlan(home(), "x", BackendDirect).Steps {
		text = append(text, s.Do+": "+s.What)
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{
		"create namespace: tql-x-home (nat home)",
		"set sysctls: tql-x-isp: net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 ",
		"add routes: tql-x-client: via 10.77.0.2 dev lan: 10.77.1.0/24, 10.77.2.0/24; via fd74:7171::2 dev lan: fd74:7171:0:1::/64, fd74:7171:0:2::/64",
		"add routes: tql-x-server: via 10.77.2.1 dev wan: 10.77.1.0/24; via fd74:7171:0:2::1 dev wan: fd74:7171:0:1::/64",
		"set up NAT: tql-x-home: from lan to access as 10.77.1.1, fd74:7171:0:1::1",
		"set MPTCP endpoints: tql-x-server: 10.77.2.2 signal",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the plan lacks %q:\n%s", want, all)
		}
	}
	for _, s := range NewPlan(sharedBottleneck(), "x", BackendRelay).Steps {
		if want := "tql-x-client: 10.77.1.1 subflow"; strings.HasPrefix(s.Do, "set MPTCP") && strings.Contains(s.What, "client") && !strings.HasPrefix(s.What, want) {
			t.Errorf("MPTCP of the client: %q, want %q", s.What, want)
		}
	}
}
