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
func (t Topology) Routes() []NodeRoutes {
	g := newGraph(t)
	out := make([]NodeRoutes, len(t.Nodes))
	for n := range t.Nodes {
		out[n].Node = t.Nodes[n].Name
	}
	all := make([]int, len(t.Links))
	for i := range all {
		all[i] = i
	}
	for f := range families {
		tables := g.tablesTo(f, all)
		for n := range t.Nodes {
			links := g.linksWith(f, n)
			main := map[int]int{}
			if len(links) > 1 && !t.Nodes[n].Forwards() {
				main = g.firstLinks(f, n, tables)
				for _, l := range links {
					g.addOwnTable(&out[n], f, n, l, tables)
				}
			}
			g.addMain(&out[n], f, n, main, tables)
		}
	}
	return out
}

// linksWith returns the node's links that have the family.
func (g *graph) linksWith(f family, node int) (links []int) {
	for _, l := range g.links[node] {
		if g.has(f, l) {
			links = append(links, l)
		}
	}
	return links
}

// firstLinks returns which of the host's links leads to which other link, where paths
// to another host say so.
func (g *graph) firstLinks(f family, node int, tables map[int]table) map[int]int {
	first := map[int]int{}
	for other := range g.t.Nodes {
		if other == node || g.t.Nodes[other].Forwards() || len(g.links[other]) < 2 {
			continue
		}
		tracks := g.tracks(f, node, other, tables)
		for _, l := range g.links[node] {
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
func (g *graph) addMain(out *NodeRoutes, f family, node int, first map[int]int, tables map[int]table) {
	for to := range g.t.Links {
		h := tables[to][node]
		if !h.ok || h.link == to {
			continue
		}
		link := h.link
		if l, ok := first[to]; ok {
			link = l
		}
		g.addRoute(out, f, node, link, to, MainTable)
	}
}

// addOwnTable adds the table of one of a host's links, with its rule.
func (g *graph) addOwnTable(out *NodeRoutes, f family, node, link int, tables map[int]table) {
	number := firstTable + link
	address, _ := g.address(f, link, node)
	out.Rules = append(out.Rules, Rule{From: address, Table: number})
	next := g.across(link, node)
	for to := range g.t.Links {
		switch {
		case to == link:
			out.Routes = append(out.Routes, Route{To: g.subnet(f, link), Link: g.t.Links[link].Name, Table: number})
		case g.passes(next, link, tables[to]):
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
