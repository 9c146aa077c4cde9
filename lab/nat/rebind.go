package nat

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// Ports is a range of external ports, both ends in it.
type Ports struct{ First, Last uint16 }

func (p Ports) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

const (
	firstPort  = 16384 // above what servers listen on
	portBlock  = 6144  // ports in a range
	portBlocks = (1<<16 - firstPort) / portBlock
)

// portsOf returns the range of a NAT that has forgotten n times. Neighbouring
// ranges share no port.
func portsOf(n int) Ports {
	first := firstPort + n%portBlocks*portBlock
	return Ports{First: uint16(first), Last: uint16(first + portBlock - 1)}
}

func (p Ports) next() Ports { return portsOf((int(p.First)-firstPort)/portBlock + 1) }

// Rebind makes the NAT forget its mappings, as after a restart: the next packet of a
// flow from inside gets an external port that the flow did not have before, and
// what still comes to the old one is dropped. Flows that stay silent inside are cut
// off. Both happen at once for all flows, but for packets that are under way in the
// kernel at that moment.
func Rebind(ns *netns.NS) error {
	err := withConn(ns, func(c *nftables.Conn) error {
		rules, err := translations(c)
		if err != nil {
			return err
		}
		ports := portsIn(rules[0].Exprs).next()
		for _, r := range rules {
			setPorts(r.Exprs, ports)
			c.ReplaceRule(r)
		}
		if err := c.Flush(); err != nil {
			return err
		}
		got, err := readPorts(c)
		if err == nil && got != ports {
			err = fmt.Errorf("asked for ports %v, the kernel has %v", ports, got)
		}
		// Last: a mapping made meanwhile has a new port already.
		return errors.Join(err, forget(ns))
	})
	if err != nil {
		return fmt.Errorf("rebind NAT in %s: %w", ns.Name(), err)
	}
	return nil
}

// PortsOf returns the range that new mappings get their ports from.
func PortsOf(ns *netns.NS) (Ports, error) {
	var ports Ports
	err := withConn(ns, func(c *nftables.Conn) (err error) {
		ports, err = readPorts(c)
		return err
	})
	if err != nil {
		return Ports{}, fmt.Errorf("read the ports of NAT in %s: %w", ns.Name(), err)
	}
	return ports, nil
}

func readPorts(c *nftables.Conn) (Ports, error) {
	rules, err := translations(c)
	if err != nil {
		return Ports{}, err
	}
	return portsIn(rules[0].Exprs), nil
}

// translations returns the rules that translate, of which there is one at least.
func translations(c *nftables.Conn) ([]*nftables.Rule, error) {
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
	rules, err := c.GetRules(table, &nftables.Chain{Name: translateChain, Table: table})
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	if len(rules) == 0 {
		return nil, errors.New("it is no NAT: there are no rules of ours")
	}
	return rules, nil
}

// forget empties the namespace's table of connections, of all families.
func forget(ns *netns.NS) error {
	h, err := netlink.NewHandleAt(vnetns.NsHandle(ns.Fd()), unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	if err := h.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		return fmt.Errorf("flush connections: %w", err)
	}
	return nil
}
