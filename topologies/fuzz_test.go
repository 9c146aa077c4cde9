package topologies

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse: any bytes give either a sound topology that Show preserves, or
// problems that say where and what.
func FuzzParse(f *testing.F) {
	for _, e := range Catalog() {
		f.Add(e.Source)
	}
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, w := range []string{"kind: rpc, rate: 100/s, size: 1KB, response: 4KB", "kind: cbr, rate: 5mbit, size: 20KB, deadline: 200ms", "kind: handshake, parallel: 8", "kind: rpc, rate: 5mbit, parallel: 2"} {
		f.Add([]byte("name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b]}]\nexperiment: {from: a, to: b, workload: {" + w + "}, engines: [tcp]}\n"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		topology, err := Loader{}.Parse("fuzz.yaml", data)
		if err != nil {
			problems, ok := errors.AsType[Problems](err)
			if !ok || len(problems) == 0 {
				t.Fatalf("error is %v, want Problems", err)
			}
			checkProblems(t, data, problems)
			return
		}
		checkSound(t, topology)
		again, err := Loader{}.Parse("shown.yaml", []byte(Show(topology)))
		if err != nil {
			t.Fatalf("what Show prints is refused: %v\n%s", err, Show(topology))
		}
		if diff := cmp.Diff(topology, again, prefixes()); diff != "" {
			t.Errorf("Show loses something (-before +after):\n%s", diff)
		}
	})
}

// checkSound checks what holds for any topology that Parse returns.
func checkSound(t *testing.T, topology Topology) {
	t.Helper()
	for _, l := range topology.Links {
		if err := errors.Join(l.Up.Validate(), l.Down.Validate()); err != nil {
			t.Errorf("link %s: %v", l.Name, err)
		}
		least := minMTU
		if l.Family == IPv4Only {
			least = minMTU4
		}
		if len(l.Name) == 0 || len(l.Name) > maxNodeName || l.MTU < least || l.MTU > maxMTU {
			t.Errorf("link %q has mtu %d", l.Name, l.MTU)
		}
		for end := range 2 {
			if n := len(l.Addresses[end]); n != 2 && (l.Family == DualStack || n != 1) {
				t.Errorf("link %s has %d addresses at its end %d", l.Name, n, end)
			}
		}
		for _, way := range []string{"up", "down"} {
			timeline := topology.Timeline(l.Name, way)
			if err := timeline.Validate(l.Direction(way)); err != nil || len(timeline) > 0 && !l.Wired {
				t.Errorf("link %s %s: %v, wired %t with %d changes", l.Name, way, err, l.Wired, len(timeline))
			}
		}
	}
	if e := topology.Experiment; e != nil {
		if len(topology.PathNames(e.From, e.To)) == 0 || len(e.Engines) == 0 || e.Rounds < 1 {
			t.Errorf("experiment %+v cannot be run", *e)
		}
		if w := e.Workload; (w.Duration == 0) == (w.Bytes == 0) || w.Streams < 1 || w.Connections < 1 || !sensible(w) {
			t.Errorf("workload %+v cannot be run", w)
		}
	}
}

// sensible reports whether a workload has what its kind needs, and no more.
func sensible(w Workload) bool {
	message := func(n int64) bool { return n >= minMessage && n <= maxMessage }
	switch w.Kind {
	case Bulk:
		return w == Workload{Kind: Bulk, Duration: w.Duration, Bytes: w.Bytes, Streams: w.Streams, Connections: w.Connections}
	case RPC:
		return w.PerSecond >= 1 && w.PerSecond <= maxPerS && message(w.Size) && message(w.Response) && w.Rate == 0 && w.Deadline == 0 && w.Parallel == 0 && w.Messages() >= 1
	case CBR:
		return w.Rate > 0 && message(w.Size) && w.Deadline > 0 && w.Response == 0 && w.PerSecond == 0 && w.Parallel == 0 && w.Messages() >= 1
	case Handshake:
		return w.Parallel >= 1 && w.Streams == 1 && w.Connections == 1 && w.Size == 0
	}
	return false
}

func FuzzParsePace(f *testing.F) {
	for _, text := range []string{"100/s", "1/s", "0/s", "1000000/s", "1000001/s", "+1/s", "01/s", "1.5/s", "/s", "5mbit", "unlimited", "100", "5mbit/s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePace(text)
		if err != nil {
			if e, ok := errors.AsType[*QuantityError](err); !ok || e.Text == "" || e.Expected == "" {
				t.Fatalf("%q: error is %#v, want a QuantityError that says what is expected", text, err)
			}
			return
		}
		if again, err := ParsePace(FormatPace(p)); err != nil || again != p {
			t.Errorf("%q parses as %v, printed as %s, which parses as %v, %v", text, p, FormatPace(p), again, err)
		}
	})
}

func FuzzParseRate(f *testing.F)    { fuzzQuantity(f, "rate", ParseRate, FormatRate) }
func FuzzParseSize(f *testing.F)    { fuzzQuantity(f, "size", ParseSize, FormatSize) }
func FuzzParseTime(f *testing.F)    { fuzzQuantity(f, "time", ParseTime, FormatTime) }
func FuzzParsePercent(f *testing.F) { fuzzQuantity(f, "percent", ParsePercent, FormatPercent) }
func FuzzParseQueue(f *testing.F)   { fuzzQuantity(f, "queue", ParseQueue, FormatQueue) }

// fuzzQuantity: a text is refused with words, and what is suggested is right; or
// it is accepted, is what the schema accepts, and is printed as its equal.
func fuzzQuantity[V comparable](f *testing.F, kind string, parse func(string) (V, error), format func(V) string) {
	for _, s := range samples() {
		f.Add(s.text)
	}
	accepts := quantitySchemas()[kind]
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parse(text)
		if err != nil {
			e, ok := errors.AsType[*QuantityError](err)
			if !ok || e.Text == "" || e.Expected == "" {
				t.Fatalf("%q: error is %#v, want a QuantityError that says what is expected", text, err)
			}
			if _, err := parse(e.Nearest); e.Nearest != "" && err != nil {
				t.Errorf("%q: suggests %q, which is refused: %v", text, e.Nearest, err)
			}
			return
		}
		if !accepts(text) {
			t.Errorf("%q parses, but the schema refuses it", text)
		}
		if again, err := parse(format(v)); err != nil || again != v {
			t.Errorf("%q parses as %v, printed as %s, which parses as %v, %v", text, v, format(v), again, err)
		}
	})
}

func FuzzParseEngine(f *testing.F) {
	for _, text := range []string{"tcp", "tcp@lte", "mptcp@lte+wifi", "@", "tcp@", "tcp@lte+", "a+b", "tcp@@", "-", "tquic:scheduler=ecf", "tquic@lte+wifi:congestion=bbr:scheduler=ecf", "tcp:", "tcp:congestion=", "tcp:a=b", "tcp:scheduler=a:scheduler=b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := ParseEngine(text)
		if err != nil {
			return
		}
		if again, err := ParseEngine(ref.String()); err != nil || again.String() != ref.String() || len(ref.String()) != len(text) {
			t.Errorf("%q parses as %+v, printed as %s, which parses as %+v, %v", text, ref, ref, again, err)
		}
	})
}
