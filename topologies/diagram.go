package topologies

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Diagram returns a picture of the topology, one line per link:
//
//	client ──lte─── server  up 12mbit 35ms±5ms loss 0.01% queue 300ms, down ...; mtu 1400
//	client ──wifi── server  ...
func Diagram(t Topology) string {
	var left, name, right int
	for _, l := range t.Links {
		left, name, right = max(left, len(l.Endpoints[0])), max(name, len(l.Name)), max(right, len(l.Endpoints[1]))
	}
	var b strings.Builder
	for _, l := range t.Links {
		wire := "──" + l.Name + strings.Repeat("─", name-len(l.Name)) + "──"
		fmt.Fprintf(&b, "%s %s %s  %s; mtu %d\n", pad(l.Endpoints[0], left), wire, pad(l.Endpoints[1], right), directions(l), l.MTU)
	}
	return b.String()
}

func directions(l Link) string {
	switch {
	case !l.Impaired():
		return "unimpaired"
	case l.Up == l.Down:
		return "both ways " + Summary(l.Up)
	}
	return "up " + Summary(l.Up) + ", down " + Summary(l.Down)
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", width-utf8.RuneCountInString(s))
}
