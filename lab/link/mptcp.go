package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// ErrNoMPTCP is wrapped by errors that say that this kernel has no MPTCP, or has
// it switched off.
var ErrNoMPTCP = errors.New("MPTCP is not available")

// The generic netlink family of the kernel's path manager, from
// include/uapi/linux/mptcp_pm.h.
const (
	pmFamily  = "mptcp_pm"
	pmVersion = 1

	pmCmdAddAddr    = 1
	pmCmdFlushAddrs = 4
	pmCmdSetLimits  = 5

	pmAttrAddr        = 1
	pmAttrRcvAddAddrs = 2
	pmAttrSubflows    = 3

	pmAddrFamily = 1
	pmAddrAddr4  = 3
	pmAddrAddr6  = 4
	pmAddrFlags  = 6

	pmFlagSignal  = 1 << 0
	pmFlagSubflow = 1 << 1
)

// MaxEndpoints is the most endpoints, subflows and accepted addresses that the kernel
// allows (MPTCP_PM_ADDR_MAX, net/mptcp/protocol.h).
const MaxEndpoints = 8

// Endpoint is an address of the namespace that MPTCP may use beside those that its
// sockets are bound to.
type Endpoint struct {
	Address netip.Addr
	// Announce tells peers of it, which open a subflow to it over the link that leads
	// there.
	Announce bool
	// Subflow makes connections open a subflow from it, to the address that they were
	// opened to.
	Subflow bool
}

func (e Endpoint) String() string {
	text := e.Address.String()
	if e.Announce {
		text += " signal"
	}
	if e.Subflow {
		text += " subflow"
	}
	return text
}

// SetMPTCP lets the namespace's path manager use as many subflows as the kernel
// can, and gives it its endpoints. Those set before are gone.
func SetMPTCP(ns *netns.NS, endpoints []Endpoint) error {
	err := ns.Do(func() error {
		if err := mptcpEnabled(); err != nil {
			return err
		}
		family, err := netlink.GenlFamilyGet(pmFamily)
		if err != nil {
			return fmt.Errorf("%w: the kernel has no netlink family %s (CONFIG_MPTCP): %w", ErrNoMPTCP, pmFamily, err)
		}
		if err := pmRequest(family.ID, pmCmdFlushAddrs); err != nil {
			return fmt.Errorf("flush endpoints: %w", err)
		}
		limit := nl.Uint32Attr(MaxEndpoints)
		err = pmRequest(family.ID, pmCmdSetLimits,
			nl.NewRtAttr(pmAttrRcvAddAddrs, limit), nl.NewRtAttr(pmAttrSubflows, limit))
		if err != nil {
			return fmt.Errorf("set limits: %w", err)
		}
		for _, e := range endpoints {
			if err := pmRequest(family.ID, pmCmdAddAddr, e.attribute()); err != nil {
				return fmt.Errorf("add endpoint %s: %w", e, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set MPTCP in %s: %w", ns.Name(), err)
	}
	return nil
}

// mptcpEnabled asks about the calling thread's namespace.
func mptcpEnabled() error {
	value, err := os.ReadFile(sysctlPath("net.mptcp.enabled"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: this kernel is built without it (CONFIG_MPTCP)", ErrNoMPTCP)
	}
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(value)) == "0" {
		return fmt.Errorf("%w: switch it on with `sysctl -w net.mptcp.enabled=1`", ErrNoMPTCP)
	}
	return nil
}

func (e Endpoint) attribute() *nl.RtAttr {
	endpoint := nl.NewRtAttr(pmAttrAddr|unix.NLA_F_NESTED, nil)
	family, attr := uint16(unix.AF_INET), pmAddrAddr4
	if e.Address.Is6() {
		family, attr = unix.AF_INET6, pmAddrAddr6
	}
	endpoint.AddRtAttr(pmAddrFamily, binary.NativeEndian.AppendUint16(nil, family))
	endpoint.AddRtAttr(attr, e.Address.AsSlice())
	var flags uint32
	if e.Announce {
		flags |= pmFlagSignal
	}
	if e.Subflow {
		flags |= pmFlagSubflow
	}
	endpoint.AddRtAttr(pmAddrFlags, nl.Uint32Attr(flags))
	return endpoint
}

func pmRequest(family uint16, command uint8, attrs ...*nl.RtAttr) error {
	req := nl.NewNetlinkRequest(int(family), unix.NLM_F_ACK)
	req.AddData(&nl.Genlmsg{Command: command, Version: pmVersion})
	for _, a := range attrs {
		req.AddData(a)
	}
	_, err := req.Execute(unix.NETLINK_GENERIC, 0)
	return err
}
