//go:build !linux

package tquic

import (
	"errors"
	"fmt"
	"syscall"
)

// toDevice would bind a socket to an interface.
func toDevice(name string) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, _ syscall.RawConn) error {
		return fmt.Errorf("bind to interface %s: %w on this system", name, errors.ErrUnsupported)
	}
}
