package topologies

import (
	"fmt"
	"net/netip"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tquiclab/tquiclab/emulation"
)

// Show returns the topology as a file with every default written out. Parsed, it
// gives an equal Topology.
func Show(t Topology) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nseed: %d\n", plain(t.Name), t.Seed)
	if t.Start != StartFirstPacket {
		fmt.Fprintf(&b, "start: %v\n", t.Start)
	}
	nodes := make([]string, len(t.Nodes))
	for i, n := range t.Nodes {
		nodes[i] = plain(n.Name) + ": {" + strings.Join(nodeWords(n), ", ") + "}"
	}
	fmt.Fprintf(&b, "nodes: {%s}\nlinks:\n", strings.Join(nodes, ", "))
	profiles := embeddedProfiles()
	for _, l := range t.Links {
		showLink(&b, t, l, profiles)
	}
	if len(t.Events) > 0 {
		b.WriteString("events:\n")
	}
	for i, e := range t.Events {
		fmt.Fprintf(&b, "  - {%s}\n", strings.Join(eventWords(e, t.sources(e.Link, e.Way, i+1)), ", "))
	}
	if t.Experiment != nil {
		showExperiment(&b, *t.Experiment)
	}
	return b.String()
}

func showLink(b *strings.Builder, t Topology, l Link, profiles []profile) {
	fmt.Fprintf(b, "  - name: %s\n", plain(l.Name))
	fmt.Fprintf(b, "    endpoints: %s\n", flow(l.Endpoints[:]))
	if l.Profile != "" {
		fmt.Fprintf(b, "    profile: %s\n", plain(l.Profile))
	}
	fmt.Fprintf(b, "    mtu: %d\n", l.MTU)
	if l.Family != DualStack {
		fmt.Fprintf(b, "    family: %s\n", l.Family)
	}
	if l.Wired {
		b.WriteString("    wired: true\n")
	}
	for _, d := range []struct {
		name string
		i    emulation.Impairments
	}{{"up", l.Up}, {"down", l.Down}} {
		if l.Profile != "" || !d.i.IsZero() {
			words := settings(d.i, plainFields|set(d.i)|profileFields(profiles, l.Profile, d.name), t.sources(l.Name, d.name, 0))
			fmt.Fprintf(b, "    %s: {%s}\n", d.name, strings.Join(words, ", "))
		}
	}
	b.WriteString("    addresses:\n")
	for end, prefixes := range l.Addresses {
		fmt.Fprintf(b, "      %s: %s\n", plain(l.Endpoints[end]), flowPrefixes(prefixes))
	}
}

func nodeWords(n Node) []string {
	var s []string
	if n.Kind != Host {
		s = append(s, "kind: "+n.Kind.String())
	}
	if n.Inside != nil {
		s = append(s, "inside: "+flow(n.Inside))
	}
	return s
}

func eventWords(e Event, from sources) []string {
	s := []string{"at: " + FormatTime(e.At)}
	for _, w := range []struct {
		on   bool
		text string
	}{
		{e.Every != 0, "every: " + FormatTime(e.Every)},
		{e.Times != 0, fmt.Sprintf("times: %d", e.Times)},
		{e.Link != "", "link: " + plain(e.Link)},
		{e.Way != "", "way: " + e.Way},
		{e.Node != "", "node: " + plain(e.Node)},
		{e.Ramp != 0, "ramp: " + FormatTime(e.Ramp)},
	} {
		if w.on {
			s = append(s, w.text)
		}
	}
	switch {
	case e.Kind == EventSet:
		return append(s, "set: {"+strings.Join(settings(e.Set.Values, e.Set.Fields, from), ", ")+"}")
	case e.For != 0:
		return append(s, fmt.Sprintf("%s: %s", e.Kind, FormatTime(e.For)))
	}
	return append(s, fmt.Sprintf("%s: true", e.Kind))
}

func showExperiment(b *strings.Builder, e Experiment) {
	fmt.Fprintf(b, "experiment:\n  from: %s\n  to: %s\n", plain(e.From), plain(e.To))
	fmt.Fprintf(b, "  workload: %s\n", showWorkload(e.Workload))
	fmt.Fprintf(b, "  engines: %s\n", flow(e.Engines))
	for _, list := range []struct {
		name  string
		words []string
	}{{"paths", e.Paths}, {"schedulers", e.Schedulers}, {"congestions", e.Congestions}} {
		if list.words != nil {
			fmt.Fprintf(b, "  %s: %s\n", list.name, flow(list.words))
		}
	}
	fmt.Fprintf(b, "  rounds: %d\n", e.Rounds)
}

func flow(words []string) string {
	items := make([]string, len(words))
	for i, w := range words {
		items[i] = plain(w)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func flowPrefixes(prefixes []netip.Prefix) string {
	items := make([]string, len(prefixes))
	for i, p := range prefixes {
		items[i] = p.String()
		if p.Addr().Is6() {
			items[i] = `"` + items[i] + `"` // colons
		}
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// plain returns a word as a YAML scalar, in quotes where YAML would take it for
// a number, a date or nothing.
func plain(word string) string {
	text, err := yaml.Marshal(word)
	if err != nil {
		panic("topologies: a string does not encode: " + err.Error())
	}
	return strings.TrimSuffix(string(text), "\n")
}
