package topologies

import (
	"fmt"
	"strings"
)

// Mermaid returns the topology as a flowchart in the language of mermaid.js, which
// Markdown on code forges draws.
func Mermaid(t Topology) string {
	ids := idsOf(t)
	var b strings.Builder
	b.WriteString("graph LR\n")
	for _, n := range t.Nodes {
		shape := [2]string{"[", "]"}
		if n.Forwards() {
			shape = [2]string{"([", "])"}
		}
		fmt.Fprintf(&b, "  %s%s\"%s\"%s\n", ids[n.Name], shape[0], mermaidText(n.caption()), shape[1])
	}
	for _, l := range t.Links {
		lines := []string{"<b>" + mermaidText(l.Name) + "</b>"}
		for _, line := range linkText(l, named(l), 0) {
			lines = append(lines, mermaidText(line))
		}
		fmt.Fprintf(&b, "  %s ---|\"%s\"| %s\n", ids[l.Endpoints[0]], strings.Join(lines, "<br/>"), ids[l.Endpoints[1]])
	}
	return b.String()
}

// mermaidText writes what means something to Mermaid or to HTML as the entities that
// Mermaid has for them (mermaid.js.org, flowchart: entity codes).
func mermaidText(text string) string {
	var b strings.Builder
	for _, r := range printable(text) {
		if strings.ContainsRune("\"#&<>`|\\;", r) {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// DOT returns the topology in the language of Graphviz.
func DOT(t Topology) string {
	ids := idsOf(t)
	var b strings.Builder
	fmt.Fprintf(&b, "graph %s {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=monospace];\n  edge [fontname=monospace, fontsize=10];\n", dotText(t.Name))
	for _, n := range t.Nodes {
		fmt.Fprintf(&b, "  %s [label=%s];\n", ids[n.Name], dotText(n.caption()))
	}
	for _, l := range t.Links {
		lines := append([]string{l.Name}, linkText(l, named(l), 0)...)
		fmt.Fprintf(&b, "  %s -- %s [label=%s];\n", ids[l.Endpoints[0]], ids[l.Endpoints[1]], dotText(lines...))
	}
	b.WriteString("}\n")
	return b.String()
}

// dotText returns lines as one quoted string (graphviz.org/doc/info/lang.html), in
// which a backslash begins an escape of labels, too.
func dotText(lines ...string) string {
	quoted := make([]string, len(lines))
	for i, l := range lines {
		quoted[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable(l))
	}
	return `"` + strings.Join(quoted, `\n`) + `"`
}

// printable makes control characters, which could end a line or hide what follows,
// spaces.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}

// idsOf gives each node a name that every language takes as it is.
func idsOf(t Topology) map[string]string {
	ids := map[string]string{}
	for i, n := range t.Nodes {
		ids[n.Name] = fmt.Sprintf("n%d", i)
	}
	return ids
}
