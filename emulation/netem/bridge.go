package netem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// BridgeName is the name of the bridge in a wire's namespace.
const BridgeName = "wire"

// Join makes the two interfaces, by index, one wire: a bridge in the namespace ns
// (an open file descriptor, borrowed) that passes each frame on to the other
// side and says nothing of its own, and sets all three up. Where the peers of the
// two are up already, it returns when the wire carries frames; the peers' own
// queues are their owner's to wait for (their operational state must be up). If
// it fails, it takes the bridge away again. An error that is ErrNotSupported says
// that the kernel has no bridge.
func Join(ns int, ends [2]int) error {
	if ns <= 0 {
		return fmt.Errorf("join interfaces %d and %d: %d is no file descriptor of a wire's namespace", ends[0], ends[1], ns)
	}
	if err := join(ns, ends); err != nil {
		return fmt.Errorf("join interfaces %d and %d: %w", ends[0], ends[1], err)
	}
	return nil
}

func join(ns int, ends [2]int) (err error) {
	if ends[0] == ends[1] {
		return errors.New("a wire has two ends")
	}
	handle, err := netlink.NewHandleAt(netns.NsHandle(ns), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open a netlink socket: %w", err)
	}
	defer handle.Close()
	var ports [2]netlink.Link
	mtu := 0
	for i, index := range ends {
		if ports[i], err = handle.LinkByIndex(index); err != nil {
			return fmt.Errorf("find interface %d: %w", index, err)
		}
		mtu = max(mtu, ports[i].Attrs().MTU)
	}
	if err := makeBridge(ns); err != nil {
		return err
	}
	bridge, err := handle.LinkByName(BridgeName)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", BridgeName, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, handle.LinkDel(bridge))
		}
	}()
	if err := within(ns, func() error { return silence(BridgeName, ports[0].Attrs().Name, ports[1].Attrs().Name) }); err != nil {
		return err
	}
	for _, port := range ports {
		if err := handle.LinkSetMaster(port, bridge); err != nil {
			return fmt.Errorf("put %s into the bridge: %w", port.Attrs().Name, err)
		}
	}
	// Behind the ports: each new one sets it to the smallest of them.
	if err := handle.LinkSetMTU(bridge, mtu); err != nil {
		return fmt.Errorf("set the bridge's mtu to %d: %w", mtu, err)
	}
	for _, link := range []netlink.Link{bridge, ports[0], ports[1]} {
		if err := handle.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", link.Attrs().Name, err)
		}
	}
	for _, index := range ends {
		if err := waitActive(handle, index); err != nil {
			return err
		}
	}
	return nil
}

// waitActive waits until an interface with a carrier really sends. The kernel
// puts its queue and its bridge port to work when it gets round to the carrier's
// event, up to a second later (net/core/link_watch.c), and drops all until then;
// the operational state tells. Without a carrier, which is the peer's to bring,
// there is nothing to wait for.
func waitActive(handle *netlink.Handle, index int) error {
	const patience, interval = 5 * time.Second, 2 * time.Millisecond
	for range patience / interval {
		link, err := handle.LinkByIndex(index)
		if err != nil {
			return fmt.Errorf("find interface %d: %w", index, err)
		}
		attrs := link.Attrs()
		if attrs.RawFlags&unix.IFF_LOWER_UP == 0 || attrs.OperState == netlink.OperUp {
			return nil
		}
		time.Sleep(interval)
	}
	return fmt.Errorf("interface %d has a carrier but did not come up in %v", index, patience)
}

// bridgeOption is a setting of a bridge that has to be zero.
type bridgeOption struct {
	attribute int
	name      string
	size      int // bytes
}

// bridgeOptions returns what makes a bridge a wire: ports forward from the first
// moment, nothing listens in on multicast groups, and no address is ever
// learned, so that each frame floods to the one other port (br_fdb.c: an ageing
// time of zero means not to learn).
func bridgeOptions() []bridgeOption {
	return []bridgeOption{
		{nl.IFLA_BR_STP_STATE, "spanning tree", 4},
		{nl.IFLA_BR_FORWARD_DELAY, "forward delay", 4},
		{nl.IFLA_BR_AGEING_TIME, "ageing time", 4},
		{nl.IFLA_BR_MCAST_SNOOPING, "multicast snooping", 1},
		{nl.IFLA_BR_NF_CALL_IPTABLES, "iptables", 1},
		{nl.IFLA_BR_NF_CALL_IP6TABLES, "ip6tables", 1},
		{nl.IFLA_BR_NF_CALL_ARPTABLES, "arptables", 1},
	}
}

// makeBridge makes the bridge, all its options zero, and reads them back. The
// netlink package knows too few of them, so the request is made by hand.
func makeBridge(ns int) error {
	socket, err := nl.GetNetlinkSocketAt(netns.NsHandle(ns), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open a netlink socket: %w", err)
	}
	defer socket.Close()
	sockets := map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: socket}}

	create := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	create.Sockets = sockets
	create.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	create.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(BridgeName)))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	options := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	for _, o := range bridgeOptions() {
		options.AddRtAttr(o.attribute, make([]byte, o.size))
	}
	create.AddData(info)
	if _, err := create.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("make bridge %s: %w", BridgeName, lacking(err, "bridge", "CONFIG_BRIDGE"))
	}

	ask := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	ask.Sockets = sockets
	ask.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	ask.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(BridgeName)))
	answers, err := ask.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return fmt.Errorf("read bridge %s back: %w", BridgeName, err)
	}
	if len(answers) != 1 {
		return fmt.Errorf("read bridge %s back: %d answers", BridgeName, len(answers))
	}
	return allZero(answers[0])
}

// allZero returns which of a bridge's options are not zero in an RTM_NEWLINK message.
func allZero(message []byte) error {
	if len(message) < unix.SizeofIfInfomsg {
		return errors.New("read the bridge back: the answer is cut short")
	}
	values, err := bridgeValues(message[unix.SizeofIfInfomsg:])
	if err != nil {
		return fmt.Errorf("read the bridge back: %w", err)
	}
	var errs []error
	for _, o := range bridgeOptions() {
		value, told := values[uint16(o.attribute)]
		if told && strings.Trim(string(value), "\x00") != "" {
			errs = append(errs, fmt.Errorf("the bridge's %s is %v, not 0", o.name, value))
		}
	}
	return errors.Join(errs...)
}

// bridgeValues returns the bridge's own attributes from those of a link.
func bridgeValues(attributes []byte) (map[uint16][]byte, error) {
	for _, nest := range []uint16{unix.IFLA_LINKINFO, nl.IFLA_INFO_DATA} {
		inner, err := attributeMap(attributes)
		if err != nil {
			return nil, err
		}
		attributes = inner[nest]
	}
	return attributeMap(attributes)
}

func attributeMap(data []byte) (map[uint16][]byte, error) {
	parsed, err := nl.ParseRouteAttr(data)
	if err != nil {
		return nil, err
	}
	values := make(map[uint16][]byte, len(parsed))
	for _, a := range parsed {
		values[a.Attr.Type&nl.NLA_TYPE_MASK] = a.Value
	}
	return values, nil
}

// silence turns IPv6 off on interfaces of the calling thread's namespace, so
// that they send no neighbour discovery of their own, and keeps the packet
// filter of the host out of the bridge where br_netfilter is loaded.
func silence(interfaces ...string) error {
	settings := map[string]string{}
	const sysctl = "/proc/sys/net"
	for _, name := range interfaces {
		settings[filepath.Join(sysctl, "ipv6/conf", name, "disable_ipv6")] = "1"
	}
	for _, hook := range []string{"iptables", "ip6tables", "arptables"} {
		settings[filepath.Join(sysctl, "bridge", "bridge-nf-call-"+hook)] = "0"
	}
	for file, value := range settings {
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			continue // a kernel without IPv6, or without br_netfilter
		}
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", file, err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read %s back: %w", file, err)
		}
		if strings.TrimSpace(string(got)) != value {
			return fmt.Errorf("%s is %s, not %s", file, strings.TrimSpace(string(got)), value)
		}
	}
	return nil
}
