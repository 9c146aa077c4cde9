package topologies

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

// mustParse reads a topology that has no problems.
func mustParse(t *testing.T, text string) Topology {
	t.Helper()
	topology, err := Loader{Engines: knownEngines()}.Parse("lab.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	checkSound(t, topology)
	return topology
}

// TestFirstTopology holds the resolved form of the project's first topology.
func TestFirstTopology(t *testing.T) {
	got, err := Loader{Engines: knownEngines()}.Find("lte-wifi")
	if err != nil {
		t.Fatal(err)
	}
	ms := time.Millisecond
	pair := func(a, b string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix(a), netip.MustParsePrefix(b)}
	}
	want := Topology{
		Name:  "lte-wifi",
		Seed:  1,
		Nodes: []Node{{Name: "client"}, {Name: "server"}},
		Links: []Link{
			{
				Name: "lte", Endpoints: [2]string{"client", "server"}, Profile: "lte", MTU: 1400,
				Up:   emulation.Impairments{Rate: 12e6, Delay: 35 * ms, Jitter: 5 * ms, Loss: 0.0001, Queue: emulation.Queue{Time: 300 * ms}},
				Down: emulation.Impairments{Rate: 40e6, Delay: 35 * ms, Jitter: 5 * ms, Loss: 0.0001, Queue: emulation.Queue{Time: 300 * ms}},
				Addresses: [2][]netip.Prefix{
					pair("10.77.0.1/24", "fd74:7171:0:0::1/64"),
					pair("10.77.0.2/24", "fd74:7171:0:0::2/64"),
				},
			},
			{
				Name: "wifi", Endpoints: [2]string{"client", "server"}, Profile: "wifi", MTU: 1500,
				Up:   emulation.Impairments{Rate: 30e6, Delay: 5 * ms, Jitter: 2 * ms, Loss: 0.001, Queue: emulation.Queue{Time: 100 * ms}},
				Down: emulation.Impairments{Rate: 60e6, Delay: 8 * ms, Jitter: 2 * ms, Loss: 0.001, Queue: emulation.Queue{Time: 100 * ms}},
				Addresses: [2][]netip.Prefix{
					pair("10.77.1.1/24", "fd74:7171:0:1::1/64"),
					pair("10.77.1.2/24", "fd74:7171:0:1::2/64"),
				},
			},
		},
		Experiment: &Experiment{
			From: "server", To: "client",
			Workload: Workload{Kind: "bulk", Duration: 10 * time.Second, Streams: 1, Connections: 1},
			Engines:  []string{"tquic", "quic-go-bond", "quic-go", "mptcp", "tcp"},
			Rounds:   3,
		},
	}
	if diff := cmp.Diff(want, got, prefixes()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	got := mustParse(t, `
name: lab
nodes:
  client:
  server:
links:
  - {name: lte, endpoints: [client, server]}
`)
	if got.Seed != 1 || got.Links[0].MTU != 1500 || got.Links[0].Impaired() || got.Experiment != nil {
		t.Errorf("got %+v, want seed 1, mtu 1500, no impairments, no experiment", got)
	}
	got = mustParse(t, `
name: lab
nodes: {client: {}, server: {}}
links: [{name: lte, endpoints: [client, server]}]
experiment: {from: client, to: server, engines: [tcp]}
`)
	want := &Experiment{
		From: "client", To: "server", Engines: []string{"tcp"}, Rounds: 3,
		Workload: Workload{Kind: "bulk", Duration: 10 * time.Second, Streams: 1, Connections: 1},
	}
	if diff := cmp.Diff(want, got.Experiment); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestOverrides: up and down override the profile key by key, and unlimited
// takes away what it set.
func TestOverrides(t *testing.T) {
	lte := Profiles()[slices.Index(profileNames(), "lte")]
	parse := func(rest string) Link {
		return mustParse(t, "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], profile: lte"+rest+"}]\n").Links[0]
	}
	changed := func(change func(*emulation.Impairments)) emulation.Impairments {
		i := lte.Up
		change(&i)
		return i
	}
	for _, c := range []struct {
		key  string
		want emulation.Impairments
	}{
		{"rate: 1mbit", changed(func(i *emulation.Impairments) { i.Rate = 1e6 })},
		{"delay: 1s", changed(func(i *emulation.Impairments) { i.Delay = time.Second })},
		{"jitter: 0s", changed(func(i *emulation.Impairments) { i.Jitter = 0 })},
		{"loss: 0%", changed(func(i *emulation.Impairments) { i.Loss = 0 })},
		{"queue: 5packets", changed(func(i *emulation.Impairments) { i.Queue = emulation.Queue{Packets: 5} })},
		{"queue: unlimited", changed(func(i *emulation.Impairments) { i.Queue = emulation.Queue{} })},
		{"mtu: 1300", changed(func(i *emulation.Impairments) { i.MTU = 1300 })},
		{"rate: unlimited, queue: unlimited", changed(func(i *emulation.Impairments) { i.Rate, i.Queue = 0, emulation.Queue{} })},
	} {
		l := parse(", up: {" + c.key + "}")
		if l.Up != c.want {
			t.Errorf("%s: up is %+v, want %+v", c.key, l.Up, c.want)
		}
		if l.Down != lte.Down {
			t.Errorf("%s: up changes down to %+v", c.key, l.Down)
		}
	}
	if l := parse(", mtu: 1300"); l.MTU != 1300 || l.Up.MTU != 0 || l.Down.MTU != 0 {
		t.Errorf("the interfaces' mtu became the wire's: %+v", l)
	}
}

func TestAddresses(t *testing.T) {
	l := mustParse(t, `
name: lab
nodes: {client: {}, server: {}}
links:
  - {name: a, endpoints: [client, server]}
  - {name: b, endpoints: [server, client], addresses: {client: ["fd00:9::1/64", 10.9.0.1/24], server: [10.9.0.2/24, "fd00:9::2/64"]}}
  - {name: c, endpoints: [client, server], addresses: {client: [10.9.1.0/31], server: [10.9.1.1/31]}}
  - {name: d, endpoints: [client, server], addresses: {server: ["fd00:a::/127"], client: ["fd00:a::1/127"]}}
  - {name: e, endpoints: [client, server], addresses: {}}
`).Links
	for i, want := range []string{
		"[[10.77.0.1/24 fd74:7171::1/64] [10.77.0.2/24 fd74:7171::2/64]]",
		"[[10.9.0.2/24 fd00:9::2/64] [10.9.0.1/24 fd00:9::1/64]]",
		"[[10.9.1.0/31 fd74:7171:0:2::1/64] [10.9.1.1/31 fd74:7171:0:2::2/64]]",
		"[[10.77.3.1/24 fd00:a::1/127] [10.77.3.2/24 fd00:a::/127]]",
		"[[10.77.4.1/24 fd74:7171:0:4::1/64] [10.77.4.2/24 fd74:7171:0:4::2/64]]",
	} {
		if got := fmt.Sprint(l[i].Addresses); got != want {
			t.Errorf("link %s: got %s, want %s", l[i].Name, got, want)
		}
	}
	if got, want := defaultPrefix(ipv6, 255, 1).String(), "fd74:7171:0:ff::2/64"; got != want {
		t.Errorf("link 255: got %s, want %s", got, want)
	}
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	source := func(name string) string {
		return "name: " + name + "\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b]}]\n"
	}
	for file, name := range map[string]string{"mine.yaml": "mine", "direct.yaml": "from-file", "bare": "bare", "sub/deep.yaml": "deep"} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(source(name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("lte-wifi", 0o755); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		"mine.yaml":         "mine",
		"./mine.yaml":       "mine",
		"sub/deep.yaml":     "deep",
		"bare":              "bare",
		"direct.yaml":       "from-file", // a file wins over the catalogue
		"direct":            "direct",
		"direct-2.yaml":     "direct-2",
		"lte-wifi":          "lte-wifi", // a directory of that name is no file
		"lte-wifi.yml":      "lte-wifi",
		"lte-wifi-lossless": "lte-wifi-lossless",
		"bench/jit-5":       "bench-jit-5",
		"bench/jit-5.yaml":  "bench-jit-5",
	} {
		got, err := Loader{}.Find(arg)
		if err != nil || got.Name != want {
			t.Errorf("Find(%q) = %s, %v, want %s", arg, got.Name, err, want)
		}
	}
	for arg, want := range map[string]string{
		"lte-wfi":       "did you mean lte-wifi?",
		"lte":           "did you mean lte-wifi or",
		"dual_lte.yaml": "did you mean dual-lte or",
		"sub/lte-wifi2": "did you mean lte-wifi",
		"bench/jit-55":  "did you mean bench/jit-5",
		"bench/rtt_40":  "did you mean bench/rtt-40",
		"bench":         "did you mean bench/",
		"zzz":           "not in the catalogue, which `tquiclab topologies list` prints",
		"":              "not in the catalogue, which `tquiclab topologies list` prints",
		"sub":           "sub is a directory",
	} {
		_, err := Loader{}.Find(arg)
		if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("Find(%q): error is %v, want ErrNotFound with %q", arg, err, want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := (Loader{}).Load("missing.yaml"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "missing.yaml") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := (Loader{}).Load("."); err == nil {
		t.Error("a directory loads")
	}
	for name, size := range map[string]int{"most.yaml": maxFile, "more.yaml": maxFile + 1, "much-more.yaml": 3 * maxFile} {
		data := "#" + strings.Repeat(" ", size-len("#"))
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		want := "more.yaml:1:1: the file has more than 1MiB: expected a topology of at most 1MiB"
		_, err := Loader{}.Load(name)
		problems, ok := errors.AsType[Problems](err)
		if !ok || len(problems) != 1 || strings.HasSuffix(problems.Error(), want) != (size > maxFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One of 100 MB is not read to its end.
	if err := os.WriteFile("huge.yaml", []byte("name: lab\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate("huge.yaml", 100<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := (Loader{}).Load("huge.yaml"); err == nil || !strings.Contains(err.Error(), "the file has more than 1MiB") {
		t.Errorf("100 MiB: %v", err)
	}
	// A device without an end is read no further than a file may be long.
	if _, err := (Loader{}).Load("/dev/zero"); err == nil {
		t.Error("/dev/zero loads")
	}
	// Problems name the file as it was given.
	if err := os.WriteFile("bad.yaml", []byte("nam: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Loader{}).Find("./bad.yaml"); err == nil || !strings.HasPrefix(err.Error(), "./bad.yaml:1:1: ") {
		t.Errorf("got %v", err)
	}
}

// TestEnginesUnchecked: without a list, any engine's name will do.
func TestEnginesUnchecked(t *testing.T) {
	text := "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b]}]\nexperiment: {from: a, to: b, engines: [of-tomorrow]}\n"
	if _, err := (Loader{}).Parse("lab.yaml", []byte(text)); err != nil {
		t.Error(err)
	}
	if _, err := (Loader{Engines: []string{}}).Parse("lab.yaml", []byte(text)); err == nil {
		t.Error("an empty list of engines knows of-tomorrow")
	}
}

func TestParseEngine(t *testing.T) {
	for text, want := range map[string]EngineRef{
		"tcp":                                 {Name: "tcp"},
		"mptcp@lte+wifi":                      {Name: "mptcp", Links: []string{"lte", "wifi"}},
		"tquic:scheduler=ecf":                 {Name: "tquic", Scheduler: "ecf"},
		"tquic:congestion=bbr":                {Name: "tquic", Congestion: "bbr"},
		"tquic@lte:congestion=bbr":            {Name: "tquic", Links: []string{"lte"}, Congestion: "bbr"},
		"tquic:congestion=bbr:scheduler=ecf":  {Name: "tquic", Scheduler: "ecf", Congestion: "bbr"},
		"tquic@a:scheduler=ecf:congestion=b2": {Name: "tquic", Links: []string{"a"}, Scheduler: "ecf", Congestion: "b2"},
	} {
		got, err := ParseEngine(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
		// The order of settings and of links tells no arm from another.
		if again, err := ParseEngine(got.String()); err != nil || again.arm() != want.arm() {
			t.Errorf("%s: printed as %s, which is %+v, %v", text, got, again, err)
		}
	}
}

func TestCheckEngine(t *testing.T) {
	topology := mustParse(t, `
name: lab
nodes: {a: {}, b: {}, c: {}}
links:
  - {name: lte, endpoints: [a, b]}
  - {name: wifi, endpoints: [b, a]}
  - {name: side, endpoints: [a, c]}
`)
	for text, want := range map[string]string{
		"tcp":            "",
		"mptcp@lte+wifi": "",
		"tpc":            `unknown engine "tpc": expected one of tcp, mptcp; did you mean "tcp"?`,
		"tcp@side":       `link "side" does not join from and to: expected one of lte, wifi`,
		"tcp@wfi":        `no link "wfi": expected one of lte, wifi; did you mean "wifi"?`,
	} {
		ref, err := ParseEngine(text)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := topology.CheckEngine(ref, "a", "b", []string{"tcp", "mptcp"}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	if got := len(topology.Between("b", "a")); got != 2 {
		t.Errorf("%d links between b and a, want 2", got)
	}
	if got := topology.Between("b", "c"); got != nil {
		t.Errorf("links between b and c: %v", got)
	}
}

// TestMany: the bounds of the format hold, and files at the bound of size are
// refused without trouble.
func TestMany(t *testing.T) {
	build := func(nodes, links int) []byte {
		var b strings.Builder
		b.WriteString("name: lab\nnodes:\n")
		for i := range nodes {
			b.WriteString(fmt.Sprint("  n", i, ":\n"))
		}
		b.WriteString("links:\n")
		for i := range links {
			b.WriteString(fmt.Sprint("  - {name: l", i, ", endpoints: [n", i%nodes, ", n", (i+1)%nodes, "]}\n"))
		}
		return []byte(b.String())
	}
	if _, err := (Loader{}).Parse("lab.yaml", build(maxNodes, maxLinks)); err != nil {
		t.Error(err)
	}
	for want, data := range map[string][]byte{
		"nodes: 257 nodes: expected at most 256":      build(maxNodes+1, 1),
		"links[256]: 257 links: expected at most 256": build(2, maxLinks+1),
	} {
		if _, err := (Loader{}).Parse("lab.yaml", data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	const head = "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b]}]\nexperiment: {from: a, to: b, "
	const big = maxFile / 8 // enough for whatever grows faster than the file to be felt
	for name, text := range map[string]string{
		"deep flow":     strings.Repeat("[", maxFile-1),
		"deep mappings": strings.Repeat("{a: ", maxFile/4),
		"deep block":    strings.Repeat("- ", maxFile/2-1) + "a",
		"long line":     "name: " + strings.Repeat("a", maxFile-10),
		"many keys":     strings.Repeat("a: b\n", big/5),
		"many comments": strings.Repeat("#\n", big/2),
		"many engines":  head + "engines: [" + strings.Repeat("tcp@x,", big/6-30) + "]}",
		"many pins":     head + "engines: [tcp@x" + strings.Repeat("+x", big/2-100) + "]}",
		"alias bomb":    aliasBomb(),
		"many events":   "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], up: {delay: 1s}}]\nevents:\n" + strings.Repeat("- {at: 1s, link: x, set: {jitter: 2s}}\n", big/40),
		"many at once":  "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], up: {delay: 1s}}]\nevents:\n" + strings.Repeat("- {at: 1s, link: x, set: {jitter: 2s}}\n", maxEvents),
		"many steps":    "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], up: {steps: [" + strings.Repeat("{at: 0s, rate: 1mbit},", big/30) + "]}}]\n",
		"many packets":  "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], up: {loss: {packets: [" + strings.Repeat("1,", big) + "]}}}]\n",
		"many anchors":  "a: " + "[" + strings.Repeat("&a b, ", big/6-2) + "]",
	} {
		_, err := Loader{}.Parse("lab.yaml", []byte(text))
		if _, ok := errors.AsType[Problems](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// aliasBomb is nine levels of nine aliases each.
func aliasBomb() string {
	b := "a0: &a0 [lol]\n"
	for i := range 9 {
		b += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), ", "))
	}
	return b
}

// TestLineEnds: a file saved with CRLF, with a byte order mark or without a last
// line end is the same topology.
func TestLineEnds(t *testing.T) {
	for _, e := range Catalog() {
		want := mustParse(t, string(e.Source))
		crlf := strings.ReplaceAll(string(e.Source), "\n", "\r\n")
		for _, text := range []string{crlf, "\uFEFF" + crlf, strings.TrimSpace(string(e.Source))} {
			if diff := cmp.Diff(want, mustParse(t, text), prefixes()); diff != "" {
				t.Errorf("%s: %s", e.Name, diff)
			}
		}
	}
}

// TestCheckExperiment: the rules for files hold for what flags make, and a topology
// with traces from files needs none of them for that.
func TestCheckExperiment(t *testing.T) {
	f := newFolder(t, traceFiles())
	topology, err := f.load(t, "capacity: {trace: lte.down}")
	if err != nil {
		t.Fatal(err)
	}
	topology.Experiment = &Experiment{From: "a", To: "b", Workload: DefaultWorkload(), Engines: []string{"tcp"}, Rounds: 3}
	l := Loader{Engines: knownEngines()}
	if err := l.CheckExperiment(topology); err != nil {
		t.Error(err)
	}
	topology.Experiment.Rounds, topology.Experiment.Engines = 0, []string{"tpc"}
	err = l.CheckExperiment(topology)
	for _, want := range []string{"experiment.rounds: 0 is out of range", `experiment.engines[0]: unknown engine "tpc"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if topology.Links[0].Up.Capacity == nil {
		t.Error("the check changes the topology")
	}
}
