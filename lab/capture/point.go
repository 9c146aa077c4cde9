package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tquiclab/tquiclab/topologies"
)

// Way says which of an interface's packets a point sees.
type Way string

// The ways.
const (
	Both Way = "both"
	Out  Way = "out" // those that the node sends
	In   Way = "in"  // those that it receives
)

// Point is a place where packets are captured: the interface of a link inside a
// node, which bears the link's name.
type Point struct {
	Name string `json:"name"` // as the user writes it, and in the file
	Node string `json:"node"`
	Link string `json:"link"`
	Way  Way    `json:"way"`
}

// Description says in words what the point sees.
func (p Point) Description() string {
	at := fmt.Sprintf("interface %s of node %s", p.Link, p.Node)
	switch p.Way {
	case Out:
		return "what node " + p.Node + " gives to link " + p.Link + ", before its wire (" + at + ", outgoing)"
	case In:
		return "what node " + p.Node + " gets from link " + p.Link + ", after its wire (" + at + ", incoming)"
	}
	return at + ", both ways"
}

// PointsHelp is what a user may write for a point.
const PointsHelp = `  NODE:LINK      the link's interface in the node, both ways
  NODE           every interface of the node
  LINK           the link's interfaces at both of its ends
  LINK.up.in     what the link's first endpoint sends: before the wire
  LINK.up.out    what its second endpoint receives of that: after the wire
  LINK.down.in   what the second endpoint sends
  LINK.down.out  what the first endpoint receives of that
  LINK.up        LINK.up.in and LINK.up.out; LINK.down likewise`

// Points returns the points that the words name, in their order, each once. No
// words mean each link at its first endpoint. The error names every word that is
// wrong, and what there is.
func Points(t topologies.Topology, words []string) ([]Point, error) {
	var points []Point
	var errs []error
	add := func(more ...Point) {
		for _, p := range more {
			if !slices.Contains(points, p) {
				points = append(points, p)
			}
		}
	}
	for _, word := range words {
		found, err := resolve(t, word)
		if err != nil {
			errs = append(errs, err)
		}
		add(found...)
	}
	if len(words) == 0 {
		for _, l := range t.Links {
			add(interfaceAt(l.Endpoints[0], l.Name))
		}
	}
	if len(points) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("topology %s has no link to capture on", t.Name))
	}
	return points, errors.Join(errs...)
}

func interfaceAt(node, link string) Point {
	return Point{Name: node + ":" + link, Node: node, Link: link, Way: Both}
}

// resolve returns the points of one word. Names of nodes and links have neither a
// colon nor a dot.
func resolve(t topologies.Topology, word string) ([]Point, error) {
	if node, link, ok := strings.Cut(word, ":"); ok {
		l, err := findLink(t, word, link)
		if err != nil {
			return nil, err
		}
		if l.End(node) < 0 {
			return nil, fmt.Errorf("point %q: link %s joins %s and %s, not %q", word, link, l.Endpoints[0], l.Endpoints[1], node)
		}
		return []Point{interfaceAt(node, link)}, nil
	}
	if link, direction, ok := strings.Cut(word, "."); ok {
		l, err := findLink(t, word, link)
		if err != nil {
			return nil, err
		}
		return directed(l, word, direction)
	}
	return named(t, word)
}

// directed returns the points of LINK.DIRECTION and LINK.DIRECTION.SIDE.
func directed(l topologies.Link, word, text string) ([]Point, error) {
	direction, side, _ := strings.Cut(text, ".")
	from, to := l.Endpoints[0], l.Endpoints[1]
	switch direction {
	case "up":
	case "down":
		from, to = to, from
	default:
		return nil, fmt.Errorf("point %q: unknown direction %q: expected up or down", word, direction)
	}
	name := l.Name + "." + direction
	in := Point{Name: name + ".in", Node: from, Link: l.Name, Way: Out}
	out := Point{Name: name + ".out", Node: to, Link: l.Name, Way: In}
	switch {
	case side == "in":
		return []Point{in}, nil
	case side == "out":
		return []Point{out}, nil
	case text == direction:
		return []Point{in, out}, nil
	}
	return nil, fmt.Errorf("point %q: unknown side %q: expected in (before the wire) or out (after it)", word, side)
}

// named returns the points of a node or of a link.
func named(t topologies.Topology, word string) ([]Point, error) {
	var ofNode, ofLink []Point
	for _, l := range t.Links {
		for _, node := range l.Endpoints {
			if node == word {
				ofNode = append(ofNode, interfaceAt(node, l.Name))
			}
			if l.Name == word {
				ofLink = append(ofLink, interfaceAt(node, l.Name))
			}
		}
	}
	switch {
	case len(ofNode) > 0 && len(ofLink) > 0:
		return nil, fmt.Errorf("point %q is a node and a link: write %s or %s", word, ofNode[0].Name, ofLink[0].Name)
	case len(ofNode) > 0:
		return ofNode, nil
	case len(ofLink) > 0:
		return ofLink, nil
	}
	return nil, fmt.Errorf("point %q: no node with a link, and no link, has this name: expected NODE:LINK, with one of the nodes %s and the links %s",
		word, strings.Join(nodeNames(t), ", "), strings.Join(linkNames(t), ", "))
}

func findLink(t topologies.Topology, word, name string) (topologies.Link, error) {
	for _, l := range t.Links {
		if l.Name == name {
			return l, nil
		}
	}
	return topologies.Link{}, fmt.Errorf("point %q: unknown link %q: expected one of %s", word, name, strings.Join(linkNames(t), ", "))
}

func linkNames(t topologies.Topology) []string {
	var names []string
	for _, l := range t.Links {
		names = append(names, l.Name)
	}
	return names
}

func nodeNames(t topologies.Topology) []string {
	var names []string
	for _, n := range t.Nodes {
		names = append(names, n.Name)
	}
	return names
}
