package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// withSocket opens a socket, runs f on it and closes it.
func withSocket(family, kind, protocol int, f func(fd int) error) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return lacking(os.NewSyscallError("socket", err))
	}
	defer unix.Close(fd)
	return f(fd)
}

// packetRing returns a probe that makes a receive ring of a packet socket.
func packetRing(version int) func() (string, error) {
	return func() (string, error) {
		return "", withSocket(unix.AF_PACKET, unix.SOCK_RAW, 0, func(fd int) error {
			if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, version); err != nil {
				return lacking(os.NewSyscallError("setsockopt PACKET_VERSION", err))
			}
			const block, blocks, frame = 1 << 16, 2, 1 << 11
			req := unix.TpacketReq3{Block_size: block, Block_nr: blocks, Frame_size: frame, Frame_nr: block / frame * blocks, Retire_blk_tov: 10}
			if version == unix.TPACKET_V3 {
				return os.NewSyscallError("setsockopt PACKET_RX_RING", unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req))
			}
			old := unix.TpacketReq{Block_size: block, Block_nr: blocks, Frame_size: frame, Frame_nr: block / frame * blocks}
			return os.NewSyscallError("setsockopt PACKET_RX_RING", unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &old))
		})
	}
}

// packetOption returns a probe that switches an option of a packet socket on.
func packetOption(option int, name string) func() (string, error) {
	return func() (string, error) {
		return "", withSocket(unix.AF_PACKET, unix.SOCK_RAW, 0, func(fd int) error {
			return lacking(os.NewSyscallError("setsockopt "+name, unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1)))
		})
	}
}

// udpSegment sends one buffer as three datagrams to itself.
func udpSegment() (string, error) {
	const segment, segments = 1000, 3
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return "", fmt.Errorf("set lo up: %w", err)
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := setUDPOption(c, unix.UDP_SEGMENT, segment); err != nil {
		return "", lacking(os.NewSyscallError("setsockopt UDP_SEGMENT", err))
	}
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	if _, err := c.WriteTo(make([]byte, segment*segments), c.LocalAddr()); err != nil {
		return "", err
	}
	buf := make([]byte, 1<<16)
	for i := range segments {
		if n, err := c.Read(buf); err != nil || n != segment {
			return "", fmt.Errorf("datagram %d of %d has %d bytes, want %d: %w", i+1, segments, n, segment, err)
		}
	}
	return "", nil
}

func udpGRO() (string, error) {
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return "", lacking(os.NewSyscallError("setsockopt UDP_GRO", setUDPOption(c, unix.UDP_GRO, 1)))
}

func setUDPOption(c *net.UDPConn, option, value int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, option, value) })
	return errors.Join(err, set)
}

func mptcp() (string, error) {
	err := withSocket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, func(int) error { return nil })
	if errors.Is(err, unix.ENOPROTOOPT) { // mptcp_init_sock, net/mptcp/protocol.c
		return "", absent("it is switched off in new namespaces (net.mptcp.enabled)")
	}
	return "", err
}

func pidfd(context.Context) (string, error) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return "", lacking(os.NewSyscallError("pidfd_open", err))
	}
	return "", unix.Close(fd)
}

// realtime gives a thread a real-time priority.
func realtime(context.Context) (string, error) {
	err := onThread(func() error {
		const sizeofSchedAttr = 48 // SCHED_ATTR_SIZE_VER0
		return unix.SchedSetAttr(0, &unix.SchedAttr{Size: sizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
	})
	return "", os.NewSyscallError("sched_setattr SCHED_FIFO", err)
}
