package emulation

import (
	"fmt"
	"slices"
	"strings"
)

// nameOf returns the i-th name, or "unknown".
func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

// textOf is nameOf for an encoder, which must not write what cannot be read.
func textOf(names []string, i int, of string) ([]byte, error) {
	if i >= len(names) {
		return nil, fmt.Errorf("%s: there is no value %d", of, i)
	}
	return []byte(names[i]), nil
}

// indexOf is the way back.
func indexOf(names []string, name, of string) (int, error) {
	i := slices.Index(names, name)
	if i < 0 {
		return 0, fmt.Errorf("%s %q is unknown: want one of %s", of, name, strings.Join(names, ", "))
	}
	return i, nil
}
