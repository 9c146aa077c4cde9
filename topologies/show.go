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
	nodes := make([]string, len(t.Nodes))
	for i, n := range t.Nodes {
		nodes[i] = plain(n.Name) + ": {}"
	}
	fmt.Fprintf(&b, "nodes: {%s}\nlinks:\n", strings.Join(nodes, ", "))
	for _, l := range t.Links {
		showLink(&b, l)
	}
	if t.Experiment != nil {
		showExperiment(&b, *t.Experiment)
	}
	return b.String()
}

func showLink(b *strings.Builder, l Link) {
	fmt.Fprintf(b, "  - name: %s\n", plain(l.Name))
	fmt.Fprintf(b, "    endpoints: %s\n", flow(l.Endpoints[:]))
	if l.Profile != "" {
		fmt.Fprintf(b, "    profile: %s\n", plain(l.Profile))
	}
	fmt.Fprintf(b, "    mtu: %d\n", l.MTU)
	for _, d := range []struct {
		name string
		i    emulation.Impairments
	}{{"up", l.Up}, {"down", l.Down}} {
		if l.Profile != "" || !d.i.IsZero() {
			fmt.Fprintf(b, "    %s: {%s}\n", d.name, strings.Join(settings(d.i), ", "))
		}
	}
	b.WriteString("    addresses:\n")
	for end, prefixes := range l.Addresses {
		fmt.Fprintf(b, "      %s: %s\n", plain(l.Endpoints[end]), flowPrefixes(prefixes))
	}
}

// settings returns a direction key by key. All keys that a profile may set are
// there, so that none of them comes back when the text is parsed.
func settings(i emulation.Impairments) []string {
	s := []string{
		"rate: " + FormatRate(i.Rate),
		"delay: " + FormatTime(i.Delay),
		"jitter: " + FormatTime(i.Jitter),
		"loss: " + FormatPercent(i.Loss),
		"queue: " + FormatQueue(i.Queue),
	}
	if i.MTU != 0 {
		s = append(s, fmt.Sprintf("mtu: %d", i.MTU))
	}
	return s
}

func showExperiment(b *strings.Builder, e Experiment) {
	w := e.Workload
	amount := "duration: " + FormatTime(w.Duration)
	if w.Bytes != 0 {
		amount = "bytes: " + FormatSize(emulation.ByteCount(w.Bytes))
	}
	fmt.Fprintf(b, "experiment:\n  from: %s\n  to: %s\n", plain(e.From), plain(e.To))
	fmt.Fprintf(b, "  workload: {kind: %s, %s, streams: %d, connections: %d}\n", plain(w.Kind), amount, w.Streams, w.Connections)
	fmt.Fprintf(b, "  engines: %s\n  rounds: %d\n", flow(e.Engines), e.Rounds)
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
