package topologies

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestCatalog(t *testing.T) {
	var names []string
	for _, e := range Catalog() {
		names = append(names, e.Name)
		t.Run(e.Name, func(t *testing.T) {
			first, _, _ := strings.Cut(string(e.Source), "\n")
			if first != "# "+e.Description || len(e.Description) < 20 {
				t.Errorf("the first line is %q, the description %q", first, e.Description)
			}
			topology, err := Loader{Engines: knownEngines()}.Find(e.Name)
			if err != nil {
				t.Fatal(err)
			}
			checkSound(t, topology)
			if topology.Name != strings.ReplaceAll(e.Name, "/", "-") {
				t.Errorf("the topology in %s.yaml is called %s", e.Name, topology.Name)
			}
			if topology.Experiment == nil {
				t.Error("no experiment")
			}
			again, err := Loader{Engines: knownEngines()}.Parse("shown.yaml", []byte(Show(topology)))
			if diff := cmp.Diff(topology, again, prefixes()); err != nil || diff != "" {
				t.Errorf("Show loses something: %v\n%s", err, diff)
			}
		})
	}
	want := []string{
		"5g-wifi",
		"bench/baseline", "bench/bw-10to1", "bench/bw-4to1", "bench/congested", "bench/dual-lte", "bench/fiber-lte", "bench/jit-20", "bench/jit-5",
		"bench/loss-05", "bench/loss-2", "bench/lte-geo", "bench/lte-starlink", "bench/rtt-120", "bench/rtt-320", "bench/rtt-40", "bench/rtt-70",
		"direct", "direct-2", "dsl-lte", "dual-lte", "failover", "fiber-lte", "four-path", "handover", "lte-wifi", "lte-wifi-ethernet",
		"lte-wifi-handover", "lte-wifi-lossless", "mtu-1200", "mtu-1500", "mtu-9000", "nat", "shared-bottleneck", "starlink-lte", "v6-only", "wifi-ethernet",
	}
	if !slices.Equal(names, want) {
		t.Errorf("the catalogue has %v, want %v", names, want)
	}
}

// TestCatalogImpairments: direct links have none, and lossless is lte-wifi but
// for its loss.
func TestCatalogImpairments(t *testing.T) {
	find := func(name string) Topology {
		topology, err := Loader{}.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		return topology
	}
	for _, name := range []string{"direct", "direct-2"} {
		for _, l := range find(name).Links {
			if l.Impaired() || l.MTU != 1500 {
				t.Errorf("%s: link %s is %+v", name, l.Name, l)
			}
		}
	}
	want := find("lte-wifi").Links
	for i := range want {
		for _, d := range []*emulation.Impairments{&want[i].Up, &want[i].Down} {
			if d.Loss == 0 {
				t.Errorf("lte-wifi: link %s has a direction without loss", want[i].Name)
			}
			d.Loss = 0
		}
	}
	if diff := cmp.Diff(want, find("lte-wifi-lossless").Links, prefixes()); diff != "" {
		t.Errorf("lte-wifi without loss and lte-wifi-lossless differ:\n%s", diff)
	}
}

func TestProfiles(t *testing.T) {
	var names []string
	for _, p := range Profiles() {
		names = append(names, p.Name)
		for _, d := range []emulation.Impairments{p.Up, p.Down} {
			if d.MeanRate() == 0 || d.Delay == 0 || d.Queue.Time == 0 || d.Loss > 0.001 {
				t.Errorf("%s: %s lacks a rate, a delay or a queue in ms, or loses over 0.1%%", p.Name, Summary(d))
			}
			// Who builds on a profile sets the MTU of the link.
			if d.MTU != 0 {
				t.Errorf("%s sets the MTU %d of the wire", p.Name, d.MTU)
			}
			if err := d.Validate(); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
	want := []string{
		"3g", "5g-low", "5g-mmwave", "cable", "dsl", "ethernet", "ethernet-100m", "ethernet-1g", "fiber", "geo", "lte", "lte-driving",
		"starlink", "wifi", "wifi-busy", "wifi-fading",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

// TestProfileTraces: a profile's trace is the link's own, unless the link has another
// rate: then none is made.
func TestProfileTraces(t *testing.T) {
	topology := mustParse(t, `
name: lab
nodes: {a: {}, b: {}}
links:
  - {name: one, endpoints: [a, b], profile: lte-driving}
  - {name: two, endpoints: [a, b], profile: lte-driving, down: {rate: 5mbit}}
  - {name: three, endpoints: [a, b], profile: starlink, down: {capacity: {generate: 5g}}}
`)
	var used []string
	for _, f := range topology.Traces {
		used = append(used, f.Link+" "+f.Direction)
	}
	if want := []string{"one up", "one down", "two up", "three down"}; !slices.Equal(used, want) {
		t.Errorf("traces of %v, want %v", used, want)
	}
	one, two := topology.Links[0], topology.Links[1]
	if cmp.Equal(one.Up.Capacity, two.Up.Capacity) || two.Down.Capacity != nil || topology.Links[2].Down.Steps != nil {
		t.Error("two links of one profile have one trace, or an overridden trace is left")
	}
	if again := mustParse(t, Show(topology)); !cmp.Equal(topology, again, prefixes()) {
		t.Errorf("Show loses something:\n%s", Show(topology))
	}
}

// TestHashesStay: topologies that results refer to are the same network still.
func TestHashesStay(t *testing.T) {
	for name, want := range map[string]string{
		"direct":            "a33aaef7c5171e132b86bc44bcd7a2b2f9552393eb290ace307d663e034e7863",
		"direct-2":          "31e4312c303b248465e4626f8cdac03754df3ef7be60b9cd03357fe430374925",
		"dual-lte":          "2463fd5ec08ac03bd21ff1222b1a5e5414d2e5628f9320e1cd45625afd2cc10b",
		"lte-wifi":          "212a3f4f7a1612c805b5f54d5b4f6c3bc1b114f79f37d0ac0184c11df59254ea",
		"lte-wifi-ethernet": "b50794be414c77232e466cc8baab7b8ef91e77e2c2416e520031e67549874be2",
		"lte-wifi-lossless": "9f71f56196399a67cf235e4ed521ccd2df73edb229628539982c436ed28a7c31",
		"wifi-ethernet":     "921920b7d5b0acb5a1cd0c513bea468fbdb1c52619969607e2ce0657121b3f6b",
	} {
		if topology, err := (Loader{}).Find(name); err != nil || topology.Hash() != want {
			t.Errorf("%s: %v, hash %s, want %s", name, err, topology.Hash(), want)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		word string
		from string
		want string
	}{
		{"lt", "ethernet lte wifi", "lte"},
		{"LTE", "ethernet lte wifi", "lte"},
		{"wfii", "ethernet lte wifi", "wifi"},
		{"eth", "ethernet lte wifi", "ethernet"},
		{"ethernt", "ethernet lte wifi", "ethernet"},
		{"satellite", "ethernet lte wifi", ""},
		{"x", "ethernet lte wifi", ""},
		{"", "ethernet lte wifi", ""},
		{"tcp-tsl", "tcp tcp-tls mptcp-tls", "tcp-tls"},
		{"delai", "rate delay loss", "delay"},
	} {
		if got := nearestOne(c.word, strings.Fields(c.from)); got != c.want {
			t.Errorf("%q among %s: got %q, want %q", c.word, c.from, got, c.want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"kitten", "sitting", 3},
		{"ab", "ba", 1}, // a swap is one
		{"abcd", "acbd", 1},
		{"lte", "lte", 0},
	} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
