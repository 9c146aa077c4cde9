package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"github.com/tquiclab/tquiclab/emulation/netem"
)

// loIndex is the index of lo in each network namespace.
const loIndex = 1

func namespace() (string, error) { return "", nil }

func veth() (string, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe0"
	return "", lacking(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "probe1"}))
}

func bridge() (string, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe"
	return "", lacking(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
}

func ifb() (string, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe"
	return "", lacking(netlink.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}))
}

// qdisc returns a probe that puts a qdisc on lo.
func qdisc(make func(netlink.QdiscAttrs) netlink.Qdisc) func() (string, error) {
	return func() (string, error) {
		attrs := netlink.QdiscAttrs{LinkIndex: loIndex, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
		return "", lacking(netlink.QdiscAdd(make(attrs)))
	}
}

func fq(a netlink.QdiscAttrs) netlink.Qdisc {
	return &netlink.GenericQdisc{QdiscAttrs: a, QdiscType: "fq"}
}

func fqCodel(a netlink.QdiscAttrs) netlink.Qdisc {
	return &netlink.GenericQdisc{QdiscAttrs: a, QdiscType: "fq_codel"}
}

func tbf(a netlink.QdiscAttrs) netlink.Qdisc {
	const bytesPerSecond, limit, burst = 125_000, 10_000, 2_000
	return &netlink.Tbf{QdiscAttrs: a, Rate: bytesPerSecond, Limit: limit, Buffer: burst}
}

// netemBackend asks the backend itself.
func netemBackend(context.Context) (string, error) {
	can, err := netem.Probe()
	switch {
	case errors.Is(err, netem.ErrNotSupported):
		return "", absentError{err}
	case err != nil:
		return "", err
	case !can.Seeded:
		return "without a seed: its losses differ from run to run (seeds came with Linux 6.6)", nil
	}
	return "seeded", nil
}

// masquerade makes the table of a NAT node.
func masquerade() (string, error) {
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return "", err
	}
	defer ns.Close()
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())))
	if err != nil {
		return "", lacking(fmt.Errorf("open netfilter's netlink: %w", err))
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "probe"})
	chain := c.AddChain(&nftables.Chain{
		Name: "out", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Masq{}}})
	if err := c.Flush(); err != nil {
		return "", lacking(fmt.Errorf("make a table with masquerade: %w", err))
	}
	return "", nil
}

// mptcpPathManager asks for the kernel's path manager, in a node as labs make it.
func mptcpPathManager() (string, error) {
	_, err := netlink.GenlFamilyGet("mptcp_pm")
	return "", lacking(err)
}
