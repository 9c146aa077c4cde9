package conductor

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/netem"
	"github.com/tquiclab/tquiclab/lab/nat"
	"github.com/tquiclab/tquiclab/lab/netns"
)

// Kernel is the stage of a lab that is up: its wires' and NATs' namespaces.
type Kernel struct {
	wires map[string]*kernelWire
	nats  map[string]*kernelNAT
}

// kernelWire is one wire: netlink, and its two ends.
type kernelWire struct {
	ns     *netns.NS
	handle *netlink.Handle
	ends   [2]netlink.Link
	mtu    int
}

// kernelNAT is one NAT's namespace.
type kernelNAT struct {
	ns     *netns.NS
	handle *netlink.Handle
}

// NewKernel returns the stage of the wires and NATs, whose namespaces by index space
// opens. The stage owns them from then on.
func NewKernel(wires []Wire, nats []NAT, space func(index int, name string) (*netns.NS, error)) (*Kernel, error) {
	k := &Kernel{wires: map[string]*kernelWire{}, nats: map[string]*kernelNAT{}}
	for _, n := range nats {
		ns, handle, err := openSpace(space, n.Namespace, "of NAT "+n.Node)
		if err != nil {
			return nil, errors.Join(err, k.Close())
		}
		k.nats[n.Node] = &kernelNAT{ns, handle}
	}
	for _, w := range wires {
		ns, handle, err := openSpace(space, w.Namespace, "of link "+w.Link)
		if err != nil {
			return nil, errors.Join(err, k.Close())
		}
		wire := &kernelWire{ns: ns, handle: handle, mtu: w.MTU}
		if err := wire.find(w.Ends); err != nil {
			return nil, errors.Join(fmt.Errorf("link %s: %w", w.Link, err), wire.close(), k.Close())
		}
		k.wires[w.Link] = wire
	}
	return k, nil
}

// openSpace opens netlink in a namespace.
func openSpace(space func(int, string) (*netns.NS, error), index int, name string) (*netns.NS, *netlink.Handle, error) {
	ns, err := space(index, name)
	if err != nil {
		return nil, nil, err
	}
	handle, err := ns.Netlink()
	if err != nil {
		return nil, nil, errors.Join(err, ns.Close())
	}
	return ns, handle, nil
}

func (w *kernelWire) find(ends [2]string) (err error) {
	for i, name := range ends {
		w.ends[i], err = w.handle.LinkByName(name)
		if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone {
			return fmt.Errorf("its interface %s was deleted: %w", name, err)
		}
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
	}
	return nil
}

func (w *kernelWire) close() error {
	w.handle.Close()
	return w.ns.Close()
}

// Close gives up what NewKernel opened.
func (k *Kernel) Close() error {
	var errs []error
	for _, w := range k.wires {
		errs = append(errs, w.close())
	}
	for _, n := range k.nats {
		n.handle.Close()
		errs = append(errs, n.ns.Close())
	}
	return errors.Join(errs...)
}

// SetLink implements Stage. When one end cannot be set, the other may be.
func (k *Kernel) SetLink(link string, c Carrier) error {
	w := k.wires[link]
	if w == nil {
		return fmt.Errorf("link %s has no wire that could be cut", link)
	}
	set := w.handle.LinkSetUp
	if c == CarrierOff {
		set = w.handle.LinkSetDown
	}
	if err := errors.Join(set(w.ends[0]), set(w.ends[1])); err != nil {
		return fmt.Errorf("turn the carrier of link %s %s: %w", link, c, err)
	}
	return nil
}

// Carrier returns whether the link's wire is cut; half is off.
func (k *Kernel) Carrier(link string) (Carrier, error) {
	w := k.wires[link]
	if w == nil {
		return CarrierOn, nil
	}
	for _, end := range w.ends {
		now, err := w.handle.LinkByIndex(end.Attrs().Index)
		if err != nil {
			return "", fmt.Errorf("look at link %s: %w", link, err)
		}
		if now.Attrs().RawFlags&unix.IFF_UP == 0 {
			return CarrierOff, nil
		}
	}
	return CarrierOn, nil
}

// Impair implements Stage.
func (k *Kernel) Impair(link, way string, imp emulation.Impairments, seed uint64) error {
	w := k.wires[link]
	if w == nil {
		return fmt.Errorf("link %s has no wire", link)
	}
	// Up leaves towards the second endpoint, down towards the first.
	end := w.ends[1]
	if way == "down" {
		end = w.ends[0]
	}
	return netem.Apply(netem.Port{NS: w.ns.Fd(), Index: end.Attrs().Index, MTU: w.mtu}, imp, seed)
}

// Rebind implements Stage.
func (k *Kernel) Rebind(node string) error {
	n := k.nats[node]
	if n == nil {
		return fmt.Errorf("node %s is no NAT", node)
	}
	return nat.Rebind(n.ns)
}

// Packets returns how many packets all wires have seen so far, or all NATs where
// there is no wire.
func (k *Kernel) Packets() (uint64, error) {
	var n uint64
	for link, w := range k.wires {
		for _, end := range w.ends {
			now, err := w.handle.LinkByIndex(end.Attrs().Index)
			if err != nil {
				return 0, fmt.Errorf("count the packets of link %s: %w", link, err)
			}
			n += received(now)
		}
	}
	if len(k.wires) > 0 {
		return n, nil
	}
	for node, nat := range k.nats {
		links, err := nat.handle.LinkList()
		if err != nil {
			return 0, fmt.Errorf("count the packets of NAT %s: %w", node, err)
		}
		for _, l := range links {
			if l.Attrs().RawFlags&unix.IFF_LOOPBACK == 0 {
				n += received(l)
			}
		}
	}
	return n, nil
}

func received(l netlink.Link) uint64 {
	if s := l.Attrs().Statistics; s != nil {
		return s.RxPackets
	}
	return 0
}
