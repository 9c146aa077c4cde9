package link

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// End is one end of a veth pair.
type End struct {
	NS        *netns.NS
	Name      string           // of the interface
	MTU       int              // bytes of IP packet
	MAC       net.HardwareAddr // nil lets the kernel choose
	Alias     string           // the lab's mark
	Addresses []netip.Prefix
	NoIPv6    bool // no IPv6 on the interface, not even a link-local address
}

// Neighbour is a peer whose link-layer address is known for ever, so that no ARP
// or neighbour discovery crosses an impaired wire and waits a second for a retry.
type Neighbour struct {
	Address netip.Addr
	MAC     net.HardwareAddr
}

// CreateVeth makes a pair with its two ends in their namespaces, addressed and
// up. On an error nothing stays.
func CreateVeth(a, b End) error {
	h, err := a.NS.Netlink()
	if err != nil {
		return err
	}
	defer h.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = a.Name, a.MTU, a.MAC
	pair := &netlink.Veth{
		LinkAttrs:        attrs,
		PeerName:         b.Name,
		PeerHardwareAddr: b.MAC,
		PeerMTU:          uint32(b.MTU),
		PeerNamespace:    netlink.NsFd(b.NS.Fd()),
	}
	if err := addApart(h, pair); err != nil {
		return fmt.Errorf("create veth %s in %s to %s in %s: %w", a.Name, a.NS.Name(), b.Name, b.NS.Name(), err)
	}
	if err := errors.Join(a.setUp(), b.setUp()); err != nil {
		return errors.Join(err, h.LinkDel(pair))
	}
	return nil
}

// The indexes of pairs' first ends begin at firstIndex. The kernel numbers second ends from
// 2 on.
const (
	firstIndex = 1000
	indexTries = 64
)

// addApart adds the pair with indexes that differ. Where both ends of a veth have one
// index the kernel takes a change of carrier for one that can wait, up to a second behind
// another one (net/core/link_watch.c, linkwatch_urgent_event: iflink == ifindex): a lab's
// host would hear of a link that goes down as late.
func addApart(h *netlink.Handle, pair *netlink.Veth) error {
	name := fnv.New32a()
	name.Write([]byte(pair.Name))
	index := firstIndex + int(name.Sum32()%firstIndex)
	var err error
	for range indexTries {
		pair.Index = index
		if err = h.LinkAdd(pair); !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EEXIST) {
			return err
		}
		if _, missing := h.LinkByName(pair.Name); missing == nil {
			return err // it is the name that is taken
		}
		index++
	}
	return err
}

// setUp addresses the end's interface and sets it up.
func (e End) setUp() error {
	h, err := e.NS.Netlink()
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(e.Name)
	if err != nil {
		return fmt.Errorf("find %s in %s: %w", e.Name, e.NS.Name(), err)
	}
	if err := h.LinkSetAlias(link, e.Alias); err != nil {
		return fmt.Errorf("mark %s in %s: %w", e.Name, e.NS.Name(), err)
	}
	if e.NoIPv6 {
		// Before it is up: nothing of IPv6 may leave.
		if err := SetSysctls(e.NS, []Sysctl{{Name: "net.ipv6.conf." + e.Name + ".disable_ipv6", Value: "1", Optional: true}}); err != nil {
			return err
		}
	}
	for _, prefix := range e.Addresses {
		addr := &netlink.Addr{IPNet: ipNet(prefix)}
		if prefix.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD // usable at once: both ends are ours
		}
		if err := h.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("add %s to %s in %s: %w", prefix, e.Name, e.NS.Name(), err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s in %s up: %w", e.Name, e.NS.Name(), err)
	}
	if got := link.Attrs().MTU; got != e.MTU {
		return fmt.Errorf("set mtu of %s in %s: asked for %d, the kernel has %d", e.Name, e.NS.Name(), e.MTU, got)
	}
	return nil
}

// AddNeighbours makes the neighbours of an interface permanent.
func AddNeighbours(ns *netns.NS, name string, neighbours []Neighbour) error {
	h, err := ns.Netlink()
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s in %s: %w", name, ns.Name(), err)
	}
	for _, n := range neighbours {
		err := h.NeighSet(&netlink.Neigh{
			LinkIndex:    link.Attrs().Index,
			State:        netlink.NUD_PERMANENT,
			IP:           n.Address.AsSlice(),
			HardwareAddr: n.MAC,
		})
		if err != nil {
			return fmt.Errorf("add neighbour %s to %s in %s: %w", n.Address, name, ns.Name(), err)
		}
	}
	return nil
}

// AwaitUp waits until the interface can carry packets. A pair whose two ends are
// set up drops everything until the kernel has handled its carrier event, on a
// work queue of its own.
func AwaitUp(ctx context.Context, ns *netns.NS, name string) error {
	h, err := ns.Netlink()
	if err != nil {
		return err
	}
	defer h.Close()
	for {
		link, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s in %s: %w", name, ns.Name(), err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s in %s to be up (it is %s): %w", name, ns.Name(), link.Attrs().OperState, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// Index returns the interface's index inside its namespace.
func Index(ns *netns.NS, name string) (int, error) {
	h, err := ns.Netlink()
	if err != nil {
		return 0, err
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("find %s in %s: %w", name, ns.Name(), err)
	}
	return link.Attrs().Index, nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
