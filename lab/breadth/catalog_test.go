package breadth

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// bonding stands for tquic: a simulation asks the engine for nothing but its name and
// what it can do.
type bonding struct{ engine.Engine }

func (bonding) Name() string { return "tquic" }

func (bonding) Capabilities() engine.Capabilities {
	return engine.Capabilities{Multipath: true, Encrypted: true, Congestion: "cubic"}
}

func TestCatalog(t *testing.T) {
	c := Catalog{Engine: bonding{}, Names: []string{"lte-wifi", "bench/bw-4to1", "direct-2"}, Rounds: 2, Bytes: 1 << 19}
	bonds, err := c.Run(t.Context())
	if err != nil || len(bonds) != 3 {
		t.Fatalf("%d bonds, %v; want three", len(bonds), err)
	}
	for _, b := range bonds[:2] {
		if b.Refused != "" || b.Failed > 0 || len(b.Paths) != 2 || b.BondedBPS <= 0 || b.Ratio <= 0 || len(b.AloneBPS) != 2 || len(b.Shares) != 2 || b.StallMS <= 0 {
			t.Errorf("%+v: want figures of two paths", b)
		}
	}
	if !strings.Contains(bonds[2].Refused, "without rate and delay") {
		t.Errorf("direct-2 was refused for %q", bonds[2].Refused)
	}
	if bonds[1].PublishedBPS != 39.9e6 || bonds[0].PublishedBPS != 0 {
		t.Errorf("published %v and %v, want 39.9 Mbit/s of the bench alone", bonds[1].PublishedBPS, bonds[0].PublishedBPS)
	}
}

// Every figure of others belongs to a topology that there is, and no bench lacks one.
func TestPublishedFiguresAreOfTheCatalogue(t *testing.T) {
	n := 0
	for _, e := range topologies.Catalog() {
		if is := strings.HasPrefix(e.Name, "bench/"); is != (published(e.Name) > 0) {
			t.Errorf("%s has the figure %v", e.Name, published(e.Name))
		} else if is {
			n++
		}
	}
	if n != 16 {
		t.Errorf("%d topologies have a figure, want 16", n)
	}
}

func TestCatalogRefusesNonsense(t *testing.T) {
	for name, c := range map[string]Catalog{
		"no such topology": {Names: []string{"lte-wlan"}},
		"two paths":        {Names: []string{"nat"}},
		"what is due":      {Names: []string{"lte-wifi-handover"}},
		"negative":         {Rounds: -1},
	} {
		c.Engine = bonding{}
		if _, err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: error %v, want one that says %q", c, err, name)
		}
	}
}

func TestBondFromTrials(t *testing.T) {
	trial := func(round int, goodput float64, paths ...string) results.Trial {
		r := results.Trial{Round: round, GoodputBPS: goodput, Bytes: 1000, Intact: true, StallMaxMS: float64(10 * round), Arm: results.Arm{Paths: paths}}
		for _, p := range paths {
			r.Paths = append(r.Paths, results.TrialPath{Link: p, Share: 1 / float64(len(paths)), ReinjectedBytes: 10})
		}
		return r
	}
	trials := []results.Trial{
		trial(1, 10, "b"), trial(1, 30, "a", "b"), trial(1, 20, "a"),
		trial(2, 22, "a"), trial(2, 12, "b"), trial(2, 11, "a", "b"),
		trial(3, 30, "b"), trial(3, 45, "a", "b"), trial(3, 24, "a"),
	}
	trials[0].Intact = false
	results.FillBenefit(trials)
	var b Bond
	b.read(trials)
	want := Bond{
		Paths: []string{"a", "b"}, AloneBPS: []float64{22, 12}, BondedBPS: 30, Shares: []float64{0.5, 0.5},
		Ratio: 1.5, Benefit: new(0.0625), Reinjected: 0.02, StallMS: 30, Failed: 1,
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if diff := cmp.Diff(want, b, near); diff != "" {
		t.Errorf("bond (-want +got):\n%s", diff)
	}
}

func TestWriteBonds(t *testing.T) {
	var out strings.Builder
	err := WriteBonds(&out, []Bond{
		{Topology: "lte-wifi", AloneBPS: []float64{30e6, 50e6}, BondedBPS: 75e6, Ratio: 1.5, Benefit: new(0.83), Shares: []float64{0.4, 0.6}},
		{Topology: "bench/loss-2", AloneBPS: []float64{16e6, 15e6}, BondedBPS: 31e6, Ratio: 1.9, PublishedBPS: 29e6},
		{Topology: "bench/jit-5", BondedBPS: 20e6, Ratio: 0.97, PublishedBPS: 61.4e6},
		{Topology: "direct-2", Refused: "too fast"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"30.0 50.0", "75.0", "0.83", "40/60 %", "1 of 3 more than 2 % below", "1 of 2 above the published", "not simulated: direct-2: too fast"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, &out)
		}
	}
}
