package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// Route says how a namespace gets to a network.
type Route struct {
	To    netip.Prefix
	Via   netip.Addr // a neighbour on Link; zero: To is at the other end of Link
	Link  string     // name of the interface; empty: To is unreachable
	Table int        // 0: the main table
}

func (r Route) String() string {
	if r.Link == "" {
		return fmt.Sprintf("unreachable %s%s", r.To, r.tableText())
	}
	return fmt.Sprintf("%s %s", r.To, r.Way())
}

// Way says how To is reached.
func (r Route) Way() string {
	switch {
	case r.Link == "":
		return "unreachable" + r.tableText()
	case !r.Via.IsValid():
		return "dev " + r.Link + r.tableText()
	}
	return fmt.Sprintf("via %s dev %s%s", r.Via, r.Link, r.tableText())
}

func (r Route) tableText() string {
	if r.Table == 0 {
		return ""
	}
	return fmt.Sprintf(" table %d", r.Table)
}

// Rule sends packets from an address to a table, before the main one is asked.
type Rule struct {
	From  netip.Addr
	Table int
}

func (r Rule) String() string { return fmt.Sprintf("from %s table %d", r.From, r.Table) }

// rulePriority puts rules behind the local table's and before the main table's
// (0 and 32766, ip-rule(8)).
const rulePriority = 1000

// AddRoutes adds routes and rules to the namespace, whose links are up, and reads
// back that they are there.
func AddRoutes(ns *netns.NS, routes []Route, rules []Rule) error {
	h, err := ns.Netlink()
	if err != nil {
		return err
	}
	defer h.Close()
	a := routeAdder{h: h, links: map[string]int{}}
	requests := make([]request, len(routes))
	for i, r := range routes {
		if requests[i], err = a.request(r); err != nil {
			return fmt.Errorf("add route %s in %s: %w", r, ns.Name(), err)
		}
	}
	if err := execute(ns, requests); err != nil {
		return fmt.Errorf("add route in %s: %w", ns.Name(), err)
	}
	for _, r := range rules {
		if err := a.addRule(r); err != nil {
			return fmt.Errorf("add rule %s in %s: %w", r, ns.Name(), err)
		}
	}
	if err := errors.Join(a.checkRoutes(routes), a.checkRules(rules)); err != nil {
		return fmt.Errorf("read routes of %s back: %w", ns.Name(), err)
	}
	return nil
}

type routeAdder struct {
	h     *netlink.Handle
	links map[string]int // indexes by name
}

func (a *routeAdder) index(name string) (int, error) {
	if i, ok := a.links[name]; ok {
		return i, nil
	}
	found, err := a.h.LinkByName(name)
	if err != nil {
		return 0, err
	}
	a.links[name] = found.Attrs().Index
	return found.Attrs().Index, nil
}

// request is what `ip route add` sends. Thousands go in batches, for which netlink's
// own RouteAdd has no way.
func (a *routeAdder) request(r Route) (request, error) {
	m := nl.NewRtMsg()
	m.Family, m.Dst_len = uint8(familyOf(r.To.Addr())), uint8(r.To.Bits())
	m.Protocol = unix.RTPROT_STATIC
	m.Table = unix.RT_TABLE_UNSPEC // RTA_TABLE has more room
	req := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	req.AddData(m)
	if r.To.Bits() > 0 {
		req.AddData(nl.NewRtAttr(unix.RTA_DST, r.To.Addr().AsSlice()))
	}
	table := r.Table
	if table == 0 {
		table = unix.RT_TABLE_MAIN
	}
	req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(uint32(table))))
	switch {
	case r.Link == "":
		m.Type = unix.RTN_UNREACHABLE
	case r.Via.IsValid():
		req.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, r.Via.AsSlice()))
	default:
		m.Scope = unix.RT_SCOPE_LINK
	}
	if r.Link != "" {
		index, err := a.index(r.Link)
		if err != nil {
			return request{}, err
		}
		req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	}
	return request{what: r, NetlinkRequest: req}, nil
}

func (a *routeAdder) addRule(r Rule) error {
	rule := netlink.NewRule()
	rule.Family, rule.Src = familyOf(r.From), hostNet(r.From)
	rule.Table, rule.Priority = r.Table, rulePriority
	return a.h.RuleAdd(rule)
}

// routeKey is what a route is known by when read back.
type routeKey struct {
	to        string
	table     int
	via, link string
}

func (a *routeAdder) checkRoutes(want []Route) error {
	names := map[int]string{}
	for name, index := range a.links {
		names[index] = name
	}
	have := map[routeKey]bool{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := a.h.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			key := routeKey{table: r.Table, link: names[r.LinkIndex]}
			if r.Dst != nil {
				key.to = r.Dst.String()
			}
			if r.Gw != nil {
				key.via = r.Gw.String()
			}
			if r.Type == unix.RTN_UNREACHABLE {
				key.link = "" // IPv6 gives it the loopback's
			}
			have[key] = true
		}
	}
	for _, r := range want {
		key := routeKey{to: r.To.String(), table: r.Table, link: r.Link}
		if r.Via.IsValid() {
			key.via = r.Via.String()
		}
		if key.table == 0 {
			key.table = unix.RT_TABLE_MAIN
		}
		if !have[key] {
			return fmt.Errorf("the kernel has no route %s", r)
		}
	}
	return nil
}

func (a *routeAdder) checkRules(want []Rule) error {
	have := map[Rule]bool{}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := a.h.RuleList(family)
		if err != nil {
			return fmt.Errorf("list rules: %w", err)
		}
		for _, r := range rules {
			if r.Src == nil {
				continue
			}
			if from, ok := netip.AddrFromSlice(r.Src.IP); ok {
				have[Rule{From: from.Unmap(), Table: r.Table}] = true
			}
		}
	}
	for _, r := range want {
		if !have[r] {
			return fmt.Errorf("the kernel has no rule %s", r)
		}
	}
	return nil
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// hostNet returns the network of one address.
func hostNet(a netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(a, a.BitLen())) }
