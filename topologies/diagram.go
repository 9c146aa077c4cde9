package topologies

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tquiclab/tquiclab/emulation"
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

// Summary returns what a direction does, in a few words: 12mbit 35ms±5ms loss
// 0.01% queue 300ms.
func Summary(i emulation.Impairments) string {
	if i.IsZero() {
		return "unimpaired"
	}
	var words []string
	if i.Rate != 0 {
		words = append(words, FormatRate(i.Rate))
	}
	if i.Delay != 0 {
		delay := FormatTime(i.Delay)
		if i.Jitter != 0 {
			delay += "±" + FormatTime(i.Jitter)
		}
		words = append(words, delay)
	}
	if i.Loss != 0 {
		words = append(words, "loss "+FormatPercent(i.Loss))
	}
	if i.Queue != (emulation.Queue{}) {
		words = append(words, "queue "+FormatQueue(i.Queue))
	}
	if i.MTU != 0 {
		words = append(words, fmt.Sprintf("wire mtu %d", i.MTU))
	}
	return strings.Join(words, " ")
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", width-utf8.RuneCountInString(s))
}
