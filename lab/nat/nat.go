package nat

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/google/nftables"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// ErrNotSupported is wrapped by errors that say that this kernel has no NAT in
// nftables.
var ErrNotSupported = errors.New("this kernel has no NAT in nftables (CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT, CONFIG_NFT_CT, CONFIG_NFT_SOCKET)")

// The names in the namespace, as `nft list ruleset` shows them.
const (
	tableName      = "tquiclab"
	translateChain = "translate"
	shieldChain    = "shield"
	hideChain      = "hide"
)

// Config says what a NAT hides, and behind what. Names are of interfaces.
type Config struct {
	Inside  []string  // lead to those that it hides
	Outside []Outside // all others
}

// Outside is an interface with the addresses that stand for those inside, at most one
// of each family. Packets of a family that it does not have pass unchanged.
type Outside struct {
	Name      string
	Addresses []netip.Addr
}

// SetUp makes the namespace a NAT. Forwarding is not its concern. What it set up
// before is gone. An error wraps ErrNotSupported where the kernel cannot do it.
func SetUp(ns *netns.NS, n Config) error {
	err := withConn(ns, func(c *nftables.Conn) error {
		table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
		c.AddTable(table) // deleting one that is not there would be an error
		c.DelTable(table)
		c.AddTable(table)
		addTranslations(c, table, n, portsOf(0))
		addShields(c, table, n)
		if err := c.Flush(); err != nil {
			return unsupported(err)
		}
		ports, err := readPorts(c)
		if err == nil && ports != portsOf(0) {
			err = fmt.Errorf("asked for ports %v, the kernel has %v", portsOf(0), ports)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set up NAT in %s: %w", ns.Name(), err)
	}
	return nil
}

func addTranslations(c *nftables.Conn, table *nftables.Table, n Config, ports Ports) {
	chain := c.AddChain(&nftables.Chain{
		Name: translateChain, Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	for _, inside := range n.Inside {
		for _, outside := range n.Outside {
			for _, address := range outside.Addresses {
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: slices.Concat(
					from(inside), to(outside.Name), translate(address, ports),
				)})
			}
		}
	}
}

// addShields drops what comes from outside unasked: the kernel would answer for a
// mapping that it has forgotten, and let in whoever guesses an inside address.
func addShields(c *nftables.Conn, table *nftables.Table, n Config) {
	shield := c.AddChain(&nftables.Chain{
		Name: shieldChain, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	hide := c.AddChain(&nftables.Chain{
		Name: hideChain, Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	for _, outside := range n.Outside {
		c.AddRule(&nftables.Rule{Table: table, Chain: shield, Exprs: slices.Concat(
			from(outside.Name), toOwnSocket(), accept(),
		)})
		c.AddRule(&nftables.Rule{Table: table, Chain: shield, Exprs: slices.Concat(
			from(outside.Name), notICMP(), unasked(), drop(),
		)})
		for _, inside := range n.Inside {
			c.AddRule(&nftables.Rule{Table: table, Chain: hide, Exprs: slices.Concat(
				from(outside.Name), to(inside), unasked(), drop(),
			)})
		}
	}
}

// withConn gives f a connection to the namespace's nftables.
func withConn(ns *netns.NS, f func(c *nftables.Conn) error) error {
	c, err := nftables.New(nftables.WithNetNSFd(ns.Fd()), nftables.AsLasting())
	if err != nil {
		return unsupported(err)
	}
	return errors.Join(f(c), c.CloseLasting())
}

// unsupported says what a kernel without some part of nftables answers: the
// protocol, the family, the chain's type or an expression does not exist.
func unsupported(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errNoProtocol) || errors.Is(err, errNoFamily) {
		return fmt.Errorf("%w: %w", ErrNotSupported, err)
	}
	return err
}
