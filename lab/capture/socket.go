package capture

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// socket is a point's packet socket and its ring.
type socket struct {
	file  *os.File
	ring  *ring
	index int // of the interface

	received uint64 // packets that the kernel counted, those that it dropped among them
	dropped  uint64 // had no room in the ring
}

// openSocket opens a socket that captures on an interface of the calling thread's
// network namespace. It needs CAP_NET_RAW there.
func openSocket(p Point, snaplen, ringSize int) (*socket, error) {
	ifi, err := net.InterfaceByName(p.Link)
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", p.Link, err)
	}
	// Protocol 0: nothing comes in before the filter and the ring are there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	s := &socket{file: os.NewFile(uintptr(fd), "capture "+p.Name), index: ifi.Index}
	if err := attachFilter(fd, p.Way, snaplen); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.ring, err = newRing(fd, ringSize); err != nil {
		return nil, errors.Join(err, s.close())
	}
	all := &unix.SockaddrLinklayer{Ifindex: ifi.Index, Protocol: hostToNet(unix.ETH_P_ALL)}
	if err := unix.Bind(fd, all); err != nil {
		return nil, errors.Join(fmt.Errorf("bind to %s: %w", p.Link, err), s.close())
	}
	return s, nil
}

// attachFilter lets the kernel pass the packets of one way, snaplen bytes of each.
func attachFilter(fd int, way Way, snaplen int) error {
	const load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	const packetType = 0xfffff000 + 4 // SKF_AD_OFF + SKF_AD_PKTTYPE, linux/filter.h
	take := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(snaplen)}
	leave := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	program := []unix.SockFilter{take}
	if way != Both {
		program = []unix.SockFilter{
			{Code: load, K: packetType},
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.PACKET_OUTGOING, Jt: 0, Jf: 1},
			take, leave,
		}
	}
	if way == In {
		program[2], program[3] = leave, take
	}
	fprog := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, fprog); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	return nil
}

func (s *socket) fd() int { return int(s.file.Fd()) }

// count takes the kernel's counters in, which it resets with each reading
// (packet_getsockopt in net/packet/af_packet.c).
func (s *socket) count() error {
	stats, err := unix.GetsockoptTpacketStatsV3(s.fd(), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("read socket statistics: %w", err)
	}
	s.received += uint64(stats.Packets)
	s.dropped += uint64(stats.Drops)
	return nil
}

// gone reports whether the interface was deleted, which ties the socket to none
// (packet_notifier in net/packet/af_packet.c); one that was only set down may come
// back. It clears the socket's error, which else would wake every poll.
func (s *socket) gone() bool {
	_, _ = unix.GetsockoptInt(s.fd(), unix.SOL_SOCKET, unix.SO_ERROR)
	address, err := unix.Getsockname(s.fd())
	if err != nil {
		return true
	}
	link, ok := address.(*unix.SockaddrLinklayer)
	return !ok || link.Ifindex != s.index
}

func (s *socket) close() error {
	var err error
	if s.ring != nil {
		err = s.ring.close()
	}
	return errors.Join(err, s.file.Close())
}

func hostToNet(v uint16) uint16 { return v<<8 | v>>8 }
