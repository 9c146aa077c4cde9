package topologies

import (
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/emulation"
)

// Path is one way from a host to another one, through routers and NATs.
type Path struct {
	Name  string   // its first link's: what engines are pinned to
	Links []Link   // in order, from the first host on
	Nodes []string // the two hosts with what lies between, one more than Links
	// Local is the first host's address on the first link, Remote the last host's on the
	// last link. Both are of one family, which all links have.
	Local, Remote netip.Addr
}

// Way returns the direction of the path's link at index i that leads from the first
// host to the last one: "up" or "down".
func (p Path) Way(i int) string {
	if p.Links[i].Endpoints[0] == p.Nodes[i] {
		return "up"
	}
	return "down"
}

// BackWay returns the other direction of the link.
func (p Path) BackWay(i int) string {
	if p.Way(i) == "up" {
		return "down"
	}
	return "up"
}

// Toward returns what the path's link at index i does to packets on their way to
// node, which is one of the path's two hosts.
func (p Path) Toward(i int, node string) emulation.Impairments {
	if node == p.Nodes[len(p.Nodes)-1] {
		return p.Links[i].Direction(p.Way(i))
	}
	return p.Links[i].Direction(p.BackWay(i))
}

// MTU returns the smallest of the path's links.
func (p Path) MTU() int {
	mtu := p.Links[0].MTU
	for _, l := range p.Links[1:] {
		mtu = min(mtu, l.MTU)
	}
	return mtu
}

// Paths returns the ways from one host to another: one for each link of the first
// host from which the other one can be reached, in the file's order. Each is the
// shortest, by hops. Of several it is one that ends on a link of the other host that
// no path before it ends on, and of those the one whose links come first in the file.
// They are what packets do under Routes, in both directions; but where routers join
// the inside and the outside of a NAT around it, answers may take another way.
//
// From outside there is no way to hosts that a NAT hides; Dialler says who can reach
// whom. All paths use IPv4 if they all can, else all IPv6, else each IPv4 where it
// can.
func (t Topology) Paths(from, to string) []Path { return t.Network().Paths(from, to) }

// Dialler returns which of two hosts opens connections to the other one, and the
// other: the one that a NAT hides, if one does; or else the one from which more paths
// begin; or else the first endpoint of the first link in the file that a path between
// them begins with. Without any path it returns them as they came.
func (t Topology) Dialler(a, b string) (dialler, listener string) {
	n := t.Network()
	there, back := n.Paths(a, b), n.Paths(b, a)
	switch {
	case len(there) > len(back):
		return a, b
	case len(there) < len(back):
		return b, a
	}
	begins := func(l Link, paths []Path) bool {
		return slices.ContainsFunc(paths, func(p Path) bool { return p.Name == l.Name })
	}
	for _, l := range t.Links {
		for _, end := range l.Endpoints {
			if end == a && begins(l, there) {
				return a, b
			}
			if end == b && begins(l, back) {
				return b, a
			}
		}
	}
	return a, b
}

// PathNames returns the names of the paths between two hosts, seen from the one that
// dials: the links that an engine may be pinned to. Never nil.
func (t Topology) PathNames(a, b string) []string {
	names := []string{}
	for _, p := range t.Paths(t.Dialler(a, b)) {
		names = append(names, p.Name)
	}
	return names
}

// Network answers many questions about the paths of one topology for the price of a
// few. One goroutine may use it at a time.
type Network struct {
	g      *graph
	tables [families]map[int]table // by link, those that were needed so far
}

// Network returns the topology's network.
func (t Topology) Network() *Network {
	n := &Network{g: newGraph(t)}
	for f := range families {
		n.tables[f] = map[int]table{}
	}
	return n
}

// Paths is Topology.Paths.
func (n *Network) Paths(from, to string) []Path {
	a, b := n.g.host(from), n.g.host(to)
	if a < 0 || b < 0 || a == b {
		return nil
	}
	var byFamily [families]map[int]track
	all := map[int]bool{} // first links of any family
	for f := range families {
		byFamily[f] = n.tracks(f, a, b)
		for first := range byFamily[f] {
			all[first] = true
		}
	}
	preferred := []family{ipv4, ipv6}
	if len(byFamily[ipv4]) < len(all) && len(byFamily[ipv6]) == len(all) {
		preferred = []family{ipv6}
	}
	var paths []Path
	for _, first := range n.g.links[a] {
		for _, f := range preferred {
			if track, ok := byFamily[f][first]; ok {
				paths = append(paths, n.g.path(f, a, track))
				break
			}
		}
	}
	return paths
}

// table returns the table towards the link's subnet.
func (n *Network) table(f family, link int) table {
	to, ok := n.tables[f][link]
	if !ok {
		to = n.g.tableTo(f, link)
		n.tables[f][link] = to
	}
	return to
}

// track is a path as indexes of links, from the first host on.
type track []int

// tracks returns the shortest way from host a to host b over each of a's links, by
// that link.
func (n *Network) tracks(f family, a, b int) map[int]track {
	g := n.g
	found := map[int]track{}
	used := map[int]bool{} // links of b
	for _, first := range g.links[a] {
		var best track
		for _, last := range g.links[b] {
			way := g.follow(f, a, first, last, n.table(f, last))
			if way != nil && (best == nil || g.better(way, best, used)) {
				best = way
			}
		}
		if best != nil {
			found[first] = best
			used[best[len(best)-1]] = true
		}
	}
	return found
}

// follow returns the links from node a over its link first to the subnet of link
// last, or nil.
func (g *graph) follow(f family, a, first, last int, to table) track {
	if !g.has(f, first) || !g.has(f, last) {
		return nil
	}
	way := track{first}
	if first == last {
		return way
	}
	node := g.across(first, a)
	if !g.passes(node, first, to) {
		return nil
	}
	for node >= 0 && to[node].link != last {
		way = append(way, to[node].link)
		node = g.across(to[node].link, node)
	}
	return append(way, last)
}

// better reports whether way goes before best: fewer hops, a new last link, the links
// that come first in the file.
func (g *graph) better(way, best track, used map[int]bool) bool {
	if len(way) != len(best) {
		return len(way) < len(best)
	}
	if a, b := used[way[len(way)-1]], used[best[len(best)-1]]; a != b {
		return !a
	}
	return setOf(way).before(setOf(best))
}

// path makes a Path of a track that begins at node a.
func (g *graph) path(f family, a int, way track) Path {
	p := Path{Name: g.t.Links[way[0]].Name, Nodes: []string{g.t.Nodes[a].Name}}
	for _, l := range way {
		p.Links = append(p.Links, g.t.Links[l])
		p.Nodes = append(p.Nodes, g.t.Nodes[g.across(l, a)].Name)
		a = g.across(l, a)
	}
	last := way[len(way)-1]
	p.Local, _ = g.address(f, way[0], g.index[p.Nodes[0]])
	p.Remote, _ = g.address(f, last, a)
	return p
}
