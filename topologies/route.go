package topologies

import "net/netip"

// NodeRoutes is what a node must know to reach more than its neighbours.
type NodeRoutes struct {
	Node   string
	Routes []Route
	Rules  []Rule
}

// Route says how to get to a network.
type Route struct {
	To    netip.Prefix
	Via   netip.Addr // the next node's address on Link; zero: at the other end of Link
	Link  string     // empty: the network is not to be reached
	Table int        // MainTable or a link's own
}

// Rule sends packets from an address to a table.
type Rule struct {
	From  netip.Addr
	Table int
}

// MainTable is the table that packets are routed by without a rule.
const MainTable = 0

// firstTable is the number of the first link's own table in the nodes that have one;
// the others follow. Linux keeps 253 to 255 for itself.
const firstTable = 1000

// Routes returns the routes of each node, in the file's order. Networks that a node is
// connected to are left out of the main table: addresses bring them.
//
// A host with several links has a table for each with what is to be reached over it,
// and rules that make packets from the link's addresses use that table: a socket bound
// to an address leaves by its link, or not at all. Without a bound address the main
// table decides: the shortest way, but where Paths has several between two hosts, the
// way of the path that ends on that link.
//
// Networks behind a NAT are known inside only. Ways are as in Paths.
func (t Topology) Routes() []NodeRoutes { return t.Network().Routes() }

// Routes is Topology.Routes.
func (n *Network) Routes() []NodeRoutes {
	t := n.g.t
	out := make([]NodeRoutes, len(t.Nodes))
	for f := range families {
		for node := range t.Nodes {
			out[node].Node = t.Nodes[node].Name
			links := n.g.linksWith(f, node)
			first := map[int]int{}
			if len(links) > 1 && !t.Nodes[node].Forwards() {
				first = n.firstLinks(f, node)
				for _, l := range links {
					n.addOwnTable(&out[node], f, node, l)
				}
			}
			n.addMain(&out[node], f, node, first)
		}
	}
	return out
}

// firstLinks returns which of the host's links leads to which other link, where paths
// to another host say so.
func (n *Network) firstLinks(f family, node int) map[int]int {
	first := map[int]int{}
	for other := range n.g.t.Nodes {
		if other == node || n.g.t.Nodes[other].Forwards() || len(n.g.links[other]) < 2 {
			continue
		}
		tracks := n.tracks(f, node, other)
		for _, l := range n.g.links[node] {
			way := tracks[l]
			if len(way) < 2 {
				continue
			}
			last := way[len(way)-1]
			if _, taken := first[last]; !taken {
				first[last] = l
			}
		}
	}
	return first
}

// addMain adds the routes of the main table. first overrides over which of the node's
// links a network is reached.
func (n *Network) addMain(out *NodeRoutes, f family, node int, first map[int]int) {
	for to := range n.g.t.Links {
		h := n.table(f, to)[node]
		if !h.ok || h.link == to {
			continue
		}
		link := h.link
		if l, ok := first[to]; ok {
			link = l
		}
		n.g.addRoute(out, f, node, link, to, MainTable)
	}
}

// addOwnTable adds the table of one of a host's links, with its rule.
func (n *Network) addOwnTable(out *NodeRoutes, f family, node, link int) {
	g := n.g
	number := firstTable + link
	address, _ := g.address(f, link, node)
	out.Rules = append(out.Rules, Rule{From: address, Table: number})
	next := g.across(link, node)
	for to := range g.t.Links {
		switch {
		case to == link:
			out.Routes = append(out.Routes, Route{To: g.subnet(f, link), Link: g.t.Links[link].Name, Table: number})
		case g.passes(next, link, n.table(f, to)):
			g.addRoute(out, f, node, link, to, number)
		}
	}
	everything := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if f == ipv6 {
		everything = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	out.Routes = append(out.Routes, Route{To: everything, Table: number})
}

func (g *graph) addRoute(out *NodeRoutes, f family, node, link, to, number int) {
	via, _ := g.address(f, link, g.across(link, node))
	out.Routes = append(out.Routes, Route{To: g.subnet(f, to), Via: via, Link: g.t.Links[link].Name, Table: number})
}
