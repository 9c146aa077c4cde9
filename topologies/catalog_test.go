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
			if topology.Name != e.Name {
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
	want := []string{"direct", "direct-2", "dual-lte", "lte-wifi", "lte-wifi-ethernet", "lte-wifi-lossless", "wifi-ethernet"}
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
			if d.Rate == 0 || d.Delay == 0 || d.Queue.Time == 0 || d.Loss > 0.001 {
				t.Errorf("%s: %+v lacks a rate, a delay or a queue in ms, or loses over 0.1%%", p.Name, d)
			}
			// A file has no word for "any MTU", with which it could undo this.
			if d.MTU != 0 {
				t.Errorf("%s sets the MTU %d of the wire", p.Name, d.MTU)
			}
		}
	}
	if want := []string{"ethernet", "lte", "wifi"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
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
