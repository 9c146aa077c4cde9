package driver

import (
	"errors"
	"syscall"
)

// reuseAddress lets two sockets have one port, one of them on all addresses.
func reuseAddress(_, _ string, c syscall.RawConn) error {
	var inner error
	err := c.Control(func(fd uintptr) {
		inner = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	})
	return errors.Join(err, inner)
}
