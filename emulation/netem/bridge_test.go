package netem

import (
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// TestJoin needs no netem: bridges are everywhere.
func TestJoin(t *testing.T) { testJoin(t) }

func testJoin(t *testing.T) {
	t.Run("passes frames", testJoinPasses)
	t.Run("says nothing", testJoinSilent)
	t.Run("settings", testJoinSettings)
	t.Run("waits", testJoinWaits)
	t.Run("does not wait for peers", testJoinPeersDown)
	t.Run("failures", testJoinFails)
}

func testJoinPasses(t *testing.T) {
	r := joined(t, 9000)
	up, down := r.flow(0, 9000), r.flow(1, 9000)
	up.send(50)
	down.send(50)
	up.receive(50)
	down.receive(50)
	up.wantInOrder()
	down.wantInOrder()
}

// testJoinSilent lets the time pass in which IPv6 would solicit routers and
// neighbours, and a bridge would send its hellos.
func testJoinSilent(t *testing.T) {
	r := joined(t, 1500)
	time.Sleep(2500 * time.Millisecond)
	for node := range r.nodes {
		if n := r.received(node); n != 0 {
			t.Errorf("node %d received %d packets that nobody sent", node, n)
		}
	}
}

func testJoinSettings(t *testing.T) {
	r := newRig(t, 1400)
	wire := r.handle(r.wire)
	larger, err := wire.LinkByIndex(r.ports[1].Index)
	r.must(err)
	r.must(wire.LinkSetMTU(larger, 1450))
	r.must(Join(r.wire, [2]int{r.ports[0].Index, r.ports[1].Index}))
	link, err := wire.LinkByName(BridgeName)
	r.must(err)
	bridge, ok := link.(*netlink.Bridge)
	if !ok {
		t.Fatalf("%s is a %s", BridgeName, link.Type())
	}
	if bridge.MTU != 1450 {
		t.Errorf("mtu %d, want the larger of the ends, 1450", bridge.MTU)
	}
	if *bridge.AgeingTime != 0 || *bridge.MulticastSnooping {
		t.Errorf("ageing time %d, multicast snooping %t, want 0, false", *bridge.AgeingTime, *bridge.MulticastSnooping)
	}
	for _, port := range r.ports {
		link, err := wire.LinkByIndex(port.Index)
		r.must(err)
		if link.Attrs().MasterIndex != bridge.Index {
			t.Errorf("%s is not in the bridge", link.Attrs().Name)
		}
	}
}

// testJoinWaits gives both ends of a pair the same index, which makes the carrier
// a thing that kernels before 6.7 notice late.
func testJoinWaits(t *testing.T) {
	r := newRigAt(t, 1500, 2)
	r.must(Join(r.wire, [2]int{r.ports[0].Index, r.ports[1].Index}))
	for _, port := range r.ports {
		link, err := r.handle(r.wire).LinkByIndex(port.Index)
		r.must(err)
		if link.Attrs().OperState != netlink.OperUp {
			t.Errorf("after Join %s is %v, want up", link.Attrs().Name, link.Attrs().OperState)
		}
	}
}

// testJoinPeersDown has one node whose link is not up yet.
func testJoinPeersDown(t *testing.T) {
	r := newRig(t, 1500)
	node := r.handle(r.nodes[0])
	link, err := node.LinkByName("link")
	r.must(err)
	r.must(node.LinkSetDown(link))
	r.must(Join(r.wire, [2]int{r.ports[0].Index, r.ports[1].Index}))
}

func testJoinFails(t *testing.T) {
	r := newRig(t, 1500)
	a, b := r.ports[0].Index, r.ports[1].Index
	for _, c := range []struct {
		name string
		ns   int
		ends [2]int
		want string
	}{
		{"missing end", r.wire, [2]int{a, 4711}, "find interface 4711"},
		{"one end", r.wire, [2]int{a, a}, "a wire has two ends"},
		{"lo cannot be bridged", r.wire, [2]int{loopback, b}, "put lo into the bridge"},
		{"no namespace", 0, [2]int{a, b}, "no file descriptor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Join(c.ns, c.ends)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q in it", err, c.want)
			}
			links, err := r.handle(r.wire).LinkList()
			r.must(err)
			for _, link := range links {
				if link.Type() == "bridge" || link.Attrs().MasterIndex != 0 {
					t.Errorf("%s is left over", link.Attrs().Name)
				}
			}
		})
	}
	r.must(Join(r.wire, [2]int{a, b}))
	if err := Join(r.wire, [2]int{a, b}); err == nil || !strings.Contains(err.Error(), BridgeName) {
		t.Errorf("a second Join: %v", err)
	}
}
