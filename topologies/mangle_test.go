package topologies

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

// TestMangled damages catalogue files in their structure, where bytes changed at
// random would seldom leave YAML: whatever comes out is refused with places, or
// is sound and survives Show.
func TestMangled(t *testing.T) {
	var sources [][]byte
	for _, e := range Catalog() {
		sources = append(sources, e.Source)
	}
	sources = append(sources, []byte(`
name: lab
nodes: {a: {}, b: {}, c: {}}
links:
  - name: x
    endpoints: [a, b]
    addresses: {a: [10.9.0.1/24, "fd00:9::1/64"], b: [10.9.0.2/24, "fd00:9::2/64"]}
    up: {mtu: 1400}
  - {name: y, endpoints: [c, b]}
experiment: {from: a, to: b, workload: {bytes: 1MB}, engines: [tcp, tcp@x]}
`))
	accepted := 0
	rapid.Check(t, func(r *rapid.T) {
		var root yaml.Node
		if err := yaml.Unmarshal(rapid.SampledFrom(sources).Draw(r, "source"), &root); err != nil {
			r.Fatal(err)
		}
		for range rapid.IntRange(0, 3).Draw(r, "cuts") {
			mangle(r, &root)
		}
		data, err := yaml.Marshal(&root)
		if err != nil {
			r.Skip("no YAML")
		}
		topology, err := Loader{Engines: knownEngines()}.Parse("mangled.yaml", data)
		if err == nil {
			accepted++
			checkSound(t, topology)
			again, err := Loader{}.Parse("shown.yaml", []byte(Show(topology)))
			if diff := cmp.Diff(topology, again, prefixes()); err != nil || diff != "" {
				r.Fatalf("Show loses something: %v\n%s\n%s", err, diff, data)
			}
			return
		}
		problems, ok := errors.AsType[Problems](err)
		if !ok || len(problems) == 0 {
			r.Fatalf("error is %v, want Problems", err)
		}
		checkProblems(t, data, problems)
		if t.Failed() {
			r.Fatalf("%v\n%s", err, data)
		}
	})
	if accepted == 0 {
		t.Error("every file was refused")
	}
}

// mangle makes one change to the tree.
func mangle(t *rapid.T, root *yaml.Node) {
	var nodes []*yaml.Node
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		nodes = append(nodes, n)
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(root.Content[0])
	n, other := rapid.SampledFrom(nodes).Draw(t, "node"), rapid.SampledFrom(nodes).Draw(t, "other")
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	switch rapid.IntRange(0, 5).Draw(t, "change") {
	case 0: // another value
		words := strings.Fields("~ true 0 1 -1 1280 65536 30mbit 0.1% 100ms 50packets unlimited lte wifi client server tcp tcp@lte bulk loss rate mtu 10.77.0.1/24 .nan <<")
		n.SetString(rapid.SampledFrom(words).Draw(t, "word"))
		n.Style, n.Tag = 0, ""
	case 1: // the value that stands elsewhere
		*n = *clone(other)
	case 2: // less
		if len(n.Content) >= step {
			n.Content = n.Content[:len(n.Content)-step]
		}
	case 3: // twice
		for _, c := range n.Content {
			n.Content = append(n.Content, clone(c))
		}
	case 4: // turned round
		for i := 0; i+2*step <= len(n.Content); i += step {
			n.Content[i], n.Content[i+step] = n.Content[i+step], n.Content[i]
		}
	case 5: // none
		n.Content = nil
	}
}

func clone(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = nil
	for _, child := range n.Content {
		c.Content = append(c.Content, clone(child))
	}
	return &c
}
