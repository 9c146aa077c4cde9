package walls

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wall says which packages of ours those under From may import. The first wall whose
// From fits decides. A May entry that ends in "/..." covers a tree; another is one
// package.
type wall struct {
	From string
	May  []string
	Why  string
}

// walls has the most special trees first.
func walls() []wall {
	core := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, "engine/internal/"+n)
		}
		return out
	}
	return []wall{
		{"cmd", []string{"cmd/...", "topologies/...", "emulation/...", "lab/...", "engine/...", "results/..."}, "cmd wires everything"},
		{"lab", []string{"lab/...", "topologies/...", "emulation/...", "engine/...", "results/..."}, "the lab builds on everything but cmd"},
		{"topologies", []string{"topologies/...", "emulation", "emulation/trace"}, "topologies know the model's types, its traces and nothing else"},
		{"emulation", []string{"emulation/..."}, "emulation stands alone"},
		{"results", []string{"results/..."}, "results stand alone"},
		{"engine/sim", []string{"engine/...", "emulation"}, "the simulated lab runs the model"},
		{"engine/internal/simnet", append(core("wire", "clock", "buf"), "emulation"), "the simulated network runs the model"},
		{"engine/internal/driver", core("proto", "udpio", "buf", "wire", "clock"), "goroutines and sockets are the driver's, the protocol is proto's"},
		{"engine/internal/pathman", core("proto", "wire", "clock"), "the path manager sees paths and addresses, no connection"},
		{"engine/internal/qlog", core("proto", "wire", "clock"), "qlog writes down what proto traces"},
		{"engine/internal/proto", core("handshake", "recovery", "congest", "sched", "wire", "buf", "clock"), "the protocol core is made of these parts"},
		{"engine/internal/handshake", core("wire", "clock"), "keys know packets and nothing above them"},
		{"engine/internal/recovery", core("congest", "wire", "clock"), "recovery knows packets, not what is in them"},
		{"engine/internal/congest", core("wire", "clock"), "congestion control knows bytes and time"},
		{"engine/internal/sched", core("wire", "clock"), "schedulers know paths as values"},
		{"engine/internal/dial", core("clock"), "the dial race knows paths as numbers, and time"},
		{"engine/internal/udpio", core("wire", "buf"), "sockets know bytes and marks"},
		{"engine/internal/wire", nil, "wire is a leaf"},
		{"engine/internal/clock", nil, "clock is a leaf"},
		{"engine/internal/buf", nil, "buf is a leaf"},
		{"engine", []string{"engine/..."}, "engines stand alone"},
	}
}

func importWalls(p listed) []string {
	i := slices.IndexFunc(walls(), func(w wall) bool { return under(p.Path, w.From) })
	if i < 0 {
		return []string{"stands in no tree of docs/ARCHITECTURE.md"}
	}
	w := walls()[i]
	var out []string
	for _, imported := range p.Imports {
		target, ok := strings.CutPrefix(imported, "./")
		if ok && !slices.ContainsFunc(w.May, func(m string) bool { return covers(m, target) }) {
			out = append(out, fmt.Sprintf("imports %s: %s", target, w.Why))
		}
	}
	return out
}

func under(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }

func covers(may, p string) bool {
	if tree, ok := strings.CutSuffix(may, "/..."); ok {
		return under(p, tree)
	}
	return p == may
}

// isCore: these packages do no I/O, start no goroutine and read no clock.
func isCore(p string) bool {
	return p == "emulation" || slices.Contains([]string{"proto", "recovery", "congest", "sched", "wire", "simnet", "dial"}, strings.TrimPrefix(p, "engine/internal/"))
}

// corePurity: one owner, no lock, no clock, no randomness but from a seed; all of
// it replays bit for bit.
func corePurity(p listed) []string {
	if !isCore(p.Path) {
		return nil
	}
	var out []string
	for _, imported := range p.Imports {
		for _, tree := range []string{"net", "os", "sync", "syscall", "golang.org/x/sys"} {
			// net/netip is values only.
			if under(imported, tree) && imported != "net/netip" {
				out = append(out, "imports "+imported+": the core does no I/O and takes no lock")
			}
		}
		if imported == "math/rand" {
			out = append(out, "imports math/rand: all randomness comes from a seed (math/rand/v2 with a source)")
		}
	}
	for _, f := range p.Files {
		if f.Go {
			out = append(out, f.Name+" starts a goroutine: the core has one owner")
		}
		for _, use := range f.Uses {
			if why := impure(use); why != "" {
				out = append(out, f.Name+" uses "+use+": "+why)
			}
		}
	}
	return out
}

func impure(use string) string {
	if name, ok := strings.CutPrefix(use, "time."); ok &&
		slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}, name) {
		return "now is an argument"
	}
	if name, ok := strings.CutPrefix(use, "math/rand/v2."); ok &&
		!slices.Contains([]string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"}, name) {
		return "the global generator has no seed"
	}
	return ""
}

func TestImportWallsCatch(t *testing.T) {
	tests := []struct {
		from, imports string
		want          bool // a violation
	}{
		{"cmd/tquiclab", "lab/runner", false},
		{"cmd/internal/walls", "results", false},
		{"lab", "emulation/relay", false},
		{"lab/netns", "lab", false},
		{"lab", "cmd/tquiclab", true},
		{"topologies", "emulation", false},
		{"topologies/catalog", "topologies", false},
		{"topologies", "emulation/relay", true},
		{"topologies", "lab", true},
		{"topologies", "results", true},
		{"emulation", "topologies", true},
		{"emulation/relay", "emulation", false},
		{"emulation/relay", "lab/netns", true},
		{"emulation/netem", "engine", true},
		{"engine", "emulation", true},
		{"engine/tcp", "engine", false},
		{"engine/workload", "results", true},
		{"engine/sim", "emulation", false},
		{"engine/sim", "engine/internal/simnet", false},
		{"engine/sim", "emulation/relay", true},
		{"engine/internal/simnet", "emulation", false},
		{"engine/internal/simnet", "lab", true},
		{"engine/internal/driver", "engine/internal/proto", false},
		{"engine/internal/driver", "engine/internal/recovery", true},
		{"engine/internal/proto", "engine/internal/recovery", false},
		{"engine/internal/proto", "engine/internal/udpio", true},
		{"engine/internal/proto", "engine/internal/qlog", true},
		{"engine/internal/recovery", "engine/internal/proto", true},
		{"engine/internal/qlog", "engine/internal/proto", false},
		{"engine/internal/udpio", "engine/internal/driver", true},
		{"engine/internal/dial", "engine/internal/clock", false},
		{"engine/internal/dial", "engine/internal/proto", true},
		{"engine/internal/wire", "engine/internal/buf", true},
		{"results", "topologies", true},
		{"results/report", "results", false},
		{"resultsets", "lab", true}, // a tree of its own, unknown
		{"tools", "lab", true},
	}
	for _, tt := range tests {
		t.Run(tt.from+" imports "+tt.imports, func(t *testing.T) {
			got := importWalls(listed{Path: tt.from, Imports: []string{"fmt", "./" + tt.imports}})
			if (len(got) > 0) != tt.want {
				t.Errorf("got %q, want a violation: %v", got, tt.want)
			}
		})
	}
}

func TestCorePurityCatches(t *testing.T) {
	tests := []struct {
		name, path, text string
		want             int // violations
	}{
		{"net", "emulation", `import "net"`, 1},
		{"net/http", "engine/internal/proto", `import "net/http"`, 1},
		{"addresses are values", "engine/internal/proto", `import "net/netip"`, 0},
		{"os", "engine/internal/wire", `import "os"`, 1},
		{"sync", "engine/internal/sched", `import "sync"`, 1},
		{"sync/atomic", "engine/internal/recovery", `import "sync/atomic"`, 1},
		{"the old generator", "engine/internal/congest", `import "math/rand"`, 1},
		{"the global generator", "emulation", "import \"math/rand/v2\"\nvar x = rand.Float64()", 1},
		{"a seeded generator", "emulation", "import \"math/rand/v2\"\nvar x = rand.New(rand.NewPCG(1, 2))", 0},
		{"the clock", "emulation", "import \"time\"\nvar x = time.Now()", 1},
		{"durations", "emulation", "import \"time\"\nconst x = time.Second", 0},
		{"a goroutine", "emulation", "func f() { go f() }", 1},
		{"the relay may", "emulation/relay", "import (\"os\"; \"sync\"; \"time\")\nvar x = time.Now()\nfunc f() { go f() }", 0},
		{"adapters may", "engine/tcp", `import "net"`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := corePurity(snippet(t, tt.path, tt.text)); len(got) != tt.want {
				t.Errorf("got %q, want %d violations", got, tt.want)
			}
		})
	}
}

// snippet is a package of one file, without its package clause.
func snippet(t *testing.T, path, text string) listed {
	t.Helper()
	s, err := inspect("x.go", []byte("package x\n"+text+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return listed{Path: path, Name: "x", Files: []source{s}, Imports: importsOf([]source{s})}
}

func TestOrderOfWalls(t *testing.T) {
	var shadowed []string
	for i, w := range walls() {
		for _, later := range walls()[i+1:] {
			if under(later.From, w.From) {
				shadowed = append(shadowed, later.From)
			}
		}
	}
	if diff := cmp.Diff([]string(nil), shadowed); diff != "" {
		t.Errorf("walls that an earlier one hides (-want +got):\n%s", diff)
	}
}
