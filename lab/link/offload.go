package link

import (
	"fmt"
	"maps"
	"slices"

	"github.com/safchain/ethtool"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// wireOffloads are the features that make one buffer stand for many packets on
// the wire, or leave a checksum to hardware that a veth does not have. Names as
// in `ethtool -k`.
var wireOffloads = [...]string{
	"tx-checksum-ip-generic",
	"tx-scatter-gather",
	"tx-scatter-gather-fraglist",
	"tx-tcp-segmentation",
	"tx-tcp6-segmentation",
	"tx-tcp-ecn-segmentation",
	"tx-tcp-mangleid-segmentation",
	"tx-generic-segmentation",
	"tx-udp-segmentation",
	"tx-gso-partial",
	"tx-gso-list",
	"rx-gro",
	"rx-gro-list",
	"rx-udp-gro-forwarding",
}

// DisableOffloads turns off everything on an interface that makes one buffer
// stand for several wire packets, so that loss and queues count wire packets,
// and reads back that it is off. Features that the kernel does not know or has
// off and fixed are left out.
func DisableOffloads(ns *netns.NS, name string) error {
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
			if before[f] {
				change[f] = false
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
		for _, f := range slices.Sorted(maps.Keys(change)) {
			if after[f] {
				return fmt.Errorf("the kernel left %s on", f)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("turn offloads of %s in %s off: %w", name, ns.Name(), err)
	}
	return nil
}

// Offloads returns the state of the features that DisableOffloads knows, by name.
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
			if on, known := all[f]; known {
				state[f] = on
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read offloads of %s in %s: %w", name, ns.Name(), err)
	}
	return state, nil
}
