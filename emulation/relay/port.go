package relay

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Port is one wire-side interface: a packet socket bound to it. It receives
// nothing until a relay serves it, and holds no memory until then.
type Port struct {
	file  *os.File
	index int
	name  string
	mtu   int // of the interface, bytes of IP packet
	limit int // bytes of the ring; 0: maxRingBytes
}

// OpenPort opens the port of the named interface in the calling thread's network
// namespace. It needs CAP_NET_RAW there. The socket stays in that namespace
// wherever its file goes.
func OpenPort(ifname string) (*Port, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("open port %s: %w", ifname, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket for %s: %w", ifname, err)
	}
	file := os.NewFile(uintptr(fd), "port "+ifname)
	// Protocol 0 ties the socket to the interface without receiving yet.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind packet socket to %s: %w", ifname, err), file.Close())
	}
	return &Port{file: file, index: ifi.Index, name: ifname, mtu: ifi.MTU}, nil
}

// PortFromFile returns the port whose file was handed over by another process.
// The port owns the file from then on.
func PortFromFile(file *os.File) (*Port, error) {
	p := &Port{file: file}
	addr, err := unix.Getsockname(p.fd())
	if err != nil {
		return nil, fmt.Errorf("port from file %s: %w", file.Name(), err)
	}
	link, ok := addr.(*unix.SockaddrLinklayer)
	if !ok {
		return nil, fmt.Errorf("port from file %s: not a packet socket", file.Name())
	}
	p.index = link.Ifindex
	// Both answers come from the socket's own namespace, not from the caller's.
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return nil, err
	}
	ifr.SetUint32(uint32(p.index))
	if err := unix.IoctlIfreq(p.fd(), unix.SIOCGIFNAME, ifr); err != nil {
		return nil, fmt.Errorf("find interface %d of port %s: %w", p.index, file.Name(), err)
	}
	p.name = ifr.Name()
	if err := unix.IoctlIfreq(p.fd(), unix.SIOCGIFMTU, ifr); err != nil {
		return nil, fmt.Errorf("read mtu of %s: %w", p.name, err)
	}
	p.mtu = int(ifr.Uint32())
	return p, nil
}

// File returns the port's file, for handing to a relay process. It stays the
// port's.
func (p *Port) File() *os.File { return p.file }

// Close closes the port. A relay process that was given its file keeps it open.
func (p *Port) Close() error { return p.file.Close() }

func (p *Port) fd() int { return int(p.file.Fd()) }

// maxFrame is the longest frame that the interface takes, in bytes.
func (p *Port) maxFrame() int { return p.mtu + ethernetHeader }

// start makes the socket's ring and lets packets in.
func (p *Port) start() (*receiveRing, error) {
	for _, opt := range []option{
		{"ignore outgoing packets", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{"bypass the qdisc", unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1},
		{"size the send buffer", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer},
		{"choose the ring's version", unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2},
	} {
		if err := p.set(opt); err != nil {
			return nil, err
		}
	}
	ring, err := newReceiveRing(p.fd(), p.maxFrame(), cmp.Or(p.limit, maxRingBytes))
	if err != nil {
		return nil, fmt.Errorf("make receive ring on %s: %w", p.name, err)
	}
	if err := p.open(); err != nil {
		return nil, errors.Join(err, ring.close())
	}
	return ring, nil
}

// startUnits lets packets in that may be units, to be received and sent with their
// vnet headers.
func (p *Port) startUnits() error {
	for _, opt := range []option{
		{"ignore outgoing packets", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{"bypass the qdisc", unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1},
		{"size the send buffer", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer},
		{"size the receive buffer", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer},
		{"ask for vnet headers", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{"ask for VLAN tags", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		{"ask for arrival times", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
	} {
		if err := p.set(opt); err != nil {
			return err
		}
	}
	return p.open()
}

// option is a socket option and why it is set.
type option struct {
	name              string
	level, key, value int
}

func (p *Port) set(o option) error {
	if err := unix.SetsockoptInt(p.fd(), o.level, o.key, o.value); err != nil {
		return fmt.Errorf("%s on %s: %w", o.name, p.name, err)
	}
	return nil
}

// open lets packets in.
func (p *Port) open() error {
	all := &unix.SockaddrLinklayer{Ifindex: p.index, Protocol: hostToNet(unix.ETH_P_ALL)}
	if err := unix.Bind(p.fd(), all); err != nil {
		return fmt.Errorf("bind to %s: %w", p.name, err)
	}
	return nil
}

// takeError clears the socket's pending error and returns it. Without this the
// socket stays readable for ever after its interface went down.
func (p *Port) takeError() error {
	n, err := unix.GetsockoptInt(p.fd(), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n != 0 {
		return unix.Errno(n)
	}
	return nil
}

// gone reports whether the interface was deleted: the kernel then unties the
// socket from it (packet_notifier in net/packet/af_packet.c).
func (p *Port) gone() bool {
	addr, err := unix.Getsockname(p.fd())
	if err != nil {
		return true
	}
	link, ok := addr.(*unix.SockaddrLinklayer)
	return !ok || link.Ifindex != p.index
}

// takeDrops returns how many frames the ring had no room for since the last
// call. The kernel resets its counter with each reading.
func (p *Port) takeDrops() (uint64, error) {
	stats, err := unix.GetsockoptTpacketStats(p.fd(), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("read socket statistics of %s: %w", p.name, err)
	}
	return uint64(stats.Drops), nil
}

func hostToNet(v uint16) uint16 { return v<<8 | v>>8 }
