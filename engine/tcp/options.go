package tcp

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// DefaultCongestion is the control that the engines use unless Config names another.
const DefaultCongestion = "cubic"

// congestionControl returns a net.Dialer's or net.ListenConfig's Control function
// that sets the congestion control of the socket before it connects or listens.
// Accepted connections inherit it.
func congestionControl(name string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var serr error
		if err := c.Control(func(fd uintptr) {
			serr = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
		}); err != nil {
			return fmt.Errorf("set congestion control %q: %w", name, err)
		}
		return congestionError(name, serr)
	}
}

// congestionError says what to do about a refused congestion control.
func congestionError(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("set congestion control %q: %w: run with CAP_NET_ADMIN, or allow it for everybody in the host's "+
			"namespace: sysctl -w net.ipv4.tcp_allowed_congestion_control=\"reno %s\"", name, err, name)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("set congestion control %q: %w: this kernel does not have it; try modprobe tcp_%s, "+
			"or choose one of net.ipv4.tcp_available_congestion_control", name, err, name)
	}
	return fmt.Errorf("set congestion control %q: %w", name, err)
}

// congestionInUse returns the connection's congestion control, or "".
func congestionInUse(c *net.TCPConn) string {
	var name string
	control(c, func(fd int) {
		name, _ = unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	})
	return name
}

// control runs f on the connection's file descriptor, unless the connection is closed.
func control(c *net.TCPConn, f func(fd int)) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { f(int(fd)) }) // fails only on a closed connection
}
