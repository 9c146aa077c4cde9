package topologies

import (
	"strings"
	"unicode/utf8"
)

// leastInside is the least room between two boxes of a terminal's drawing.
const leastInside = 24

// Terminal draws the topology with boxes and lines for a terminal of so many columns
// (0: as many as it takes). Each two nodes that are joined stand side by side, with
// their links between them; a node that is joined to several is drawn as often:
//
//	┌────────┐                         ┌────────┐
//	│ client ├─ lte ───────────────────┤ server │
//	│        │  ▶ up 12mbit 35ms±5ms   │        │
//	│        │  ◀ down 40mbit 35ms±5ms │        │
//	│        │  mtu 1400               │        │
//	└────────┘                         └────────┘
func Terminal(t Topology, width int) string {
	captions := map[string]string{}
	joined := map[string]bool{}
	for _, n := range t.Nodes {
		captions[n.Name] = n.caption()
	}
	var blocks []string
	for _, p := range pairs(t) {
		joined[p.nodes[0]], joined[p.nodes[1]] = true, true
		blocks = append(blocks, p.draw([2]string{captions[p.nodes[0]], captions[p.nodes[1]]}, width))
	}
	for _, n := range t.Nodes {
		if !joined[n.Name] {
			line := strings.Repeat("─", utf8.RuneCountInString(n.caption())+2)
			blocks = append(blocks, "┌"+line+"┐\n│ "+n.caption()+" │\n└"+line+"┘\n")
		}
	}
	return strings.Join(blocks, "\n")
}

// pair is two nodes with the links between them, in the file's order.
type pair struct {
	nodes [2]string
	links []Link
}

// pairs returns the nodes that links join, in the order of the first such link, which
// says who stands on the left.
func pairs(t Topology) []pair {
	var all []pair
	for _, l := range t.Links {
		i := 0
		for i < len(all) && (l.End(all[i].nodes[0]) < 0 || l.End(all[i].nodes[1]) < 0) {
			i++
		}
		if i == len(all) {
			all = append(all, pair{nodes: l.Endpoints})
		}
		all[i].links = append(all[i].links, l)
	}
	return all
}

func (p pair) draw(captions [2]string, width int) string {
	left, right := utf8.RuneCountInString(captions[0])+2, utf8.RuneCountInString(captions[1])+2
	inside := 0
	if width > 0 {
		inside = max(width-left-right-4, leastInside) // 4: the boxes' sides
	}
	texts := make([][]string, len(p.links))
	needed := 0
	for i, l := range p.links {
		texts[i] = linkText(l, arrows(l.Endpoints[0] != p.nodes[0]), max(inside-3, 0))
		needed = max(needed, widest(texts[i])+3, utf8.RuneCountInString(l.Name)+5)
	}
	var b strings.Builder
	edge := func(from, to string) {
		b.WriteString(from + strings.Repeat("─", left) + to + strings.Repeat(" ", needed) + from + strings.Repeat("─", right) + to + "\n")
	}
	edge("┌", "┐")
	for i, l := range p.links {
		names := [2]string{strings.Repeat(" ", left), strings.Repeat(" ", right)}
		if i == 0 {
			names = [2]string{" " + captions[0] + " ", " " + captions[1] + " "}
		}
		wire := "─ " + l.Name + " "
		b.WriteString("│" + names[0] + "├" + wire + strings.Repeat("─", needed-utf8.RuneCountInString(wire)) + "┤" + names[1] + "│\n")
		for _, text := range texts[i] {
			b.WriteString("│" + strings.Repeat(" ", left) + "│" + pad("  "+text, needed) + "│" + strings.Repeat(" ", right) + "│\n")
		}
	}
	edge("└", "┘")
	return b.String()
}
