//go:build !linux

package pathman

import (
	"errors"
	"fmt"
)

// source is where a Watcher knows the addresses from.
type source struct{}

func openSource(func(*source, []Address)) (*source, []Address, error) {
	return nil, nil, fmt.Errorf("watch addresses: %w on this system", errors.ErrUnsupported)
}

func (*source) close() {}
