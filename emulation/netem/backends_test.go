package netem

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

var update = flag.Bool("update", false, "write the table in docs/BACKENDS.md anew")

// backendsTable is the table of docs/BACKENDS.md. The relay and the simulation run the
// model itself; a feature that one of them lacks is named here.
func backendsTable() string {
	lacking := map[emulation.Features]string{emulation.FeatureTooBig: "drops in silence"}
	var b strings.Builder
	b.WriteString("| feature | relay | sim | netem | what netem makes of it |\n| --- | --- | --- | --- | --- |\n")
	for _, c := range Capabilities() {
		sim := "yes"
		if lack, ok := lacking[c.Features]; ok {
			sim = lack
		}
		fmt.Fprintf(&b, "| %s | yes | %s | %v | %s |\n", strings.ReplaceAll(c.Features.String(), ", ", " with "), sim, c.Support, c.How)
	}
	return b.String()
}

// TestBackendsDocument holds docs/BACKENDS.md to the data; -update writes it.
func TestBackendsDocument(t *testing.T) {
	const file, begin, end = "../../docs/BACKENDS.md", "<!-- netem: generated -->\n", "<!-- end -->\n"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	table, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part between %q and %q", file, begin, end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+backendsTable()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(backendsTable(), table); diff != "" {
		t.Errorf("%s differs from netem.Capabilities (run with -update; -want +got):\n%s", file, diff)
	}
}
