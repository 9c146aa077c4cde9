package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/quicgo"
	"github.com/tquiclab/tquiclab/engine/tquic"
	"github.com/tquiclab/tquiclab/results"
)

// choosy is a bond that takes schedulers and congestion controls by name. Its sessions
// say what they were asked for, and count a pick on each path for each time that they
// are looked at; the bytes go as the bond sends them.
type choosy struct{ engine.Engine }

func newChoosy() engine.Engine { return choosy{quicgo.NewBond()} }

func (choosy) Name() string { return "choosy" }

func (c choosy) Capabilities() engine.Capabilities {
	can := c.Engine.Capabilities()
	can.Congestion, can.Congestions = "newreno", []string{"bbr", "newreno"}
	can.Scheduler, can.Schedulers = "minrtt", []string{"ecf", "minrtt"}
	return can
}

func (c choosy) Listen(ctx context.Context, config engine.Config) (engine.Listener, error) {
	asked := takeChoice(&config)
	l, err := c.Engine.Listen(ctx, config)
	return choosyListener{l, asked}, err
}

func (c choosy) Dial(ctx context.Context, config engine.Config) (engine.Session, error) {
	asked := takeChoice(&config)
	s, err := c.Engine.Dial(ctx, config)
	return &choosySession{Session: s, asked: asked}, err
}

func takeChoice(c *engine.Config) choice {
	asked := choice{"minrtt", "newreno"}
	if c.Scheduler != "" {
		asked.scheduler = c.Scheduler
	}
	if c.Congestion != "" {
		asked.congestion = c.Congestion
	}
	c.Scheduler, c.Congestion = "", ""
	return asked
}

type choosyListener struct {
	engine.Listener
	asked choice
}

func (l choosyListener) Accept(ctx context.Context) (engine.Session, error) {
	s, err := l.Listener.Accept(ctx)
	return &choosySession{Session: s, asked: l.asked}, err
}

// choosySession is looked at by one goroutine at a time.
type choosySession struct {
	engine.Session
	asked choice
	looks uint64
}

func (s *choosySession) Stats() engine.Stats {
	s.looks++
	stats := s.Session.Stats()
	stats.Scheduler, stats.Congestion = s.asked.scheduler, s.asked.congestion
	for i := range stats.Paths {
		stats.Paths[i].Picks = s.looks
		stats.Paths[i].CongestionWindow, stats.Paths[i].BytesInFlight = 30_000, 20_000
	}
	return stats
}

func choosyConfig(engines ...string) Config {
	c := planConfig(engines...)
	c.Engines = engine.NewRegistry(append(testEngineList(), newChoosy())...)
	return c
}

func TestPlanChoices(t *testing.T) {
	tests := []struct {
		name                           string
		engines                        []string
		paths, schedulers, congestions []string
		baseline                       bool
		want, said                     []string
	}{
		{name: "by default nothing is chosen", engines: []string{"choosy"}, want: []string{"choosy@lte+wifi"}},
		{name: "paths limit every engine", engines: []string{"choosy", "quic-go"}, paths: []string{"lte"}, want: []string{"choosy@lte", "quic-go@lte"}},
		{
			name: "several paths", engines: []string{"choosy", "quic-go"}, paths: []string{"wifi", "lte"},
			want: []string{"choosy@lte+wifi", "quic-go@lte", "quic-go@wifi"},
		},
		{name: "an engine's own links go before the paths", engines: []string{"choosy@wifi"}, paths: []string{"lte"}, want: []string{"choosy@wifi"}},
		{
			name: "an arm for each combination", engines: []string{"choosy"}, schedulers: []string{"ecf", "minrtt"}, congestions: []string{"bbr", "newreno"},
			want: []string{
				"choosy@lte+wifi:scheduler=ecf:congestion=bbr", "choosy@lte+wifi:scheduler=ecf:congestion=newreno",
				"choosy@lte+wifi:scheduler=minrtt:congestion=bbr", "choosy@lte+wifi:scheduler=minrtt:congestion=newreno",
			},
		},
		{
			name: "the baseline has each congestion control, and no scheduler", engines: []string{"choosy"}, schedulers: []string{"ecf", "minrtt"}, congestions: []string{"bbr"}, baseline: true,
			want: []string{
				"choosy@lte+wifi:scheduler=ecf:congestion=bbr", "choosy@lte+wifi:scheduler=minrtt:congestion=bbr",
				"choosy@lte:congestion=bbr", "choosy@wifi:congestion=bbr",
			},
		},
		{
			name: "an engine without a choice keeps its own, aloud", engines: []string{"choosy", "quic-go-bond", "quic-go@wifi"}, schedulers: []string{"ecf"}, congestions: []string{"bbr"},
			want: []string{"choosy@lte+wifi:scheduler=ecf:congestion=bbr", "quic-go-bond@lte+wifi", "quic-go@wifi"},
			said: []string{
				"quic-go takes no congestion control by name: it keeps its own",
				"quic-go-bond takes no congestion control by name: it keeps its own",
				"quic-go-bond takes no scheduler by name: it keeps its own",
			},
		},
		{
			name: "an engine's own words go before the experiment's", engines: []string{"choosy:scheduler=ecf", "choosy"}, schedulers: []string{"minrtt"},
			want: []string{"choosy@lte+wifi:scheduler=ecf", "choosy@lte+wifi:scheduler=minrtt"},
		},
		{name: "the default by name is the default", engines: []string{"choosy:scheduler=minrtt:congestion=newreno", "choosy"}, want: []string{"choosy@lte+wifi:scheduler=minrtt:congestion=newreno"}},
		{
			name: "one path needs no scheduler", engines: []string{"choosy@lte:scheduler=ecf", "choosy@lte"},
			want: []string{"choosy@lte"}, said: []string{"choosy@lte:scheduler=ecf: one path leaves a scheduler nothing to choose"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := choosyConfig(tt.engines...)
			c.Experiment.Paths, c.Experiment.Schedulers, c.Experiment.Congestions = tt.paths, tt.schedulers, tt.congestions
			c.Baseline = tt.baseline
			arms, said, err := planArms(c)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, labels(arms)); diff != "" {
				t.Errorf("arms (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.said, said); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
		})
	}
}

// The record names what is in use, chosen or not.
func TestArmNamesWhatIsInUse(t *testing.T) {
	c := choosyConfig("choosy", "choosy:scheduler=ecf:congestion=bbr", "choosy@lte")
	arms, _, err := planArms(c)
	if err != nil {
		t.Fatal(err)
	}
	var got [][2]string
	for _, a := range arms {
		got = append(got, [2]string{a.Scheduler, a.Congestion})
	}
	if diff := cmp.Diff([][2]string{{"minrtt", "newreno"}, {"ecf", "bbr"}, {"", "newreno"}}, got); diff != "" {
		t.Errorf("scheduler and congestion (-want +got):\n%s", diff)
	}
}

func TestPlanRefusesChoices(t *testing.T) {
	tests := []struct {
		name                           string
		engine                         string
		paths, schedulers, congestions []string
		want                           []string
	}{
		{"a name that no engine has", "quic-go", nil, []string{"efc"}, []string{"bbbr"}, []string{`unknown scheduler "efc": known are ecf, minrtt`, `unknown congestion control "bbbr": known are bbr, newreno`}},
		{"a name that the engine lacks", "choosy:scheduler=blest:congestion=lia", nil, nil, nil, []string{`choosy has no scheduler "blest": it has ecf, minrtt`, `choosy has no congestion control "lia": it has bbr, newreno`}},
		{"of an engine without a choice", "quic-go-bond:scheduler=ecf", nil, nil, nil, []string{"quic-go-bond takes no scheduler by name: leave it out"}},
		{"a path that is none", "choosy", []string{"wfi"}, nil, nil, []string{`no link "wfi"`, `did you mean "wifi"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := choosyConfig(tt.engine)
			c.Experiment.Paths, c.Experiment.Schedulers, c.Experiment.Congestions = tt.paths, tt.schedulers, tt.congestions
			err := CheckArms(c)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("CheckArms = %v, want it to say %q", err, want)
				}
			}
		})
	}
}

func TestChoiceThatNoEngineHas(t *testing.T) {
	c := planConfig("quic-go")
	c.Experiment.Schedulers = []string{"ecf"}
	if err := CheckArms(c); err == nil || !strings.Contains(err.Error(), "none: no engine takes one by name") {
		t.Errorf("CheckArms = %v, want it to say that there is no choice at all", err)
	}
}

// tquic uses all paths by default once it can use several, and takes every name that
// it says it takes.
func TestPlanOfTquic(t *testing.T) {
	c := planConfig("tquic")
	c.Engines = engine.NewRegistry(tquic.NewEngine())
	can := tquic.NewEngine().Capabilities()
	want := []string{"tquic@lte", "tquic@wifi"}
	if can.Multipath {
		want = append([]string{"tquic@lte+wifi"}, want...)
	}
	c.Baseline = true
	arms, said, err := planArms(c)
	if err != nil || len(said) > 0 || !slices.Equal(labels(arms), want) {
		t.Errorf("arms %v, said %q, %v; want %v", labels(arms), said, err, want)
	}
	c.Experiment.Schedulers, c.Experiment.Congestions = can.Schedulers, can.Congestions
	if err := CheckArms(c); err != nil {
		t.Error(err)
	}
}

// seriesLines returns the lines of a kind in all series of a run, by file.
func seriesLines[L any](t *testing.T, dir, kind string) map[string][]L {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "series", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("series: %v, %v", files, err)
	}
	found := map[string][]L{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var l struct {
				Kind string `json:"kind"`
			}
			if err := json.Unmarshal(line, &l); err != nil {
				t.Fatal(err)
			}
			if l.Kind != kind {
				continue
			}
			var full L
			if err := json.Unmarshal(line, &full); err != nil {
				t.Fatal(err)
			}
			found[filepath.Base(f)] = append(found[filepath.Base(f)], full)
		}
	}
	return found
}

// What is chosen reaches both ends; the engine's view of its paths is in the record
// and the series; the benefit is that of the round's own baseline.
func TestRunChoosesAndRecords(t *testing.T) {
	c := testConfig(t, newLab(t), "choosy", "quic-go-bond")
	c.Engines = allEngines()
	c.Experiment.Workload.Bytes = 2 << 20 // some 300 ms
	c.Experiment.Schedulers, c.Experiment.Congestions = []string{"ecf"}, []string{"bbr"}
	c.Baseline = true
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Trials) != 6 {
		t.Fatalf("%d trials, want 6: two engines over both paths and on each", len(s.Trials))
	}
	said := "quic-go-bond takes no scheduler by name: it keeps its own"
	if !slices.Contains(s.Warnings, said) || strings.Contains(strings.Join(s.Warnings, "\n"), "in use was") {
		t.Errorf("warnings %q, want %q, and nothing in use that was not asked for", s.Warnings, said)
	}
	for _, trial := range s.Trials {
		checkTrial(t, trial, c.Experiment.Workload.Bytes)
		both := len(trial.Arm.Paths) == 2
		if both != (trial.AggregationBenefit != nil) {
			t.Errorf("%v: benefit %v, want one over both paths only", trial.Arm, trial.AggregationBenefit)
		}
		ours := trial.Arm.Engine == "choosy"
		if want := map[bool]string{true: "ecf"}[ours && both]; trial.Arm.Scheduler != want || ours != (trial.Arm.Congestion == "bbr") {
			t.Errorf("%v: want scheduler %q, and bbr of choosy only", trial.Arm, want)
		}
		for _, p := range trial.Paths {
			if ours != (p.SchedulerPicks != nil) || p.DeclaredLost == nil {
				t.Errorf("%v: picks %v and declared losses %v on %s; want picks of choosy only, and losses", trial.Arm, p.SchedulerPicks, p.DeclaredLost, p.Link)
			}
		}
	}
	lines := seriesLines[pathLine](t, c.Folder.Dir(), "path")
	if len(lines) != len(s.Trials) {
		t.Errorf("lines of paths in %d series, want in all %d", len(lines), len(s.Trials))
	}
	for _, trial := range s.Trials {
		name := fileName(trial) + ".jsonl"
		checkPathLines(t, name, trial.Arm, lines[name])
	}
}

// fileName is the name of a trial's files.
func fileName(t results.Trial) string {
	return planned{round: t.Round, order: t.Order, arm: arm{Arm: t.Arm}}.name()
}

// checkPathLines wants lines of every path in the order of time, with counts that grow.
func checkPathLines(t *testing.T, name string, a results.Arm, lines []pathLine) {
	t.Helper()
	last := map[string]pathLine{}
	for _, l := range lines {
		before := last[l.Link]
		if !slices.Contains(a.Paths, l.Link) || l.T <= before.T || l.SentPackets < before.SentPackets || l.SchedulerPicks < before.SchedulerPicks {
			t.Errorf("%s: %+v after %+v", name, l, before)
		}
		if a.Engine == "choosy" && (l.CWNDBytes != 30_000 || l.InFlightBytes != 20_000 || l.SchedulerPicks == 0) {
			t.Errorf("%s: %+v, want the window, the bytes in flight and the picks that the engine told", name, l)
		}
		last[l.Link] = l
	}
	for _, link := range a.Paths {
		if l := last[link]; l.SRTTMS <= 0 || l.SentPackets == 0 {
			t.Errorf("%s: the last line of %s is %+v, want a round-trip time and packets", name, link, l)
		}
	}
}

func TestEngineSays(t *testing.T) {
	sessions := []engine.Stats{
		{Paths: []engine.PathStats{{Link: "lte", ReinjectedBytes: 5, SentPackets: 4, LostPackets: 1, Picks: 2}, {Link: "wifi"}}},
		{Paths: []engine.PathStats{{Link: "lte", ReinjectedBytes: 6, SentPackets: 3, LostPackets: 2, Picks: 5, Dead: true}, {Link: "wifi"}}},
	}
	for _, want := range []results.TrialPath{
		{Link: "lte", ReinjectedBytes: 11, DeclaredLost: new(uint64(3)), SchedulerPicks: new(uint64(7)), Dead: true},
		{Link: "wifi", SchedulerPicks: new(uint64(0))}, // picks are counted, and it has none; packets are not
	} {
		got := results.TrialPath{Link: want.Link}
		engineSays(&got, sessions)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Link, diff)
		}
	}
}

func TestUnlikeAsked(t *testing.T) {
	used := []engine.Stats{{Scheduler: "minrtt", Congestion: "bbr"}, {Scheduler: "minrtt"}}
	if got := unlikeAsked("x", choice{"minrtt", "bbr"}, used); len(got) > 0 {
		t.Errorf("all as asked, warned of %q", got)
	}
	if got := unlikeAsked("x", choice{}, used); len(got) > 0 {
		t.Errorf("nothing asked, warned of %q", got)
	}
	want := []string{"x: the congestion control in use was bbr, not lia", "x: the scheduler in use was minrtt, not ecf"}
	if diff := cmp.Diff(want, unlikeAsked("x", choice{"ecf", "lia"}, used)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
