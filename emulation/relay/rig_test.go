package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation/control"
)

const childArgument = "relay-child"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == childArgument {
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		if err := Child(context.Background(), os.Stdin, os.Stdout, log); err != nil {
			log.Error("relay", "error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rig is node A -veth- wire -veth- node B. The namespaces have no names: they
// vanish with the process, however it ends.
type rig struct {
	tb         testing.TB
	a, w, b    *space
	mtu        int
	child      *exec.Cmd
	stderr     bytes.Buffer
	exited     chan struct{}
	exitErr    error
	socketPath string
	client     *Client
}

type space struct {
	tb      testing.TB
	ns      netns.NsHandle
	netlink *netlink.Handle
}

// newSpace makes a namespace, empty but for its lo, which is up.
func newSpace(tb testing.TB) *space {
	tb.Helper()
	s := &space{tb: tb}
	apart(tb, func() error {
		var err error
		s.ns, err = netns.New()
		return err
	})
	var err error
	if s.netlink, err = netlink.NewHandleAt(s.ns); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.netlink.Close()
		_ = s.ns.Close()
	})
	s.set("lo", true)
	return s
}

// apart runs f on a thread that ends with it, so that f may move the thread to
// another namespace.
func apart(tb testing.TB, f func() error) {
	tb.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
}

// do runs f on a thread inside the namespace.
func (s *space) do(f func() error) {
	s.tb.Helper()
	apart(s.tb, func() error {
		if err := netns.Set(s.ns); err != nil {
			return err
		}
		return f()
	})
}

func (s *space) link(name string) netlink.Link {
	s.tb.Helper()
	l, err := s.netlink.LinkByName(name)
	if err != nil {
		s.tb.Fatalf("link %s: %v", name, err)
	}
	return l
}

func (s *space) set(name string, up bool) {
	s.tb.Helper()
	set := s.netlink.LinkSetDown
	if up {
		set = s.netlink.LinkSetUp
	}
	if err := set(s.link(name)); err != nil {
		s.tb.Fatalf("set %s up=%v: %v", name, up, err)
	}
}

func (s *space) statistics(name string) *netlink.LinkStatistics {
	s.tb.Helper()
	return s.link(name).Attrs().Statistics
}

// offload is the state of an interface's feature.
type offload bool

const (
	offloadOff offload = false
	offloadOn  offload = true
)

func (s *space) setFeature(name, feature string, to offload) {
	s.tb.Helper()
	s.do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		return e.Change(name, map[string]bool{feature: bool(to)})
	})
}

// packetOffloads are the features that make a frame something else than a
// finished packet.
var packetOffloads = [...]string{
	"tx-checksum-ip-generic",
	"tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation",
	"tx-generic-segmentation", "tx-udp-segmentation",
	"rx-gro",
}

// unitOffloads are those of packetOffloads that make units.
var unitOffloads = [...]string{
	"tx-checksum-ip-generic",
	"tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-tcp-ecn-segmentation",
	"tx-generic-segmentation", "tx-udp-segmentation",
}

var (
	addrA4 = netip.MustParsePrefix("10.1.0.1/24")
	addrB4 = netip.MustParsePrefix("10.1.0.2/24")
	addrA6 = netip.MustParsePrefix("fd00:1::1/64")
	addrB6 = netip.MustParsePrefix("fd00:1::2/64")
)

// newRig builds the namespaces and the veths, without a relay.
func newRig(tb testing.TB) *rig {
	tb.Helper()
	if os.Getuid() != 0 {
		tb.Fatal("needs root, for network namespaces")
	}
	r := &rig{tb: tb, a: newSpace(tb), w: newSpace(tb), b: newSpace(tb), mtu: 1500}
	for _, end := range []struct {
		node  *space
		name  string
		addrs []netip.Prefix
	}{{r.a, "a", []netip.Prefix{addrA4, addrA6}}, {r.b, "b", []netip.Prefix{addrB4, addrB6}}} {
		veth := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: end.name, MTU: r.mtu, Namespace: netlink.NsFd(end.node.ns)},
			PeerName:      "w" + end.name,
			PeerNamespace: netlink.NsFd(r.w.ns),
		}
		if err := r.w.netlink.LinkAdd(veth); err != nil {
			tb.Fatalf("add veth %s: %v", end.name, err)
		}
		for _, feature := range packetOffloads {
			end.node.setFeature(end.name, feature, offloadOff)
		}
		r.w.do(func() error {
			return os.WriteFile("/proc/sys/net/ipv6/conf/w"+end.name+"/disable_ipv6", []byte("1"), 0)
		})
		end.node.address(end.name, end.addrs...)
		end.node.set(end.name, true)
		r.w.set("w"+end.name, true)
	}
	return r
}

// newSuperRig is a rig whose endpoints leave segmentation and checksums to the wire.
func newSuperRig(tb testing.TB) *rig {
	tb.Helper()
	r := newRig(tb)
	for _, end := range []struct {
		node *space
		name string
	}{{r.a, "a"}, {r.b, "b"}} {
		for _, feature := range unitOffloads {
			end.node.setFeature(end.name, feature, offloadOn)
		}
	}
	return r
}

// newBridgeRig is a rig with a bridge in the place of the relay.
func newBridgeRig(tb testing.TB) *rig {
	tb.Helper()
	return newRig(tb).bridge()
}

func newSuperBridgeRig(tb testing.TB) *rig {
	tb.Helper()
	return newSuperRig(tb).bridge()
}

func (r *rig) bridge() *rig {
	r.tb.Helper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge"}}
	if err := r.w.netlink.LinkAdd(bridge); err != nil {
		r.tb.Fatalf("add bridge: %v", err)
	}
	for _, port := range []string{"wa", "wb"} {
		if err := r.w.netlink.LinkSetMaster(r.w.link(port), bridge); err != nil {
			r.tb.Fatalf("put %s into the bridge: %v", port, err)
		}
	}
	r.w.set("bridge", true)
	return r
}

// newVethRig is node A -veth- node B, nothing between.
func newVethRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{tb: tb, a: newSpace(tb), w: newSpace(tb), b: newSpace(tb), mtu: 1500}
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: "a", MTU: r.mtu, Namespace: netlink.NsFd(r.a.ns)},
		PeerName:      "b",
		PeerNamespace: netlink.NsFd(r.b.ns),
	}
	if err := r.w.netlink.LinkAdd(veth); err != nil {
		tb.Fatalf("add veth: %v", err)
	}
	r.a.address("a", addrA4, addrA6)
	r.b.address("b", addrB4, addrB6)
	r.a.set("a", true)
	r.b.set("b", true)
	return r
}

func (s *space) address(name string, addrs ...netip.Prefix) {
	s.tb.Helper()
	for _, p := range addrs {
		addr := &netlink.Addr{
			IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
			Flags: unix.IFA_F_NODAD,
		}
		if err := s.netlink.AddrAdd(s.link(name), addr); err != nil {
			s.tb.Fatalf("add address %s: %v", p, err)
		}
	}
}

// quiet makes sure that all frames on the wire are the test's own: the nodes know
// each other's Ethernet addresses for good and do not speak IPv6.
func (r *rig) quiet() *rig {
	r.tb.Helper()
	for _, end := range []struct {
		node, peer *space
		name, far  string
		addr       netip.Prefix // of the peer
	}{{r.a, r.b, "a", "b", addrB4}, {r.b, r.a, "b", "a", addrA4}} {
		end.node.do(func() error {
			return os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
		})
		err := end.node.netlink.NeighSet(&netlink.Neigh{
			LinkIndex:    end.node.link(end.name).Attrs().Index,
			State:        netlink.NUD_PERMANENT,
			IP:           end.addr.Addr().AsSlice(),
			HardwareAddr: end.peer.link(end.far).Attrs().HardwareAddr,
		})
		if err != nil {
			r.tb.Fatalf("set neighbour of %s: %v", end.name, err)
		}
	}
	return r
}

// ports opens the two ends of the wire.
func (r *rig) ports() [2]*Port {
	r.tb.Helper()
	var ports [2]*Port
	r.w.do(func() error {
		for i, name := range []string{"wa", "wb"} {
			var err error
			if ports[i], err = OpenPort(name); err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range ports {
		r.tb.Cleanup(func() { _ = p.Close() })
	}
	return ports
}

// nodePort opens a packet socket on a's own end, to send raw frames from.
func (r *rig) nodePort() *Port {
	r.tb.Helper()
	var port *Port
	r.a.do(func() (err error) {
		port, err = OpenPort("a")
		return err
	})
	r.tb.Cleanup(func() { _ = port.Close() })
	return port
}

// start runs a relay process on the wire, up being from a to b.
func (r *rig) start(wire Wire) {
	r.tb.Helper()
	ports := r.ports()
	wire.Link, wire.Ports = "test", [2]int{1, 2}
	r.startChild(Spec{Lab: "rig", Seed: 7, Wires: []Wire{wire}}, r.listen(), ports[0].File(), ports[1].File())
	client, err := Dial(r.socketPath)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.client = client
	r.tb.Cleanup(func() { _ = client.Close() })
}

func (r *rig) startChild(spec Spec, files ...*os.File) {
	r.tb.Helper()
	data, err := json.Marshal(spec)
	if err != nil {
		r.tb.Fatal(err)
	}
	if err := r.launch(data, files...); err != nil {
		r.tb.Fatal(err)
	}
	_ = files[spec.Control].Close() // the relay's from now on: it ends with it
}

// launch starts a relay process and returns what control.WaitReady says of it.
func (r *rig) launch(spec []byte, files ...*os.File) error {
	r.tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		r.tb.Fatal(err)
	}
	r.child = exec.Command(exe, childArgument)
	r.child.Stdin = bytes.NewReader(spec)
	r.child.Stderr = &r.stderr
	r.child.ExtraFiles = files
	out, err := r.child.StdoutPipe()
	if err != nil {
		r.tb.Fatal(err)
	}
	if err := r.child.Start(); err != nil {
		r.tb.Fatal(err)
	}
	ready := control.WaitReady("relay", out)
	child, exited := r.child, make(chan struct{})
	r.exited = exited
	go func() {
		r.exitErr = child.Wait()
		close(exited)
	}()
	r.tb.Cleanup(func() {
		_ = child.Process.Signal(unix.SIGTERM)
		<-exited
		if r.tb.Failed() {
			r.tb.Logf("relay said:\n%s", r.stderr.String())
		}
	})
	return ready
}

// counters asks the relay for its wire.
func (r *rig) counters() WireStatus {
	r.tb.Helper()
	s, err := r.client.Counters(context.Background())
	if err != nil {
		r.tb.Fatalf("%v\n%s", err, r.stderr.String())
	}
	if len(s.Wires) != 1 {
		r.tb.Fatalf("the relay has %d wires, want 1", len(s.Wires))
	}
	return s.Wires[0]
}

// udp opens a connected UDP socket in each node, the way a to b.
func (r *rig) udp(a, b netip.Addr) (from, to *net.UDPConn) {
	r.tb.Helper()
	r.b.do(func() (err error) {
		to, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(b, 0)))
		return err
	})
	r.a.do(func() (err error) {
		from, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)), to.LocalAddr().(*net.UDPAddr))
		return err
	})
	r.tb.Cleanup(func() {
		_ = from.Close()
		_ = to.Close()
	})
	for _, c := range []*net.UDPConn{from, to} {
		onSocket(r.tb, c, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
		})
	}
	return from, to
}

func onSocket(tb testing.TB, c syscall.Conn, f func(fd int) error) {
	tb.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	var inner error
	if err := errors.Join(raw.Control(func(fd uintptr) { inner = f(int(fd)) }), inner); err != nil {
		tb.Fatal(err)
	}
}
