package netem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// patience bounds every wait for something that must happen. Nothing is
// concluded from how long it took.
const patience = 30 * time.Second

// rig is a wire between two nodes, each in a namespace without a name: nothing
// of it outlives the test process.
type rig struct {
	t     *testing.T
	wire  int    // the wire's namespace
	nodes [2]int // the nodes' namespaces
	// ports[1] is up's egress, towards node 1; ports[0] is down's.
	ports [2]Port
}

// newRig makes the two veth pairs, their addresses and their neighbours. The
// interfaces are not joined yet. No node ever says anything unasked: IPv6 is off
// and each knows the other's MAC address.
func newRig(t *testing.T, mtu int) *rig {
	t.Helper()
	// Indices that the peers have not: where the two of a pair are equal by
	// chance, old kernels take up to a second to notice the carrier (link_watch.c).
	return newRigAt(t, mtu, 100)
}

// newRigAt is newRig with the index of the first port; the second's follows.
func newRigAt(t *testing.T, mtu, index int) *rig {
	t.Helper()
	r := &rig{t: t, wire: scratch(t), nodes: [2]int{scratch(t), scratch(t)}}
	wire := r.handle(r.wire)
	for i := range r.nodes {
		name := []string{"a", "b"}[i]
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, Index: index + i}, PeerName: "link",
			PeerNamespace: netlink.NsFd(r.nodes[i]), PeerHardwareAddr: mac(i),
		}
		r.must(wire.LinkAdd(veth))
		port, err := wire.LinkByName(name)
		r.must(err)
		r.ports[i] = Port{NS: r.wire, Index: port.Attrs().Index, MTU: mtu}

		node := r.handle(r.nodes[i])
		r.must(within(r.nodes[i], func() error { return silence("link") }))
		link, err := node.LinkByName("link")
		r.must(err)
		r.must(node.LinkSetMTU(link, mtu))
		r.must(node.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: address(i).AsSlice(), Mask: net.CIDRMask(24, 32)}}))
		r.must(node.LinkSetUp(link))
		r.offload(i, "tx-udp-segmentation") // netem must count packets
		r.must(node.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: address(1 - i).AsSlice(), HardwareAddr: mac(1 - i),
		}))
	}
	return r
}

// joined is newRig with its wire joined.
func joined(t *testing.T, mtu int) *rig {
	t.Helper()
	r := newRig(t, mtu)
	r.must(Join(r.wire, [2]int{r.ports[0].Index, r.ports[1].Index}))
	for _, node := range r.nodes {
		h := r.handle(node)
		link, err := h.LinkByName("link")
		r.must(err)
		r.must(waitActive(h, link.Attrs().Index))
	}
	return r
}

func scratch(t *testing.T) int {
	t.Helper()
	ns, err := scratchNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return int(ns.Fd())
}

func mac(i int) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, byte(i + 1)} }

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, 8, byte(i + 1)}) }

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) handle(ns int) *netlink.Handle {
	r.t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(ns), unix.NETLINK_ROUTE)
	r.must(err)
	r.t.Cleanup(h.Close)
	return h
}

// state returns what the kernel says about a port.
func (r *rig) state(i int) State {
	r.t.Helper()
	state, err := Read(r.ports[i])
	r.must(err)
	return state
}

// received is what the link of a node has taken in.
func (r *rig) received(node int) uint64 {
	r.t.Helper()
	link, err := r.handle(r.nodes[node]).LinkByName("link")
	r.must(err)
	return link.Attrs().Statistics.RxPackets
}

// flow is numbered UDP packets from one node to the other.
type flow struct {
	r        *rig
	from, to *net.UDPConn
	size     int // of an IP packet, bytes
	sent     uint64
	first    time.Time   // when the first was sent
	numbers  []uint64    // what arrived, in order
	at       []time.Time // when it arrived
}

func (r *rig) flow(from, size int) *flow {
	r.t.Helper()
	f := &flow{r: r, size: size}
	to := 1 - from
	r.must(within(r.nodes[to], func() (err error) {
		f.to, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address(to), 0)))
		return err
	}))
	r.t.Cleanup(func() { f.to.Close() })
	r.must(within(r.nodes[from], func() (err error) {
		f.from, err = net.DialUDP("udp4", nil, f.to.LocalAddr().(*net.UDPAddr))
		return err
	}))
	r.t.Cleanup(func() { f.from.Close() })
	r.option(f.to, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	r.option(f.from, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 64<<20)
	r.option(f.from, unix.SOL_UDP, unix.UDP_SEGMENT, size-28)
	return f
}

// option sets an option of a socket.
func (r *rig) option(c *net.UDPConn, level, name, value int) {
	r.t.Helper()
	raw, err := c.SyscallConn()
	r.must(err)
	r.must(raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, name, value) }))
	r.must(err)
}

// send sends n packets, a train with each system call. The kernel cuts it up before
// it reaches the wire.
func (f *flow) send(n int) {
	f.r.t.Helper()
	size := f.size - 28          // IPv4 and UDP headers
	most := min(64, 65_507/size) // UDP_MAX_SEGMENTS, and what one datagram holds
	train := make([]byte, 0, min(n, most)*size)
	if f.sent == 0 {
		f.first = time.Now()
	}
	for n > 0 {
		train = train[:0]
		for range min(n, most) {
			at := len(train)
			train = train[:at+size]
			binary.BigEndian.PutUint64(train[at:], f.sent)
			f.sent++
			n--
		}
		if _, err := f.from.Write(train); err != nil {
			f.r.t.Fatalf("send packets up to %d: %v", f.sent, err)
		}
	}
}

// sendOne sends a packet in a system call of its own, for a socket without trains.
func (f *flow) sendOne() {
	f.r.t.Helper()
	packet := make([]byte, f.size-28)
	binary.BigEndian.PutUint64(packet, f.sent)
	f.sent++
	if _, err := f.from.Write(packet); err != nil {
		f.r.t.Fatalf("send packet %d: %v", f.sent, err)
	}
}

// receive takes packets until n have arrived in all, and no more after that.
func (f *flow) receive(n int) {
	f.r.t.Helper()
	packet := make([]byte, 1<<16)
	f.r.must(f.to.SetReadDeadline(time.Now().Add(patience)))
	for len(f.numbers) < n {
		if _, err := f.to.Read(packet); err != nil {
			f.r.t.Fatalf("%d of %d packets arrived: %v", len(f.numbers), n, err)
		}
		f.numbers = append(f.numbers, binary.BigEndian.Uint64(packet))
		f.at = append(f.at, time.Now())
	}
	f.r.must(f.to.SetReadDeadline(time.Now().Add(20 * time.Millisecond)))
	if _, err := f.to.Read(packet); !errors.Is(err, os.ErrDeadlineExceeded) {
		f.r.t.Fatalf("more than %d packets arrived (%v)", n, err)
	}
}

// settle waits until the port has sent or dropped that many packets and holds
// none, and returns its counters. An empty backlog alone says nothing: a packet
// that was sent may not have reached the port yet, where softirqs are put off.
func (r *rig) settle(port, packets int) Counters {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		c := r.state(port).Counters
		if c.BacklogPackets == 0 && c.SentPackets+uint64(c.Drops) >= uint64(packets) {
			return c
		}
		if time.Now().After(end) {
			r.t.Fatalf("the port has not settled %d packets: %+v", packets, c)
		}
	}
}

// wantInOrder says where the order of arrival broke.
func (f *flow) wantInOrder() {
	f.r.t.Helper()
	for i := 1; i < len(f.numbers); i++ {
		if f.numbers[i] <= f.numbers[i-1] {
			f.r.t.Fatalf("packet %d arrived after packet %d", f.numbers[i], f.numbers[i-1])
		}
	}
}

// kernelHasSeed goes by the kernel's version: 6.6 is the first with netem's
// seed (TCA_NETEM_PRNG_SEED).
func kernelHasSeed(t *testing.T) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	return versionAtLeast(unix.ByteSliceToString(name.Release[:]), 6, 6)
}

func versionAtLeast(release string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || (a == major && b >= minor)
}
