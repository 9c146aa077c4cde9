package link

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/safchain/ethtool"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// OffloadSet says which offloads an interface has.
type OffloadSet uint8

// The sets.
const (
	// OffloadsOff: what leaves the interface are finished packets, so that loss and
	// queues count wire packets.
	OffloadsOff OffloadSet = iota
	// OffloadsOn: TCP and UDP may leave as units of up to 64 KiB, with segmentation and
	// checksums left to whoever takes them apart. What comes in is not merged.
	OffloadsOn
	// OffloadsOnButUDP: only TCP may.
	OffloadsOnButUDP
)

// String returns the set as plans print it.
func (s OffloadSet) String() string {
	return [...]string{"off", "on", "on, but for UDP"}[s]
}

// wireOffloads are the features that make one buffer stand for many packets on
// the wire, or leave a checksum to hardware that a veth does not have, with the
// first set but OffloadsOff that has them on. Names as in `ethtool -k`.
var wireOffloads = [...]struct {
	name string
	in   OffloadSet // OffloadsOff: none
}{
	{"tx-checksum-ip-generic", OffloadsOnButUDP},
	{"tx-scatter-gather", OffloadsOnButUDP},
	{"tx-scatter-gather-fraglist", OffloadsOff},
	{"tx-tcp-segmentation", OffloadsOnButUDP},
	{"tx-tcp6-segmentation", OffloadsOnButUDP},
	{"tx-tcp-ecn-segmentation", OffloadsOnButUDP},
	{"tx-tcp-mangleid-segmentation", OffloadsOff}, // the wire numbers IPv4 packets as the sender does
	{"tx-generic-segmentation", OffloadsOnButUDP},
	{"tx-udp-segmentation", OffloadsOn},
	{"tx-gso-partial", OffloadsOff},
	{"tx-gso-list", OffloadsOff},
	{"rx-gro", OffloadsOff},
	{"rx-gro-list", OffloadsOff},
	{"rx-udp-gro-forwarding", OffloadsOff},
}

// has reports whether a feature is on in the set, whose first set is given.
func (s OffloadSet) has(first OffloadSet) bool {
	return s != OffloadsOff && first != OffloadsOff && (first == OffloadsOnButUDP || s == OffloadsOn)
}

// SetOffloads gives an interface a set of offloads and reads them back. Features
// that the kernel does not know are left out.
func SetOffloads(ns *netns.NS, name string, set OffloadSet) error {
	err := ns.Do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		before, err := e.Features(name)
		if err != nil {
			return err
		}
		change := map[string]bool{}
		for _, f := range wireOffloads {
			if on, known := before[f.name]; known && on != set.has(f.in) {
				change[f.name] = !on
			}
		}
		if len(change) == 0 {
			return nil
		}
		if err := e.Change(name, change); err != nil {
			return err
		}
		after, err := e.Features(name)
		if err != nil {
			return err
		}
		var errs []error
		for _, f := range slices.Sorted(maps.Keys(change)) {
			if after[f] != change[f] {
				errs = append(errs, fmt.Errorf("the kernel left %s %s", f, map[bool]string{true: "on", false: "off"}[after[f]]))
			}
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return fmt.Errorf("turn offloads of %s in %s %v: %w", name, ns.Name(), set, err)
	}
	return nil
}

// Offloads returns the state of the features that SetOffloads knows, by name.
func Offloads(ns *netns.NS, name string) (map[string]bool, error) {
	state := map[string]bool{}
	err := ns.Do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		all, err := e.Features(name)
		for _, f := range wireOffloads {
			if on, known := all[f.name]; known {
				state[f.name] = on
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read offloads of %s in %s: %w", name, ns.Name(), err)
	}
	return state, nil
}
