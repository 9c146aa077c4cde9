package topologies

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

// prefixes lets cmp compare addresses.
func prefixes() cmp.Option { return cmpopts.EquateComparable(netip.Prefix{}) }

// TestShowParses: what Show prints, Parse reads as the same topology.
func TestShowParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawTopology(t)
		text := Show(want)
		got, err := Loader{}.Parse("shown.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(want, got, prefixes()); diff != "" {
			t.Fatalf("-want +got:\n%s\n%s", diff, text)
		}
		if got.Hash() != want.Hash() {
			t.Fatal("the hash differs")
		}
	})
}

// drawTopology draws a topology that a file can describe.
func drawTopology(t *rapid.T) Topology {
	name := rapid.OneOf(
		rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?`),
		rapid.SampledFrom([]string{"null", "true", "no", "1e3", "2026-11-22", "0x1f", "12"}), // need quotes
	)
	nodes := rapid.SliceOfNDistinct(name, 2, 4, rapid.ID).Draw(t, "nodes")
	linkName := name.Filter(func(s string) bool { return !slices.Contains(reservedLinks(), s) })
	names := rapid.SliceOfNDistinct(linkName, 1, 4, rapid.ID).Draw(t, "links")
	topology := Topology{Name: name.Draw(t, "name"), Seed: rapid.Uint64().Draw(t, "seed")}
	for _, n := range nodes {
		topology.Nodes = append(topology.Nodes, Node{Name: n})
	}
	for i, n := range names {
		topology.Links = append(topology.Links, drawLink(t, i, n, nodes))
	}
	if rapid.Bool().Draw(t, "experiment") {
		topology.Experiment = drawExperiment(t, topology.Links)
	}
	return topology
}

func drawLink(t *rapid.T, i int, name string, nodes []string) Link {
	ends := rapid.Permutation(nodes).Draw(t, "endpoints")
	l := Link{
		Name:      name,
		Endpoints: [2]string{ends[0], ends[1]},
		Profile:   rapid.SampledFrom(append(profileNames(), "", "")).Draw(t, "profile"),
		MTU:       rapid.IntRange(minMTU, maxMTU).Draw(t, "mtu"),
		Up:        drawImpairments(t),
		Down:      drawImpairments(t),
	}
	own := rapid.Bool().Draw(t, "own addresses")
	for end := range l.Addresses {
		v4, v6 := defaultPrefix(ipv4, i, end), defaultPrefix(ipv6, i, end)
		if own {
			v4 = netip.MustParsePrefix(fmt.Sprintf("10.9.%d.%d/29", i, end+1))
			v6 = netip.MustParsePrefix(fmt.Sprintf("fd00:9:%d::%d/112", i, end+1))
		}
		l.Addresses[end] = []netip.Prefix{v4, v6}
	}
	return l
}

func drawImpairments(t *rapid.T) emulation.Impairments {
	if rapid.Bool().Draw(t, "unimpaired") {
		return emulation.Impairments{}
	}
	i := emulation.Impairments{
		Rate:  emulation.Rate(drawCount(t, mostRate)),
		Delay: time.Duration(drawCount(t, int64(emulation.MaxDelay))),
		Loss:  rapid.OneOf(rapid.Float64Range(0, 1), rapid.Just(0.0)).Draw(t, "loss"),
		MTU:   rapid.OneOf(rapid.IntRange(minMTU, maxMTU), rapid.Just(0)).Draw(t, "wire mtu"),
	}
	i.Jitter = time.Duration(rapid.Int64Range(0, int64(i.Delay)).Draw(t, "jitter"))
	if i.Rate != 0 {
		i.Queue = drawQueue(t)
	}
	return i
}

func drawExperiment(t *rapid.T, links []Link) *Experiment {
	on := rapid.SampledFrom(links).Draw(t, "link")
	e := &Experiment{
		From:    on.Endpoints[0],
		To:      on.Endpoints[1],
		Rounds:  rapid.IntRange(1, maxRounds).Draw(t, "rounds"),
		Engines: []string{"tcp", "mptcp@" + on.Name}[:rapid.IntRange(1, 2).Draw(t, "engines")],
		Workload: Workload{
			Kind:        "bulk",
			Streams:     rapid.IntRange(1, maxStreams).Draw(t, "streams"),
			Connections: rapid.IntRange(1, maxConnections).Draw(t, "connections"),
		},
	}
	if rapid.Bool().Draw(t, "bytes") {
		e.Workload.Bytes = max(1, drawCount(t, mostBytes))
	} else {
		e.Workload.Duration = time.Duration(max(1, drawCount(t, mostTime)))
	}
	return e
}

func TestDiagram(t *testing.T) {
	var text string
	for _, e := range Catalog() {
		topology, err := Loader{}.Find(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		text += e.Name + "\n" + Diagram(topology) + "\n"
	}
	golden(t, "testdata/diagrams.golden", text)
}
