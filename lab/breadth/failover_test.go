package breadth

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// failing is a topology of two links: a is black from 1 s and from 9 s for 2 s, b down
// from 5 s.
func failing(t *testing.T) topologies.Topology {
	t.Helper()
	top, err := topologies.Loader{}.Parse("failing.yaml", []byte(`
name: failing
nodes: {client: {}, server: {}}
links:
  - {name: a, endpoints: [client, server], up: {delay: 50ms}, down: {delay: 60ms}}
  - {name: b, endpoints: [client, server], up: {delay: 10ms}, down: {delay: 20ms}}
events:
  - {at: 5s, link: b, down: 2s}
  - {at: 1s, link: a, blackhole: 2s}
  - {at: 9s, link: a, blackhole: 2s}
  - {at: 9500ms, link: b, set: {delay: 1ms}}
experiment: {from: server, to: client, engines: [tquic, mptcp], workload: {kind: bulk, duration: 12s}}
`))
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func TestOutages(t *testing.T) {
	top := failing(t)
	got, err := outages(top)
	want := []Outage{
		{Link: "a", Kind: topologies.EventBlackhole, At: time.Second, For: 2 * time.Second, GapGoal: 220 * time.Millisecond},
		{Link: "b", Kind: topologies.EventDown, At: 5 * time.Second, For: 2 * time.Second, GapGoal: 50 * time.Millisecond},
		{Link: "a", Kind: topologies.EventBlackhole, At: 9 * time.Second, For: 2 * time.Second, GapGoal: 220 * time.Millisecond},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("outages: %v (-want +got):\n%s", err, diff)
	}
	top.Events[1].Link = "b" // whose round trip is short
	if got, err = outages(top); err != nil || got[0].GapGoal != 100*time.Millisecond {
		t.Errorf("goals of a near link: %v, %v; want 100 ms first", got, err)
	}
	for name, spoil := range map[string]func(e *topologies.Event){
		"happens once":      func(e *topologies.Event) { e.Every = 10 * time.Second },
		"for a time":        func(e *topologies.Event) { e.For = 0 },
		"both ways":         func(e *topologies.Event) { e.Way = "up" },
		"b down at 5 s: it": func(e *topologies.Event) { e.For = 0 },
	} {
		top := failing(t)
		spoil(&top.Events[0])
		if _, err := outages(top); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one that says %q", err, name)
		}
	}
	top.Events = top.Events[3:]
	if _, err := outages(top); err == nil {
		t.Error("a topology without outages has some")
	}
}

func TestFailoverTopologyHasItsGoals(t *testing.T) {
	top, err := topologies.Loader{}.Find(failoverName)
	if err != nil {
		t.Fatal(err)
	}
	all, err := outages(top)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range all {
		got = append(got, o.String()+" < "+o.GapGoal.String())
	}
	want := []string{"wifi black at 5 s < 100ms", "lte black at 13 s < 140ms", "wifi down at 21 s < 50ms", "lte down at 29 s < 50ms"}
	if !slices.Equal(got, want) {
		t.Errorf("outages %q, want %q", got, want)
	}
}

func TestLongestGap(t *testing.T) {
	stalls := []results.Stall{{AtMS: 0, MS: 400}, {AtMS: 990, MS: 30}, {AtMS: 1500, MS: 45}, {AtMS: 1990, MS: 300}, {AtMS: 2400, MS: 900}}
	full := slices.Repeat([]results.Stall{{AtMS: 5000, MS: 70}, {AtMS: 6000, MS: 25}}, workload.MaxGaps/2)
	for _, tt := range []struct {
		name     string
		stalls   []results.Stall
		from, to float64
		want     float64
	}{
		{"none", nil, 0, 1000, 0},
		{"one that begins before, one within, one that ends after", stalls, 1000, 2000, 300},
		{"one that ends as it begins", stalls, 1020, 1400, 0},
		{"one that begins as it ends", stalls, 1020, 1500, 0},
		{"nothing near", stalls, 700, 900, 0},
		{"within one", stalls, 2700, 2750, 900},
		{"of a full list", full, 0, 1000, 25},
		{"in a full list", full, 5000, 5100, 70},
	} {
		if got := longestGap(tt.stalls, tt.from, tt.to); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestCarriesAgain(t *testing.T) {
	series := []arrivals{{900, 500_000}, {1000, 510_000}, {1100, 510_000}, {1200, 515_000}, {1300, 520_000}, {1400, 530_000}, {1500, 800_000}}
	for _, tt := range []struct {
		name        string
		all         []arrivals
		back, until float64
		want        float64
	}{
		{"probes are no data", series, 1000, 2000, 400},
		{"what came before the return does not count", series, 950, 2000, 50},
		{"at once", series, 1399, 2000, 1},
		{"not before it goes again", series, 1000, 1399, math.Inf(1)},
		{"not before the end", series, 1500, math.Inf(1), math.Inf(1)},
		{"nothing ever", nil, 0, 1000, math.Inf(1)},
		{"from the first sample on", []arrivals{{100, 9_999}, {200, 30_000}}, 0, 1000, 200},
	} {
		if got := carriesAgain(tt.all, tt.back, tt.until); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// handMade is a run over failing: its trials, and a series of each, in which a and b bring
// bytes as they are asked at any time.
type handMade struct {
	*testing.T
	dir    string
	folder *results.Run
}

func newHandMade(t *testing.T) *handMade {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	folder, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	h := &handMade{t, dir, folder}
	top := failing(t)
	h.manifest(results.Manifest{Lab: "failing", Topology: h.text(top), Experiment: h.text(top.Experiment)})
	return h
}

func (h *handMade) text(v any) json.RawMessage {
	h.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		h.Fatal(err)
	}
	return text
}

func (h *handMade) manifest(m results.Manifest) {
	h.Helper()
	if err := h.folder.WriteManifest(m); err != nil {
		h.Fatal(err)
	}
}

// trial adds one whose links carry in every 100 ms but from when they go until so many ms
// after their return.
func (h *handMade) trial(t results.Trial, returns float64) {
	h.Helper()
	if err := h.folder.AppendTrial(t); err != nil {
		h.Fatal(err)
	}
	series, err := h.folder.Series(results.Planned{Round: t.Round, Order: t.Order, Arm: t.Arm}.Name())
	if err != nil {
		h.Fatal(err)
	}
	all, err := outages(failing(h.T))
	if err != nil {
		h.Fatal(err)
	}
	bytes := map[string]uint64{}
	for at := 100.0; at <= 12_000; at += 100 {
		for _, link := range []string{"a", "b"} {
			dead := slices.ContainsFunc(all, func(o Outage) bool {
				since := at - *t.ClockTMS - ms(o.At)
				return o.Link == link && since > 0 && since <= ms(o.For)+returns
			})
			if !dead {
				bytes[link] += 300_000
			}
			h.append(series, map[string]any{"t_ms": at, "node": "server", "link": link, "rx_bytes": uint64(at) * 1e6})
			h.append(series, map[string]any{"t_ms": at, "node": "client", "link": link, "rx_bytes": bytes[link], "tx_bytes": 7})
		}
		h.append(series, map[string]any{"t_ms": at, "received_bytes": 1})
	}
	if err := series.Close(); err != nil {
		h.Fatal(err)
	}
}

func (h *handMade) append(s *results.Series, line any) {
	h.Helper()
	if err := s.Append(line); err != nil {
		h.Fatal(err)
	}
}

func good(round, order int, engine string, stalls ...results.Stall) results.Trial {
	t := results.Trial{
		Round: round, Order: order, Intact: true, ClockTMS: new(-200.0), Stalls: stalls,
		Arm: results.Arm{Engine: engine, Paths: []string{"a", "b"}, Scheduler: "blest", Congestion: "bbr"},
	}
	for _, s := range stalls {
		t.StallMaxMS = max(t.StallMaxMS, s.MS)
	}
	return t
}

func TestReadFailover(t *testing.T) {
	h := newHandMade(t)
	// The clock stands at 200 ms when the transfer begins: a goes black at 800 ms there.
	h.trial(good(1, 2, "tquic", results.Stall{AtMS: 790, MS: 95}, results.Stall{AtMS: 1700, MS: 21}, results.Stall{AtMS: 1801, MS: 999}), 250)
	alone := good(1, 1, "tquic", results.Stall{AtMS: 800, MS: 2000})
	alone.Arm.Paths, alone.Arm.Scheduler = []string{"a"}, ""
	h.trial(alone, 0)
	h.trial(good(2, 1, "tquic", results.Stall{AtMS: 4805, MS: 64}), 1500)
	failed := good(2, 2, "mptcp")
	failed.Intact, failed.Error = false, "the sender broke"
	h.trial(failed, 0)
	h.trial(good(3, 1, "mptcp"), 5000)
	got, err := ReadFailover(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := outages(failing(t))
	if err != nil {
		t.Fatal(err)
	}
	never := math.Inf(1)
	want := []Recovery{
		{Outage: all[0], Arm: "tquic blest bbr", GapsMS: []float64{95, 0}, ReturnsMS: []float64{300, 1600}},
		{Outage: all[1], Arm: "tquic blest bbr", GapsMS: []float64{0, 64}, ReturnsMS: []float64{300, 1600}},
		{Outage: all[2], Arm: "tquic blest bbr", GapsMS: []float64{0, 0}, ReturnsMS: []float64{300, never}},
		{Outage: all[0], Arm: "mptcp blest bbr", GapsMS: []float64{0}, ReturnsMS: []float64{5100}, Failed: 1},
		{Outage: all[1], Arm: "mptcp blest bbr", GapsMS: []float64{0}, ReturnsMS: []float64{5100}, Failed: 1},
		{Outage: all[2], Arm: "mptcp blest bbr", GapsMS: []float64{0}, ReturnsMS: []float64{never}, Failed: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	twice, err := ReadFailover(h.dir, h.dir)
	if err != nil || len(twice) != len(want) || len(twice[0].GapsMS) != 4 || twice[5].Failed != 2 {
		t.Errorf("two folders: %+v, %v; want the figures of both together", twice, err)
	}
}

func TestReadFailoverRefuses(t *testing.T) {
	top := failing(t)
	tests := []struct {
		name  string
		spoil func(h *handMade)
		want  string
	}{
		{"no run", func(h *handMade) { os.Remove(filepath.Join(h.dir, results.ManifestFile)) }, "is not a run folder"},
		{"no transfer", func(*handMade) {}, "no transfer over several paths"},
		{"no clock", func(h *handMade) {
			trial := good(1, 1, "tquic")
			h.trial(trial, 0)
			trial.ClockTMS, trial.Round = nil, 2
			h.folder.AppendTrial(trial)
		}, "round 2, tquic: the record does not say when the events' clock started"},
		{"an old record", func(h *handMade) {
			trial := good(1, 1, "tquic")
			trial.StallMaxMS = 60
			h.trial(trial, 0)
		}, "no stalls"},
		{"no series", func(h *handMade) {
			h.trial(good(1, 1, "tquic"), 0)
			os.RemoveAll(filepath.Join(h.dir, results.SeriesDir))
		}, "1-1-tquic.jsonl"},
		{"a broken series", func(h *handMade) {
			h.trial(good(1, 1, "tquic"), 0)
			os.WriteFile(filepath.Join(h.dir, results.SeriesDir, "1-1-tquic.jsonl"), []byte("{}\n{\"t_ms\": \"x\"}\n"), 0o644)
		}, "1-1-tquic.jsonl:2: "},
		{"a series of another network", func(h *handMade) {
			h.trial(good(1, 1, "tquic"), 0)
			os.WriteFile(filepath.Join(h.dir, results.SeriesDir, "1-1-tquic.jsonl"), []byte("{\"t_ms\": 1, \"node\": \"server\", \"link\": \"a\"}\n"), 0o644)
		}, "no counters of a at client"},
		{"no outage", func(h *handMade) {
			still := top
			still.Events = nil
			h.manifest(results.Manifest{Topology: h.text(still)})
		}, "topology failing: no link goes black or down"},
		{"no experiment", func(h *handMade) {
			bare := top
			bare.Experiment = nil
			h.manifest(results.Manifest{Topology: h.text(bare)})
		}, "who received"},
		{"a topology that is none", func(h *handMade) { h.manifest(results.Manifest{Topology: []byte("7")}) }, "decode the manifest's topology"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHandMade(t)
			tt.spoil(h)
			if got, err := ReadFailover(h.dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, error %v; want one that says %q", got, err, tt.want)
			}
		})
	}
}

// A run in virtual time comes out with figures of each outage, and the same each time.
func TestFailover(t *testing.T) {
	f := Failover{Engine: bonding{}, Rounds: 1, Out: filepath.Join(t.TempDir(), "out")}
	got, err := f.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 {
		t.Fatalf("%d outages, want four", len(got))
	}
	for _, r := range got {
		if r.Failed > 0 || len(r.GapsMS) != 1 || len(r.ReturnsMS) != 1 || r.ReturnsMS[0] <= 0 || r.Arm == "" {
			t.Errorf("%+v: want figures of one transfer", r)
		}
	}
	again, err := ReadFailover(f.Out)
	if diff := cmp.Diff(got, again); err != nil || diff != "" {
		t.Errorf("its records: %v (-run +read):\n%s", err, diff)
	}
	if _, err := (Failover{Engine: bonding{}, Rounds: -1}).Run(t.Context()); err == nil {
		t.Error("-1 rounds: no error")
	}
	if _, err := (Failover{Engine: bonding{}, Scheduler: "warp"}).Run(t.Context()); err == nil {
		t.Error("scheduler warp: no error")
	}
}

func TestWriteRecoveries(t *testing.T) {
	black := Outage{Link: "wifi", Kind: topologies.EventBlackhole, At: 5 * time.Second, For: 3 * time.Second, GapGoal: 100 * time.Millisecond}
	down := Outage{Link: "lte", Kind: topologies.EventDown, At: 29500 * time.Millisecond, For: 3 * time.Second, GapGoal: 50 * time.Millisecond}
	var out strings.Builder
	err := WriteRecoveries(&out, []Recovery{
		{Outage: black, Arm: "tquic", GapsMS: []float64{0, 0, 99}, ReturnsMS: []float64{210, 1000, 30}},
		{Outage: down, Arm: "tquic", GapsMS: []float64{30, 60, 50}, ReturnsMS: []float64{1001, 20, 300}},
		{Outage: black, Arm: "mptcp", GapsMS: []float64{100}, ReturnsMS: []float64{math.Inf(1)}, Failed: 2},
		{Outage: down, Arm: "mptcp", Failed: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"engine outage gap largest goal carries again largest goal rounds failed",
		"tquic wifi black at 5 s < 20 99 < 100 210 1000 1000 3 0",
		"tquic lte down at 29.5 s 50 ! 60 ! < 50 300 1001 ! 1000 3 0",
		"mptcp wifi black at 5 s 100 ! 100 ! < 100 never ! never ! 1000 1 2 !",
		"mptcp lte down at 29.5 s - - < 50 - - 1000 0 3 !",
		"",
		"! misses its goal",
		"in every round: 1 of 4 outages with the gap below its goal, 1 of 4 with the link in use again in time",
	}
	if diff := cmp.Diff(want, rows[:len(want)]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
