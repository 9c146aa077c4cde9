package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

func planConfig(engines ...string) Config {
	return Config{
		Topology: twoPaths(), Engines: testEngines(),
		Experiment: topologies.Experiment{
			From: "server", To: "client", Engines: engines, Rounds: 1,
			Workload: topologies.Workload{Kind: "bulk", Bytes: 1, Streams: 1, Connections: 1},
		},
	}
}

func labels(arms []arm) []string {
	var l []string
	for _, a := range arms {
		l = append(l, a.label())
	}
	return l
}

func TestPlanArms(t *testing.T) {
	tests := []struct {
		name    string
		engines []string
		alone   bool
		want    []string
	}{
		{"multipath uses all links", []string{"quic-go-bond"}, false, []string{"quic-go-bond@lte+wifi"}},
		{"single path runs on each", []string{"quic-go"}, false, []string{"quic-go@lte", "quic-go@wifi"}},
		{"single path on the one named", []string{"quic-go@wifi"}, false, []string{"quic-go@wifi"}},
		{"multipath on the one named", []string{"quic-go-bond@lte"}, false, []string{"quic-go-bond@lte"}},
		{"links come in the topology's order", []string{"quic-go-bond@wifi+lte"}, false, []string{"quic-go-bond@lte+wifi"}},
		{"the same arm twice is one", []string{"quic-go@wifi", "quic-go"}, false, []string{"quic-go@wifi", "quic-go@lte"}},
		{"alone adds each path", []string{"quic-go-bond"}, true, []string{"quic-go-bond@lte+wifi", "quic-go-bond@lte", "quic-go-bond@wifi"}},
		{"alone adds nothing to one path", []string{"quic-go-bond@lte", "quic-go@lte"}, true, []string{"quic-go-bond@lte", "quic-go@lte"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := planConfig(tt.engines...)
			c.Alone = tt.alone
			arms, err := planArms(c)
			if diff := cmp.Diff(labels(arms), tt.want); diff != "" || err != nil {
				t.Errorf("arms (-got +want), %v:\n%s", err, diff)
			}
		})
	}
}

func TestPlanArmsSaysEverythingThatIsWrong(t *testing.T) {
	_, err := planArms(planConfig("tcpp", "quic-go@lte+wifi", "quic-go@wlan", "a@@b"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"tcpp"`, "uses one path at a time", `"wlan"`, "@b"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestArmTakesTheSmallestMTU(t *testing.T) {
	arms, err := planArms(planConfig("quic-go-bond", "quic-go@wifi"))
	if err != nil {
		t.Fatal(err)
	}
	if arms[0].MTU != 1400 || arms[1].MTU != 1500 {
		t.Errorf("MTUs %d and %d, want 1400 (lte) and 1500 (wifi)", arms[0].MTU, arms[1].MTU)
	}
}

func TestPlanOrder(t *testing.T) {
	arms, err := planArms(planConfig("quic-go-bond", "quic-go", "quic-go-bond@lte", "quic-go-bond@wifi"))
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 20
	order := func(seed uint64) []string {
		var text []string
		for _, p := range planOrder(arms, rounds, seed) {
			text = append(text, fmt.Sprintf("%d.%d %s", p.round, p.order, p.arm.label()))
		}
		return text
	}
	if diff := cmp.Diff(order(3), order(3)); diff != "" {
		t.Errorf("one seed gives two orders:\n%s", diff)
	}
	if cmp.Equal(order(3), order(4)) {
		t.Error("two seeds give one order")
	}
	plan := planOrder(arms, rounds, 3)
	firsts := map[string]bool{}
	for round := range slices.Chunk(plan, len(arms)) {
		seen := map[string]bool{}
		for k, p := range round {
			seen[p.arm.label()] = true
			if p.order != k+1 || p.round != round[0].round {
				t.Errorf("trial %d.%d stands at %d.%d", p.round, p.order, round[0].round, k+1)
			}
		}
		if len(seen) != len(arms) {
			t.Errorf("round %d runs %d different arms, want all %d", round[0].round, len(seen), len(arms))
		}
		firsts[round[0].arm.label()] = true
	}
	if len(firsts) < 2 {
		t.Errorf("every round begins with %v: nothing is shuffled", firsts)
	}
}

func TestTransferBound(t *testing.T) {
	links := twoPaths().Links
	fast := topologies.Link{Endpoints: [2]string{"client", "server"}}
	slow := fast
	slow.Down = emulation.Impairments{Rate: 1}
	tests := []struct {
		name  string
		w     topologies.Workload
		links []topologies.Link
		want  time.Duration
	}{
		// 32 MiB may be on its way at 20 Mbit/s.
		{"by time", topologies.Workload{Duration: 10 * time.Second}, links, 10*time.Second + time.Second + 13421772800},
		{"by bytes, at a tenth of the slowest rate", topologies.Workload{Bytes: 2_500_000}, links, 11 * time.Second},
		{"without a rate", topologies.Workload{Bytes: 12_500_000}, []topologies.Link{fast}, 11 * time.Second},
		{"for ever", topologies.Workload{Bytes: 1 << 60}, []topologies.Link{slow}, maxBound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := transferBound(tt.w, tt.links, "server", time.Second); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// noLab is a lab in which nothing can be done.
type noLab struct{ probes int }

func (*noLab) Start(string, *exec.Cmd) error                   { return errors.New("no lab") }
func (*noLab) Wires(context.Context) ([]lab.WireStatus, error) { return nil, errors.New("no lab") }
func (*noLab) UseLinks(...string) error                        { return errors.New("no lab") }
func (n *noLab) Do(node string, f func() error) error          { n.probes++; return f() }

// unable is an engine that no machine can run.
type unable struct{ engine.Engine }

func (unable) Name() string { return "unable" }
func (unable) Capabilities() engine.Capabilities {
	return engine.Capabilities{Probe: func() error { return fmt.Errorf("unable: %w: load the module", engine.ErrUnsupported) }}
}

func TestUnsupportedEngineIsSaidBeforeAnythingRuns(t *testing.T) {
	l := &noLab{}
	c := testConfig(t, l, "unable")
	c.Engines = engine.NewRegistry(unable{})
	_, err := Run(t.Context(), c)
	if !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), "load the module") {
		t.Errorf("Run = %v, want engine.ErrUnsupported with its hint", err)
	}
	if _, err := os.Stat(c.Folder.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("results folder: %v, want it gone", err)
	}
}

func TestConfigSaysEverythingThatIsWrong(t *testing.T) {
	_, err := Run(t.Context(), Config{Experiment: topologies.Experiment{From: "a", To: "a"}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"no lab", "no results folder", "no agent command", "no engine", "0 rounds", "unknown workload", "duration or bytes", "stream and a connection", "no link"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
}

// measured is a good trial of half a megabyte over two paths, 1:3.
func measured(t *testing.T) measurement {
	t.Helper()
	arms, err := planArms(planConfig("quic-go-bond"))
	if err != nil {
		t.Fatal(err)
	}
	const bytes = 500_000
	usage := agent.Usage{CPU: 8 * time.Millisecond, Mallocs: 800, AllocBytes: 4000, GCCycles: 2, PeakRSS: 1 << 20}
	return measurement{
		planned: planned{round: 2, order: 1, arm: arms[0]},
		from:    "server", to: "client",
		sender: agent.Transfer{
			Report: workload.Report{Bytes: bytes, Intact: true, StartNS: 1e9, LastNS: 1.5e9},
			Usage:  usage,
			Stats: []engine.Stats{
				{Paths: []engine.PathStats{{Link: "lte", SRTT: 10 * time.Millisecond, ReinjectedBytes: 5}, {Link: "wifi"}}},
				{Paths: []engine.PathStats{{Link: "lte", SRTT: 30 * time.Millisecond, ReinjectedBytes: 6}, {Link: "wifi"}}},
			},
		},
		receiver: agent.Transfer{
			Report: workload.Report{Bytes: bytes, Intact: true, StartNS: 0.9e9, LastNS: 3e9, MaxGap: 1500 * time.Microsecond},
			Usage:  usage,
		},
		totals: sampler.Totals{
			{Node: "server", Link: "lte"}:  {TxBytes: 140_000, TxPackets: 100, RxPackets: 9},
			{Node: "client", Link: "lte"}:  {RxBytes: 130_000, RxPackets: 90, TxPackets: 9},
			{Node: "server", Link: "wifi"}: {TxBytes: 400_000, TxPackets: 300, RxPackets: 9},
			{Node: "client", Link: "wifi"}: {RxBytes: 390_000, RxPackets: 290, TxPackets: 9},
		},
		wires: []lab.WireStatus{{
			Link: "lte",
			Up:   lab.DirectionStatus{Dropped: map[string]uint64{"loss": 1}},
			Down: lab.DirectionStatus{Dropped: map[string]uint64{"queue": 8, "loss": 2}},
		}},
	}
}

func TestTrialRecord(t *testing.T) {
	m := measured(t)
	side := results.Usage{
		CPUS: 0.008, CPUSPerGbit: 2, AllocsPerPacket: new(2.0), AllocBytesPerPacket: new(10.0),
		PeakRSSBytes: 1 << 20, GCCycles: 2,
	}
	receiver := side
	receiver.AllocsPerPacket, receiver.AllocBytesPerPacket = new(800.0/380), new(4000.0/380)
	want := results.Trial{
		Round: 2, Order: 1, Arm: m.arm.Arm,
		GoodputBPS: 2e6, Bytes: 500_000, DurationS: 2, Intact: true, StallMaxMS: 1.5,
		Paths: []results.TrialPath{
			{Link: "lte", Share: 0.25, GoodputBPS: 0.5e6, SRTTMS: new(20.0), LostPackets: new(uint64(10)), Drops: map[string]uint64{"queue": 8, "loss": 2}, SentPackets: 100, ReinjectedBytes: 11},
			{Link: "wifi", Share: 0.75, GoodputBPS: 1.5e6, SentPackets: 300}, // no wire: losses are not known
		},
		Sender: side, Receiver: receiver,
	}
	if diff := cmp.Diff(m.trial(), want); diff != "" {
		t.Errorf("trial (-got +want):\n%s", diff)
	}
}

func TestTrialRecordOfFailures(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*measurement)
		want  string
	}{
		{"receiver saw a wrong byte", func(m *measurement) { m.receiver.Report.Intact, m.receiver.Report.Reason = false, "byte 7" }, "byte 7"},
		{"sender was told so", func(m *measurement) { m.sender.Report.Intact = false }, "the sender says"},
		{"totals differ", func(m *measurement) { m.sender.Report.Bytes++ }, "disagree"},
		{"nothing arrived", func(m *measurement) { m.sender.Report.Bytes, m.receiver.Report.Bytes = 0, 0 }, "nothing arrived"},
		{"an agent died", func(m *measurement) { m.failure = errors.New("signal: killed") }, "signal: killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := measured(t)
			tt.spoil(&m)
			got := m.trial()
			if got.Intact || got.OK() || !strings.Contains(got.Error, tt.want) {
				t.Errorf("intact %v, error %q; want false and %q", got.Intact, got.Error, tt.want)
			}
		})
	}
}

func TestWiresSince(t *testing.T) {
	before := []lab.WireStatus{{Link: "lte", Up: lab.DirectionStatus{ArrivedPackets: 5, BackendLost: 1, Dropped: map[string]uint64{"loss": 2, "queue": 1}}}}
	after := []lab.WireStatus{{Link: "lte", Up: lab.DirectionStatus{ArrivedPackets: 9, BackendLost: 4, Dropped: map[string]uint64{"loss": 7, "queue": 1}, LatenessP99: time.Second}}}
	got := wiresSince(before, after)[0].Up
	want := lab.DirectionStatus{ArrivedPackets: 4, BackendLost: 3, Dropped: map[string]uint64{"loss": 5}, LatenessP99: time.Second}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestTrialWarnings(t *testing.T) {
	good := results.Trial{
		Round: 1, Intact: true, DurationS: 10, Arm: results.Arm{Engine: "mptcp", Paths: []string{"lte", "wifi"}},
		Paths: []results.TrialPath{{Link: "lte", Share: 0.5}, {Link: "wifi", Share: 0.5}},
	}
	if got := trialWarnings(good, 2); len(got) > 0 {
		t.Errorf("warnings about a good trial: %q", got)
	}
	bad := good
	bad.StolenS = 1.2 // of 20
	bad.Paths = []results.TrialPath{{Link: "lte", Share: 1}, {Link: "wifi"}}
	want := []string{"round 1, mptcp@lte+wifi: the host took away 6 % of the CPU time", "round 1, mptcp@lte+wifi: wifi carried nothing"}
	if diff := cmp.Diff(trialWarnings(bad, 2), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestLine(t *testing.T) {
	arm := results.Arm{Engine: "mptcp", Paths: []string{"lte", "wifi"}}
	running := Progress{
		Round: 1, Rounds: 3, Trial: 2, Trials: 9, Arm: arm, Elapsed: 1500 * time.Millisecond,
		Paths: []PathRate{{"lte", 12.34e6}, {"wifi", 950}}, BPS: 1.2e9,
	}
	over := Progress{Round: 1, Rounds: 3, Trial: 2, Trials: 9, Arm: arm, Done: &results.Trial{GoodputBPS: 5e6, Intact: true}}
	failed := over
	failed.Done = &results.Trial{Error: "it died\nof boredom"}
	const status = "[2/9] round 1/3  mptcp@lte+wifi  1.5s  lte 12.3 Mbit/s  wifi 950 bit/s  = 1.2 Gbit/s"
	tests := []struct {
		name  string
		width int
		show  []Progress
		want  string
	}{
		{"rewritten and cleared", 200, []Progress{running, running}, "\r" + status + eraseToEnd + "\r" + status + eraseToEnd + "\r" + eraseToEnd},
		{"cut to the terminal", 20, []Progress{running}, "\r" + status[:19] + eraseToEnd + "\r" + eraseToEnd},
		{"cleared after a trial", 200, []Progress{running, over}, "\r" + status + eraseToEnd + "\r" + eraseToEnd},
		{"no terminal", 0, []Progress{running, over, failed}, "[2/9] round 1/3  mptcp@lte+wifi  5.0 Mbit/s, intact\n[2/9] round 1/3  mptcp@lte+wifi  failed: it died; of boredom\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			l := &Line{out: &out, width: func() int { return tt.width }}
			for _, p := range tt.show {
				l.Show(p)
			}
			l.Close()
			l.Close()
			if diff := cmp.Diff(out.String(), tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if width := NewLine(file).width(); width != 0 {
		t.Errorf("a file is %d columns wide, want 0: it is no terminal", width)
	}
}
