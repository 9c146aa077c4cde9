package topologies

import (
	"cmp"
	"slices"
)

// layout places a topology for a drawing: nodes in columns from left to right, and
// between two columns a gap, in which each link that crosses it has a cell of its own
// for its text. A link that spans several columns passes those between through a cell
// there. So nothing that has a place shares it, and lines between neighbouring columns
// are all that is left to draw.
type layout struct {
	columns []column // nodes and gaps in turn; the first and the last have nodes
	cells   []cell
	routes  [][]int // for each link its cells, from left to right
}

// column is a stack of cells, from top to bottom.
type column struct {
	cells []int
}

// cell is a place in a column.
type cell struct {
	node     int // of the topology, or -1
	link     int // whose text it holds or which passes, or -1
	text     bool
	reversed bool // the link's first endpoint is on the right
	left     []int
	order    float64 // within the column, before it is sorted
}

// newLayout lays a topology out.
func newLayout(t Topology) layout {
	rank := ranks(t)
	last := 0
	for _, r := range rank {
		last = max(last, r)
	}
	l := layout{columns: make([]column, 2*last+1), routes: make([][]int, len(t.Links))}
	nodeCell := make([]int, len(t.Nodes))
	for n := range t.Nodes {
		nodeCell[n] = l.add(2*rank[n], cell{node: n, link: -1})
	}
	for i, link := range t.Links {
		a, b := nodeIndex(t, link.Endpoints[0]), nodeIndex(t, link.Endpoints[1])
		reversed := rank[a] > rank[b]
		if reversed {
			a, b = b, a
		}
		route := []int{nodeCell[a]}
		for c := 2*rank[a] + 1; c < 2*rank[b]; c++ {
			text := c == 2*rank[a]+1
			at := l.add(c, cell{node: -1, link: i, text: text, reversed: reversed})
			l.cells[at].left = []int{route[len(route)-1]}
			route = append(route, at)
		}
		end := nodeCell[b]
		l.cells[end].left = append(l.cells[end].left, route[len(route)-1])
		l.routes[i] = append(route, end)
	}
	l.sort()
	return l
}

func (l *layout) add(at int, c cell) int {
	l.cells = append(l.cells, c)
	n := len(l.cells) - 1
	l.columns[at].cells = append(l.columns[at].cells, n)
	return n
}

// sort puts each column into the order of what its cells hang on in the one before,
// which keeps most lines from crossing.
func (l *layout) sort() {
	for i := range l.columns {
		cells := l.columns[i].cells
		for k, c := range cells {
			cell := &l.cells[c]
			cell.order = float64(k)
			if len(cell.left) > 0 {
				sum := 0.0
				for _, left := range cell.left {
					sum += l.cells[left].order
				}
				cell.order = sum / float64(len(cell.left))
			}
		}
		slices.SortStableFunc(cells, func(a, b int) int { return cmp.Compare(l.cells[a].order, l.cells[b].order) })
		for k, c := range cells {
			// From 0 to 1, so that short and long columns compare.
			l.cells[c].order = (float64(k) + 0.5) / float64(len(cells))
		}
	}
}

// ranks returns each node's column, counted from the left: behind all nodes that it
// is joined to and that come before it in breadth-first order from the first node.
func ranks(t Topology) []int {
	order := breadthFirst(t)
	place := make([]int, len(t.Nodes))
	for i, n := range order {
		place[n] = i
	}
	rank := make([]int, len(t.Nodes))
	for _, n := range order {
		for _, link := range t.Links {
			end := link.End(t.Nodes[n].Name)
			if end < 0 {
				continue
			}
			other := nodeIndex(t, link.Endpoints[1-end])
			if place[other] < place[n] {
				rank[n] = max(rank[n], rank[other]+1)
			}
		}
	}
	return rank
}

// breadthFirst returns the nodes, by index, in breadth-first order. Each part of the
// topology begins with its first node in the file.
func breadthFirst(t Topology) []int {
	seen := make([]bool, len(t.Nodes))
	var order []int
	for first := range t.Nodes {
		if seen[first] {
			continue
		}
		seen[first] = true
		order = append(order, first)
		for next := len(order) - 1; next < len(order); next++ {
			for _, link := range t.Links {
				end := link.End(t.Nodes[order[next]].Name)
				if end < 0 {
					continue
				}
				if other := nodeIndex(t, link.Endpoints[1-end]); !seen[other] {
					seen[other] = true
					order = append(order, other)
				}
			}
		}
	}
	return order
}

// nodeIndex returns where a node stands in the topology. The loader sees to it that
// links join nodes that are there.
func nodeIndex(t Topology, name string) int {
	i := slices.IndexFunc(t.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		panic("topologies: a link joins a node that is not there: " + name)
	}
	return i
}
