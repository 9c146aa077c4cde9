package topologies

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

// folder is a folder with files, and a topology that is made of impairments for the
// up direction of its one link.
type folder string

func newFolder(t *testing.T, files map[string]string) folder {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder(dir)
}

func (f folder) load(t *testing.T, up string) (Topology, error) {
	t.Helper()
	text := "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], up: {" + up + "}}]\n"
	file := filepath.Join(string(f), "lab.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Loader{}.Load(file)
}

func traceFiles() map[string]string {
	return map[string]string{
		"lte.down":     "1\n2\n2\n5\n",
		"sub/it's.csv": "time_s,rate_mbit,loss_percent\n0,10,0\n2,0,0\n3,5,1\n",
		"odd.dist":     "# iproute2\n-8192 0\n8192\n",
	}
}

// TestTraceFiles: a topology takes traces from files beside it, says which, and is
// read back from what Show prints.
func TestTraceFiles(t *testing.T) {
	f := newFolder(t, traceFiles())
	trace := emulation.Trace{1, 2, 2, 5}
	table := emulation.Table{-8192, 0, 8192}
	steps := func(period time.Duration) *emulation.Schedule {
		return &emulation.Schedule{
			Columns: emulation.StepRate | emulation.StepLoss, Period: period,
			Steps: []emulation.Step{{Rate: 10e6}, {At: 2 * time.Second}, {At: 3 * time.Second, Rate: 5e6, Loss: 0.01}},
		}
	}
	for _, tt := range []struct {
		up   string
		want emulation.Impairments
		file TraceFile
	}{
		{"capacity: {trace: lte.down}", emulation.Impairments{Capacity: &trace}, TraceFile{Kind: TraceMahimahi, Source: "lte.down"}},
		{"capacity: {trace: ./lte.down}, queue: 5ms", emulation.Impairments{Capacity: &trace, Queue: emulation.Queue{Time: 5e6}}, TraceFile{Kind: TraceMahimahi, Source: "./lte.down"}},
		{`steps: {csv: "sub/it's.csv"}`, emulation.Impairments{Steps: steps(0)}, TraceFile{Kind: TraceCSV, Source: "sub/it's.csv"}},
		{`steps: {csv: "sub/it's.csv", repeat: true}`, emulation.Impairments{Steps: steps(4 * time.Second)}, TraceFile{Kind: TraceCSV, Source: "sub/it's.csv"}},
		{`steps: {csv: "sub/it's.csv", repeat: 9s}`, emulation.Impairments{Steps: steps(9 * time.Second)}, TraceFile{Kind: TraceCSV, Source: "sub/it's.csv"}},
		{
			"delay: 5ms, jitter: {width: 2ms, distribution: table, table: odd.dist}",
			emulation.Impairments{Delay: 5e6, Jitter: 2e6, Distribution: emulation.Empirical, JitterTable: &table},
			TraceFile{Kind: TraceTable, Source: "odd.dist"},
		},
	} {
		t.Run(tt.up, func(t *testing.T) {
			got, err := f.load(t, tt.up)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Links[0].Up); diff != "" {
				t.Error(diff)
			}
			tt.file.Link, tt.file.Direction, tt.file.SHA256 = "x", "up", hashOf(traceFiles()[filepath.Clean(tt.file.Source)])
			if diff := cmp.Diff([]TraceFile{tt.file}, got.Traces); diff != "" {
				t.Error(diff)
			}
			again, err := Loader{Dir: string(f)}.Parse("shown.yaml", []byte(Show(got)))
			if diff := cmp.Diff(got, again, prefixes()); err != nil || diff != "" {
				t.Errorf("Show loses something: %v\n%s\n%s", err, diff, Show(got))
			}
		})
	}
}

// TestTraceHash: the SHA-256 is that of the file, a topology that names another one is
// refused, and the topology's hash follows the contents and not the name.
func TestTraceHash(t *testing.T) {
	f := newFolder(t, map[string]string{"one": "1\n2\n", "same": "1\n2\n", "other": "1\n3\n"})
	hash := func(file string) string {
		topology, err := f.load(t, "capacity: {trace: "+file+"}")
		if err != nil {
			t.Fatal(err)
		}
		return topology.Hash()
	}
	if hash("one") != hash("same") || hash("one") == hash("other") {
		t.Errorf("hashes: %s, %s, %s; want the first two to be equal", hash("one"), hash("same"), hash("other"))
	}
	sum := hashOf("1\n2\n")
	if _, err := f.load(t, "capacity: {trace: same, sha256: "+sum+"}"); err != nil {
		t.Error(err)
	}
	_, err := f.load(t, "capacity: {trace: other, sha256: "+sum+"}")
	if err == nil || !strings.Contains(err.Error(), `links[0].up.capacity.sha256: "other" is another file: its SHA-256 is `+hashOf("1\n3\n")) {
		t.Errorf("got %v", err)
	}
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// TestBadTraceFiles: whatever a name leads to ends in a problem at its place.
func TestBadTraceFiles(t *testing.T) {
	f := newFolder(t, map[string]string{
		"empty": "", "descending": "5\n4\n", "binary": "\x7fELF\x02\x01\n\x00", "words": "a\nb\n",
		"no-header.csv": "0,10\n", "back.csv": "time_s,rate_mbit\n0,1\n2,1\n1,1\n", "long.dist": strings.Repeat("1 ", 400) + "\n70000\n",
		"dir/x": "", "one.csv": "time_s,delay_ms\n0,5\n", "outage.csv": "time_s,rate_mbit\n0,1\n2,0\n",
	})
	if err := syscall.Mkfifo(filepath.Join(string(f), "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(string(f), "large")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxTraceFile+1); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(string(f), "link")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ up, want string }{
		{"capacity: {trace: missing}", "no such file or directory: expected a regular file of at most 64MiB, all of them 256MiB; its name is relative to the topology's folder"},
		{"capacity: {trace: dir}", "dir is no regular file"},
		{"capacity: {trace: fifo}", "fifo is no regular file"},
		{"capacity: {trace: /dev/zero}", "/dev/zero is no regular file"},
		{"capacity: {trace: link}", "link is no regular file"},
		{"capacity: {trace: large}", "large has 67108865B"},
		{"capacity: {trace: empty}", "links[0].up.capacity.trace: empty: capacity trace is empty"},
		{"capacity: {trace: descending}", `descending:2: "4": expected at least 5, the line before`},
		{"capacity: {trace: binary}", `binary:1: "\x7fELF\x02\x01": expected whole milliseconds`},
		{"capacity: {trace: words}", `words:2: "b": expected whole milliseconds`},
		{`capacity: {trace: "a\0b"}`, "invalid argument"},
		{"capacity: {trace: 5}", "YAML takes \"5\" for a number"},
		{"capacity: {trace: " + strings.Repeat("a", 5000) + "}", "a path of 5000 bytes: expected at most 4095"},
		{"capacity: {trace: $(id)}", "$(id): no such file"},
		{"steps: {csv: no-header.csv}", `no-header.csv:1: column "0"`},
		{"steps: {csv: back.csv}", "back.csv:4: step at 1s: expected a time after 2s"},
		{"steps: {csv: one.csv, repeat: true}", "repeat: true with one step"},
		{"steps: {csv: back.csv, repeat: 1s}", "back.csv:4"},
		{"steps: {csv: outage.csv}", "outage.csv: schedule ends in an outage"},
		{"delay: 1s, jitter: {width: 1ms, distribution: table, table: long.dist}", `long.dist:2: "70000": expected whole numbers from -32768 to 32767`},
		{"delay: 1s, jitter: {width: 1ms, distribution: table, table: empty}", "empty: distribution table is empty"},
	} {
		t.Run(tt.up[:min(len(tt.up), 60)], func(t *testing.T) {
			_, err := f.load(t, tt.up)
			problems, ok := errors.AsType[Problems](err)
			if !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			for _, p := range problems {
				if p.Line != 3 || strings.Contains(p.String(), "\n") {
					t.Errorf("%q", p.String())
				}
			}
		})
	}
}

// TestReadBounded: a file that says it is empty and goes on is cut off.
func TestReadBounded(t *testing.T) {
	if _, err := readBounded("/proc/self/maps", 100); err == nil || !strings.Contains(err.Error(), "goes on after 100B") {
		t.Errorf("got %v", err)
	}
	if data, err := readBounded("/proc/self/comm", 100); err != nil || len(data) == 0 {
		t.Errorf("got %q, %v", data, err)
	}
}

// TestGenerators: a generated trace follows from its settings, and without a seed from
// the topology's, the link and the direction.
func TestGenerators(t *testing.T) {
	parse := func(seed int, name, up, down string) Link {
		topology := mustParse(t, fmt.Sprintf("name: lab\nseed: %d\nnodes: {a: {}, b: {}}\nlinks: [{name: %s, endpoints: [a, b], up: {capacity: {%s}}, down: {capacity: {%s}}}]\n", seed, name, up, down))
		if len(topology.Traces) != 2 || topology.Traces[0].Kind != TraceGenerated {
			t.Errorf("traces: %+v", topology.Traces)
		}
		again := mustParse(t, Show(topology))
		if diff := cmp.Diff(topology, again, prefixes()); diff != "" {
			t.Errorf("Show loses something:\n%s", diff)
		}
		return topology.Links[0]
	}
	const lte = "generate: lte, duration: 5s"
	x := parse(1, "x", lte, lte)
	for name, other := range map[string]*emulation.Trace{
		"up and down":   x.Down.Capacity,
		"another link":  parse(1, "y", lte, lte).Up.Capacity,
		"another seed":  parse(2, "x", lte, lte).Up.Capacity,
		"a seed of its": parse(1, "x", lte+", seed: 9", lte).Up.Capacity,
		"another mean":  parse(1, "x", lte+", mean: 9mbit", lte).Up.Capacity,
	} {
		if cmp.Equal(x.Up.Capacity, other) {
			t.Errorf("%s: the same trace", name)
		}
	}
	if !cmp.Equal(x.Up.Capacity, parse(1, "x", lte, lte).Up.Capacity) {
		t.Error("the same file gives another trace")
	}
	own := parse(1, "x", lte+", seed: 9", lte+", seed: 9")
	if own.Up.Capacity != own.Down.Capacity {
		t.Error("equal settings do not share a trace")
	}
	mean := parse(1, "x", "generate: 5g, mean: 20mbit", "generate: starlink, duration: 2s, mean: 2mbit")
	for rate, want := range map[emulation.Rate]emulation.Rate{mean.Up.MeanRate(): 20e6, mean.Down.MeanRate(): 2e6} {
		if diff := float64(rate-want) / float64(want); diff < -0.01 || diff > 0.01 {
			t.Errorf("mean %d, want %d", rate, want)
		}
	}
}

func TestGeneratedSteps(t *testing.T) {
	topology := mustParse(t, "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], down: {steps: {generate: starlink, window: 500ms, mean: 50mbit}}}]\n")
	s := topology.Links[0].Down.Steps
	if len(s.Steps) != 120 || s.Period != time.Minute || s.Columns != emulation.StepRate {
		t.Errorf("%d steps, period %v", len(s.Steps), s.Period)
	}
	if rate := s.MeanRate(); rate < 49.9e6 || rate > 50.1e6 {
		t.Errorf("mean %d", rate)
	}
	if again := mustParse(t, Show(topology)); !cmp.Equal(topology, again, prefixes()) {
		t.Errorf("Show loses something:\n%s", Show(topology))
	}
}

// TestGeneratedBounds: what a file asks for is bounded in time and memory.
func TestGeneratedBounds(t *testing.T) {
	links := func(n int, up string) string {
		var b strings.Builder
		b.WriteString("name: lab\nnodes: {a: {}, b: {}}\nlinks:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {name: l%d, endpoints: [a, b], up: {%s}}\n", i, up)
		}
		return b.String()
	}
	for name, tt := range map[string]struct{ text, want string }{
		"too long in all":  {links(13, "capacity: {generate: lte, duration: 10m, mean: 10kbit}"), "links[12].up.capacity.generate: the generated traces of this topology are too long in all"},
		"too fast in all":  {links(3, "capacity: {generate: lte, duration: 60s, mean: 2gbit}"), "links[1].up.capacity.generate: the traces of this topology are too long in all"},
		"too fast":         {links(1, "capacity: {generate: lte, duration: 60s, mean: 1000gbit}"), "more than 16777216 opportunities"},
		"too many steps":   {links(4, "steps: {generate: 5g, duration: 10m, window: 1ms}"), "links[3].up.steps.generate: the traces of this topology are too long in all"},
		"window too long":  {links(1, "steps: {generate: lte, duration: 1s, window: 2s}"), "window 2s"},
		"window uneven":    {links(1, "steps: {generate: lte, duration: 1s, window: 1us}"), "window 1µs"},
		"shared is no sum": {links(100, "capacity: {generate: lte, duration: 10m, seed: 1}"), ""},
	} {
		_, err := Loader{}.Parse("lab.yaml", []byte(tt.text))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %.300v, want %s", name, err, tt.want)
		}
	}
}

// TestParseReadsNoFiles: what comes without a folder names no files.
func TestParseReadsNoFiles(t *testing.T) {
	f := newFolder(t, traceFiles())
	text := "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], up: {capacity: {trace: " + string(f) + "/lte.down}}}]\n"
	if _, err := (Loader{}).Parse("lab.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "cannot be read here: expected a topology that is itself read from a file") {
		t.Errorf("got %v", err)
	}
	if _, err := (Loader{Dir: "/"}).Parse("lab.yaml", []byte(text)); err != nil {
		t.Error(err)
	}
	patches, err := Loader{Dir: string(f)}.ParsePatch([]string{"capacity.trace=lte.down"}, Link{Name: "x"})
	if err != nil || len(patches) != 1 || patches[0].Patch.Values.Capacity == nil {
		t.Errorf("got %v, %v", patches, err)
	}
}
