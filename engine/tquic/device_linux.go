package tquic

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// toDevice binds a socket to an interface before it has an address. Linux lets every
// user since 5.7.
func toDevice(name string) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var inner error
		if err := c.Control(func(fd uintptr) { inner = unix.BindToDevice(int(fd), name) }); err != nil {
			return err
		}
		if inner != nil {
			return fmt.Errorf("bind to interface %s: %w", name, inner)
		}
		return nil
	}
}
