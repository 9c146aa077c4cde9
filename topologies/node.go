package topologies

import (
	"fmt"
	"slices"
)

// fileNode is what a file says about a node.
type fileNode struct {
	name   field[string]
	kind   field[NodeKind]
	inside field[[]field[string]]
}

// nodes reads the mapping of nodes: names, each with its settings or nothing.
func nodes(d *decoder, n node) ([]fileNode, bool) {
	var nodes []fileNode
	readName := nameOf("node", maxNodeName, "it becomes part of a namespace's name", nil)
	ok := d.pairs(n, func(name, value node) {
		var f fileNode
		if !isNull(value.Node) { // `client:` on a line of its own
			f, _ = mapping(nodeKeys(), nil)(d, value)
		}
		at(func(f *fileNode) *field[string] { return &f.name }, readName)(d, name, &f)
		nodes = append(nodes, f)
	})
	return nodes, ok
}

func nodeKeys() []key[fileNode] {
	return []key[fileNode]{
		{
			name: "kind", doc: "host (the default), router, which passes packets on, or nat, which also hides those inside",
			schema: wordSchema(words(kinds())),
			decode: at(func(f *fileNode) *field[NodeKind] { return &f.kind }, wordOf("kind", kinds())),
		},
		{
			name: "inside", doc: "the links of a nat towards those that it hides, such as [lan]",
			schema: listSchema(textSchema(namePattern(maxNodeName)), 1, maxLinks).with("uniqueItems", true),
			decode: at(func(f *fileNode) *field[[]field[string]] { return &f.inside }, list(word)),
		},
	}
}

func nodesSchema() schema {
	node := objectSchema(nodeKeys())
	node["type"] = []string{"object", "null"}
	return schema{
		"type":                 "object",
		"propertyNames":        schema{"pattern": namePattern(maxNodeName)},
		"additionalProperties": node,
		"minProperties":        2,
		"maxProperties":        maxNodes,
	}
}

func (f *fileNode) node() Node {
	n := Node{Name: f.name.value, Kind: f.kind.or(Host)}
	for _, link := range f.inside.value {
		n.Inside = append(n.Inside, link.value)
	}
	return n
}

// nodes returns the names of all nodes, also of those with a problem: a link to a
// node with a bad name is not a second problem. It is nil when the file does not
// say which nodes there are.
func (d *decoder) nodes(f *file) []field[string] {
	if f.nodes.state != good {
		return nil
	}
	switch n := len(f.nodes.value); {
	case n < 2:
		d.problem(f.nodes.place, Problem{Text: fmt.Sprintf("only %s", count(n, "node")), Expected: "at least two, such as {client: {}, server: {}}"})
	case n > maxNodes:
		d.problem(f.nodes.value[maxNodes].name.place, Problem{Text: count(n, "node"), Expected: fmt.Sprintf("at most %d", maxNodes)})
	}
	names := make([]field[string], len(f.nodes.value))
	for i := range f.nodes.value {
		names[i] = f.nodes.value[i].name
	}
	return names
}

// connections checks the nodes against the links that they have.
func (d *decoder) connections(f *file, links []Link) {
	if f.nodes.state != good || !f.wellLinked(links) {
		return // not known, or a consequence of what is reported
	}
	for i := range f.nodes.value {
		n := &f.nodes.value[i]
		var own []string
		for _, l := range links {
			if l.End(n.name.value) >= 0 {
				own = append(own, l.Name)
			}
		}
		kind := n.kind.or(Host)
		switch {
		case len(own) == 0:
			d.problem(n.name.place, Problem{Text: "node " + quote(n.name.value) + " has no link", Expected: "each node to be an endpoint of one at least"})
			continue
		case kind.forwards() && len(own) == 1:
			d.problem(n.kind.place, Problem{Text: fmt.Sprintf("a %v with one link, %s", kind, quote(own[0])), Expected: "two at least: it passes packets from one to another"})
			continue
		case kind != NAT && n.inside.state != absent:
			d.problem(n.inside.place, Problem{Text: fmt.Sprintf("inside on a %v", kind), Expected: "kind: nat beside it"})
		case kind == NAT:
			d.inside(n, own)
		}
	}
}

// wellLinked reports whether all links were read and join nodes that exist.
func (f *file) wellLinked(links []Link) bool {
	known := map[string]bool{}
	for i := range f.nodes.value {
		known[f.nodes.value[i].name.value] = f.nodes.value[i].name.state == good
	}
	return len(links) > 0 && len(links) == len(f.links.value) && !slices.ContainsFunc(links, func(l Link) bool {
		return !known[l.Endpoints[0]] || !known[l.Endpoints[1]]
	})
}

// inside checks which of a NAT's own links are inside.
func (d *decoder) inside(n *fileNode, own []string) {
	if n.inside.state != good || len(n.inside.value) == 0 {
		d.problem(placeOf(n.kind.place, n.inside.place), Problem{Text: "a nat without an inside", Expected: "inside: the links towards those that it hides, of " + some(own)})
		return
	}
	seen := map[string]bool{}
	for _, link := range n.inside.value {
		switch {
		case link.state != good:
		case !slices.Contains(own, link.value):
			d.problem(link.place, Problem{Text: fmt.Sprintf("%s has no link %s", n.name.value, quote(link.value)), Expected: "one of " + some(own), Nearest: nearestOne(link.value, own)})
		case seen[link.value]:
			d.problem(link.place, Problem{Text: "link " + quote(link.value) + " again", Expected: "each link once"})
		}
		seen[link.value] = true
	}
	if !slices.ContainsFunc(own, func(l string) bool { return !seen[l] }) {
		d.problem(n.inside.place, Problem{Text: "all links of the nat are inside", Expected: "one at least that is not: it leads outside"})
	}
}
