package topologies

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// caption is what a drawing says of a node.
func (n Node) caption() string {
	if n.Kind == Host {
		return n.Name
	}
	return fmt.Sprintf("%s (%s)", n.Name, n.Kind)
}

// ways is how a drawing calls a link's two directions.
type ways struct {
	up, down string
}

// arrows are ways for a drawing in which a link's first endpoint stands on the left,
// or on the right when it is reversed.
func arrows(reversed bool) ways {
	if reversed {
		return ways{"◀ up", "▶ down"}
	}
	return ways{"▶ up", "◀ down"}
}

// named are ways for a drawing that somebody else lays out.
func named(l Link) ways {
	a, b := l.Endpoints[0], l.Endpoints[1]
	return ways{a + " → " + b, b + " → " + a}
}

// linkText says what a link does. Lines are at most width characters long, unless a
// word is longer; 0 means as long as it takes.
func linkText(l Link, w ways, width int) []string {
	var lines []string
	if !l.Impaired() {
		lines = wrap("unimpaired", width)
	} else {
		lines = append(wrap(w.up+" "+Summary(l.Up), width), wrap(w.down+" "+Summary(l.Down), width)...)
	}
	end := fmt.Sprintf("mtu %d", l.MTU)
	if l.Family != DualStack {
		end += ", " + string(l.Family) + " only"
	}
	return append(lines, wrap(end, width)...)
}

// wrap breaks text between words into lines of at most width characters. Those behind
// the first are indented by two.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case width > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = "  " + word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// widest returns the length of the longest line, in characters.
func widest(lines []string) int {
	most := 0
	for _, l := range lines {
		most = max(most, utf8.RuneCountInString(l))
	}
	return most
}
