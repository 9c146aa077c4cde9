package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/quicgo"
	"github.com/tquiclab/tquiclab/lab"
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
		name     string
		engines  []string
		baseline bool
		want     []string
	}{
		{"multipath uses all links", []string{"quic-go-bond"}, false, []string{"quic-go-bond@lte+wifi"}},
		{"single path runs on each", []string{"quic-go"}, false, []string{"quic-go@lte", "quic-go@wifi"}},
		{"single path on the one named", []string{"quic-go@wifi"}, false, []string{"quic-go@wifi"}},
		{"multipath on the one named", []string{"quic-go-bond@lte"}, false, []string{"quic-go-bond@lte"}},
		{"links come in the topology's order", []string{"quic-go-bond@wifi+lte"}, false, []string{"quic-go-bond@lte+wifi"}},
		{"the same arm twice is one", []string{"quic-go@wifi", "quic-go"}, false, []string{"quic-go@wifi", "quic-go@lte"}},
		{"a baseline adds each path", []string{"quic-go-bond"}, true, []string{"quic-go-bond@lte+wifi", "quic-go-bond@lte", "quic-go-bond@wifi"}},
		{"a baseline adds nothing to one path", []string{"quic-go-bond@lte", "quic-go@lte"}, true, []string{"quic-go-bond@lte", "quic-go@lte"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := planConfig(tt.engines...)
			c.Baseline = tt.baseline
			arms, _, err := planArms(c)
			if diff := cmp.Diff(labels(arms), tt.want); diff != "" || err != nil {
				t.Errorf("arms (-got +want), %v:\n%s", err, diff)
			}
		})
	}
}

func TestPlanArmsSaysEverythingThatIsWrong(t *testing.T) {
	_, _, err := planArms(planConfig("tcpp", "quic-go@lte+wifi", "quic-go@wlan", "a@@b"))
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
	arms, _, err := planArms(planConfig("quic-go-bond", "quic-go@wifi"))
	if err != nil {
		t.Fatal(err)
	}
	if arms[0].MTU != 1400 || arms[1].MTU != 1500 {
		t.Errorf("MTUs %d and %d, want 1400 (lte) and 1500 (wifi)", arms[0].MTU, arms[1].MTU)
	}
}

func TestPlanOrder(t *testing.T) {
	arms, _, err := planArms(planConfig("quic-go-bond", "quic-go", "quic-go-bond@lte", "quic-go-bond@wifi"))
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
	paths := twoPaths().Paths("client", "server")
	path := func(links ...topologies.Link) []topologies.Path {
		nodes := append([]string{"client", "router"}[:len(links)], "server")
		for i := range links {
			links[i].Endpoints = [2]string{nodes[i], nodes[i+1]}
		}
		return []topologies.Path{{Links: links, Nodes: nodes}}
	}
	var fast topologies.Link
	slow := fast
	slow.Down = emulation.Impairments{Rate: 1}
	mbit := fast
	mbit.Down = emulation.Impairments{Rate: 1e6}
	tests := []struct {
		name  string
		w     topologies.Workload
		paths []topologies.Path
		want  time.Duration
	}{
		// 32 MiB may be on its way at 20 Mbit/s.
		{"by time", topologies.Workload{Duration: 10 * time.Second}, paths, 10*time.Second + time.Second + 13421772800},
		{"by bytes, at a tenth of the slowest rate", topologies.Workload{Bytes: 2_500_000}, paths, 11 * time.Second},
		{"without a rate", topologies.Workload{Bytes: 12_500_000}, path(fast), 11 * time.Second},
		{"for ever", topologies.Workload{Bytes: 1 << 60}, path(slow), maxBound},
		{"the slowest link of a path", topologies.Workload{Bytes: 125_000}, path(fast, mbit), 11 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := transferBound(tt.w, tt.paths, "client", time.Second); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// noLab is a lab in which nothing can be done.
type noLab struct{ probes int }

func (*noLab) Start(string, *exec.Cmd) error { return errors.New("no lab") }

func (*noLab) Wires(context.Context) ([]lab.WireStatus, error) { return nil, errors.New("no lab") }

func (*noLab) UsePaths(...topologies.Path) error { return errors.New("no lab") }

func (*noLab) Arm(context.Context, uint64) error { return errors.New("no lab") }

func (*noLab) CheckDrops() error { return errors.New("no lab") }

func (*noLab) Drops(context.Context, func(), func(lab.Drop) error) error { return errors.New("no lab") }

func (*noLab) StartClock(context.Context) error { return errors.New("no lab") }

func (*noLab) Follow() (*lab.Follow, error)           { return nil, errors.New("no lab") }
func (n *noLab) Do(node string, f func() error) error { n.probes++; return f() }

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

// mute is an engine that writes no qlog.
type mute struct{ engine.Engine }

func (mute) Name() string                      { return "mute" }
func (mute) Capabilities() engine.Capabilities { return engine.Capabilities{} }

func TestQLOGWarnings(t *testing.T) {
	c := planConfig("quic-go", "mute")
	c.Engines = engine.NewRegistry(quicgo.New(), mute{})
	c.Experiment.Rounds = 2
	arms, _, err := planArms(c)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Config: c, plan: planOrder(arms, 2, 1)}
	if got := r.qlogWarnings(); len(got) > 0 {
		t.Errorf("warnings though nobody asked for qlog: %q", got)
	}
	r.QLOG = true
	if diff := cmp.Diff([]string{"no qlog: not written by mute"}, r.qlogWarnings()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConfigSaysEverythingThatIsWrong(t *testing.T) {
	_, err := Run(t.Context(), Config{Experiment: topologies.Experiment{From: "a", To: "a"}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"no lab", "no results folder", "no agent command", "no engine", "0 rounds", "unknown workload", "stream and a connection", "no path"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
}
