package topologies

import (
	"net/netip"
	"slices"
)

// graph is a topology by indexes: nodes and links are numbered as in the file.
type graph struct {
	t     Topology
	index map[string]int // of nodes
	links [][]int        // of each node, in the file's order
	ends  [][2]int       // of each link
}

func newGraph(t Topology) *graph {
	g := &graph{t: t, index: map[string]int{}, links: make([][]int, len(t.Nodes)), ends: make([][2]int, len(t.Links))}
	for i, n := range t.Nodes {
		g.index[n.Name] = i
	}
	for i, l := range t.Links {
		for k, name := range l.Endpoints {
			node, ok := g.index[name]
			if !ok {
				node = -1
			} else {
				g.links[node] = append(g.links[node], i)
			}
			g.ends[i][k] = node
		}
	}
	return g
}

// host returns the index of a host, or -1.
func (g *graph) host(name string) int {
	i, ok := g.index[name]
	if !ok || g.t.Nodes[i].Forwards() {
		return -1
	}
	return i
}

// across returns the node at the other end of the link.
func (g *graph) across(link, node int) int {
	if g.ends[link][0] == node {
		return g.ends[link][1]
	}
	return g.ends[link][0]
}

// prefix returns the address of the link's interface at the node.
func (g *graph) prefix(f family, link, node int) (netip.Prefix, bool) {
	end := 0
	if g.ends[link][1] == node {
		end = 1
	}
	for _, p := range g.t.Links[link].Addresses[end] {
		if familyOf(p.Addr()) == f {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

func (g *graph) address(f family, link, node int) (netip.Addr, bool) {
	p, ok := g.prefix(f, link, node)
	return p.Addr(), ok
}

// subnet returns the network of the link.
func (g *graph) subnet(f family, link int) netip.Prefix {
	p, _ := g.prefix(f, link, g.ends[link][0])
	return p.Masked()
}

// has reports whether both ends of the link have addresses of the family.
func (g *graph) has(f family, link int) bool {
	if g.ends[link][0] < 0 || g.ends[link][1] < 0 {
		return false
	}
	_, a := g.prefix(f, link, g.ends[link][0])
	_, b := g.prefix(f, link, g.ends[link][1])
	return a && b
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

// inside reports whether the link leads from a NAT to those that it hides.
func (g *graph) inside(node, link int) bool {
	return slices.Contains(g.t.Nodes[node].Inside, g.t.Links[link].Name)
}

// passes reports whether the node takes a packet that came over a link to where
// the table leads: a NAT lets nothing in to those that it hides.
func (g *graph) passes(node, from int, to table) bool {
	if node < 0 || !g.t.Nodes[node].Forwards() || !to[node].ok {
		return false
	}
	hidden := g.t.Nodes[node].Kind == NAT && !g.inside(node, from) && g.inside(node, to[node].link)
	return !hidden
}

// hop is the way on from a node.
type hop struct {
	ok   bool
	link int // the destination itself where the node is connected to it
	hops int // links from here to the destination, without it
}

// table is the hop of each node towards the subnet of one link.
type table []hop

// tableTo returns each node's shortest way to the subnet of a link. Of several, it
// is the one whose links come first in the file: as if a link were the shorter by a
// little, and less than all after it together. So there is one shortest way, the
// same in both directions. The search goes backwards, layer by layer.
func (g *graph) tableTo(f family, link int) table {
	to := make(table, len(g.t.Nodes))
	if !g.has(f, link) {
		return to
	}
	sets := make([]linkSet, len(g.t.Nodes))
	layer := []int{g.ends[link][0], g.ends[link][1]}
	for _, n := range layer {
		to[n] = hop{ok: true, link: link}
	}
	for hops := 1; len(layer) > 0; hops++ {
		var next []int
		for _, n := range layer {
			for _, l := range g.links[n] {
				m := g.across(l, n)
				if m < 0 || !g.has(f, l) || !g.passes(n, l, to) {
					continue
				}
				set := sets[n].with(l)
				switch {
				case !to[m].ok:
					next = append(next, m)
				case to[m].hops < hops || !set.before(sets[m]):
					continue
				}
				to[m], sets[m] = hop{ok: true, link: l, hops: hops}, set
			}
		}
		layer = next
	}
	return to
}

// linkSet is a set of links, as many as a file may have.
type linkSet [maxLinks/64 + 1]uint64

func (s linkSet) with(link int) linkSet {
	s[link/64] |= 1 << (63 - link%64)
	return s
}

func setOf(way track) (s linkSet) {
	for _, l := range way {
		s = s.with(l)
	}
	return s
}

// before reports whether of the links that are in one set only the first in the file
// is in s.
func (s linkSet) before(other linkSet) bool { return slices.Compare(s[:], other[:]) > 0 }
