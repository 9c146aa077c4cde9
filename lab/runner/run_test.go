package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/results"
)

// agentsIn returns the processes that are this test binary as an agent and that
// this process started.
func agentsIn(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it ended
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(f), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if strings.Contains(string(text), "/proc/self/exe\x00agent") && fields[1] == fmt.Sprint(os.Getpid()) {
			found = append(found, f)
		}
	}
	return found
}

// seeded is a lab that remembers what it was armed with.
type seeded struct {
	*lab.Lab
	seeds []uint64
}

func (l *seeded) Arm(ctx context.Context, seed uint64) error {
	l.seeds = append(l.seeds, seed)
	return l.Lab.Arm(ctx, seed)
}

func TestRunMeasuresEveryArmInEveryRound(t *testing.T) {
	l := &seeded{Lab: newLab(t)}
	c := testConfig(t, l, "quic-go-bond", "quic-go")
	c.Experiment.Rounds = 2
	c.Baseline = true
	c.Drop = &agent.Credential{UID: 65534, GID: 65534}
	var reports atomic.Int64
	c.Progress = func(Progress) { reports.Add(1) }
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Complete || len(s.Trials) != 10 || len(s.Arms) != 5 {
		t.Fatalf("complete %v, %d trials, %d arms; want true, 10, 5", s.Complete, len(s.Trials), len(s.Arms))
	}
	for i, trial := range s.Trials {
		checkTrial(t, trial, c.Experiment.Workload.Bytes)
		// All arms of a round meet the same luck, those of the next another.
		if want := c.Seed + uint64(trial.Round-1)<<32; i >= len(l.seeds) || l.seeds[i] != want {
			t.Errorf("trial %d of round %d: seeds %v, want %d", i+1, trial.Round, l.seeds, want)
		}
	}
	if got := agentsIn(t); len(got) > 0 {
		t.Errorf("agents left after Run: %v", got)
	}
	if reports.Load() < 10 {
		t.Errorf("%d progress reports, want at least one per trial", reports.Load())
	}
	manifest, stored, err := results.Open(c.Folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Order) != 10 || manifest.DurationS == nil {
		t.Errorf("manifest has %d planned trials and duration %v, want 10 and a duration", len(manifest.Order), manifest.DurationS)
	}
	if len(stored.Trials) != len(s.Trials) {
		t.Errorf("%d trials are stored, want %d", len(stored.Trials), len(s.Trials))
	}
	for i, trial := range s.Trials {
		if planned := manifest.Order[i]; !planned.Arm.Equal(trial.Arm) {
			t.Errorf("trial %d ran %v, planned was %v", i, trial.Arm, planned.Arm)
		}
	}
	series, err := filepath.Glob(filepath.Join(c.Folder.Dir(), "series", "*.jsonl"))
	if err != nil || len(series) != 10 {
		t.Errorf("%d series, %v; want one a trial", len(series), err)
	}
	if !slices.Contains(s.Warnings, "paths were not calibrated") {
		t.Errorf("warnings %q do not say that the paths were not calibrated", s.Warnings)
	}
}

// checkTrial holds a good trial's parts against each other.
func checkTrial(t *testing.T, trial results.Trial, bytes int64) {
	t.Helper()
	name := trial.Arm.Engine + "@" + strings.Join(trial.Arm.Paths, "+")
	if trial.Error != "" || !trial.Intact || trial.Bytes != bytes {
		t.Errorf("%s: error %q, intact %v, %d bytes; want %d intact", name, trial.Error, trial.Intact, trial.Bytes, bytes)
		return
	}
	if want := float64(bytes) * 8 / trial.DurationS; trial.GoodputBPS != want {
		t.Errorf("%s: goodput %v, want bytes over duration, %v", name, trial.GoodputBPS, want)
	}
	share, wire := 0.0, uint64(0)
	for _, p := range trial.Paths {
		share += p.Share
		wire += p.SentPackets
		if p.LostPackets == nil {
			t.Errorf("%s: lost packets on %s were not counted though it has a wire", name, p.Link)
		}
		if p.SentPackets == 0 {
			t.Errorf("%s: no packet on %s", name, p.Link)
		}
	}
	if share < 0.999 || share > 1.001 || len(trial.Paths) != len(trial.Arm.Paths) {
		t.Errorf("%s: shares of %d paths add up to %v, want %d paths and 1", name, len(trial.Paths), share, len(trial.Arm.Paths))
	}
	if least := uint64(bytes) / 1500; wire < least {
		t.Errorf("%s: %d packets for %d bytes, want at least %d", name, wire, bytes, least)
	}
	for side, u := range map[string]results.Usage{"sender": trial.Sender, "receiver": trial.Receiver} {
		if u.CPUS <= 0 || u.PeakRSSBytes < 1<<20 || u.AllocsPerPacket == nil || *u.AllocsPerPacket <= 0 {
			t.Errorf("%s: %s used %+v, want CPU time, memory and allocations", name, side, u)
		}
	}
	// The slow side of the link must be the one that was shaped: data goes down.
	if limit := 62e6; trial.GoodputBPS > limit {
		t.Errorf("%s: goodput %v is above the paths' rates together", name, trial.GoodputBPS)
	}
}

// Each trial has a folder with a file of each side, which the agents' user owns; the
// bond's two connections have one each.
func TestQLOGOfEachTrial(t *testing.T) {
	c := testConfig(t, newLab(t), "quic-go-bond", "quic-go@wifi")
	c.QLOG = true
	c.Drop = &agent.Credential{UID: 65534, GID: 65534}
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	connections := map[string]int{"quic-go": 1, "quic-go-bond": 2}
	for _, trial := range s.Trials {
		checkTrial(t, trial, c.Experiment.Workload.Bytes)
		dir := filepath.Join(c.Folder.Dir(), "qlog", fmt.Sprintf("%d-%d-%s", trial.Round, trial.Order, trial.Arm.Engine))
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 65534 {
			t.Errorf("%s is user %d's, want 65534's", dir, owner)
		}
		for _, side := range []string{"client", "server"} {
			files, err := filepath.Glob(filepath.Join(dir, "*_"+side+".sqlog"))
			if err != nil || len(files) != connections[trial.Arm.Engine] {
				t.Errorf("%s: %d files of the %s's, %v; want %d", trial.Arm.Engine, len(files), side, err, connections[trial.Arm.Engine])
			}
			for _, f := range files {
				if text, err := os.ReadFile(f); err != nil || !strings.Contains(string(text), "connection_closed") {
					t.Errorf("%s, %d bytes, %v: want it whole, with its connection_closed", f, len(text), err)
				}
			}
		}
	}
}

func TestDataGoesTheOtherWayToo(t *testing.T) {
	c := testConfig(t, newLab(t), "quic-go@lte")
	c.Experiment.From, c.Experiment.To = "client", "server"
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	checkTrial(t, s.Trials[0], c.Experiment.Workload.Bytes)
	if up := 10e6; s.Trials[0].GoodputBPS > up {
		t.Errorf("goodput %v from client to server, want at most the rate up, %v", s.Trials[0].GoodputBPS, up)
	}
}

// The first trial's agents die at once: it fails with the reason, all trials are
// recorded, and the run is complete.
func TestTrialsGoOnAfterAnAgentDied(t *testing.T) {
	c := testConfig(t, newLab(t), "quic-go")
	c.Experiment.Rounds = 2
	var started atomic.Int64
	c.Agent = func() *exec.Cmd {
		// The first trial starts the first two agents.
		if n := started.Add(1); n <= 2 {
			return child("agent-that-dies")()
		}
		return child("agent")()
	}
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Complete || len(s.Trials) != 4 {
		t.Fatalf("complete %v with %d trials, want true with 4", s.Complete, len(s.Trials))
	}
	first := s.Trials[0]
	if first.Intact || !strings.Contains(first.Error, "the cable is on fire") || !strings.Contains(first.Error, "exit status 1") {
		t.Errorf("first trial: intact %v, error %q; want the agent's last words and exit state", first.Intact, first.Error)
	}
	for _, trial := range s.Trials[1:] {
		checkTrial(t, trial, c.Experiment.Workload.Bytes)
	}
	if w := strings.Join(s.Warnings, "\n"); !strings.Contains(w, "different numbers of good trials") {
		t.Errorf("warnings %q do not say that the arms are unbalanced", w)
	}
}

// signalAgents returns a sink that sends a signal to one agent, once, when data
// flows.
func signalAgents(t *testing.T, s syscall.Signal) func(Progress) {
	done := false
	return func(p Progress) {
		if done || p.Done != nil || p.Bytes == 0 {
			return
		}
		done = true
		for _, f := range agentsIn(t)[:1] {
			var pid int
			if _, err := fmt.Sscanf(f, "/proc/%d/cmdline", &pid); err != nil {
				t.Error(err)
			}
			if err := syscall.Kill(pid, s); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestKilledAndStoppedAgentsEndTheirTrialOnly(t *testing.T) {
	for _, tt := range []struct {
		signal syscall.Signal
		want   string
	}{
		{syscall.SIGKILL, "signal: killed"},
		{syscall.SIGSTOP, "stopped (T)"},
	} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			c := testConfig(t, newLab(t), "quic-go@wifi")
			c.Experiment.Rounds = 2
			c.Experiment.Workload.Bytes = 4 << 20
			c.Patience = 5 * time.Second // of which a stopped agent uses all
			c.Progress = signalAgents(t, tt.signal)
			s, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if first := s.Trials[0]; first.Intact || !strings.Contains(first.Error, tt.want) {
				t.Errorf("first trial: intact %v, error %q; want %q in it", first.Intact, first.Error, tt.want)
			}
			checkTrial(t, s.Trials[1], c.Experiment.Workload.Bytes)
			if got := agentsIn(t); len(got) > 0 {
				t.Errorf("agents left after Run: %v", got)
			}
		})
	}
}

func TestInterruptKeepsWhatIsDone(t *testing.T) {
	c := testConfig(t, newLab(t), "quic-go@wifi")
	c.Experiment.Rounds = 3
	why := errors.New("the user had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	c.Progress = func(p Progress) {
		if p.Done == nil && p.Round == 2 {
			cancel(why)
		}
	}
	s, err := Run(ctx, c)
	if !errors.Is(err, why) {
		t.Fatalf("Run = %v, want it to wrap %v", err, why)
	}
	if s.Complete || len(s.Trials) != 1 || !s.Trials[0].OK() {
		t.Errorf("complete %v with %d trials, want false with the one good trial", s.Complete, len(s.Trials))
	}
	if got := agentsIn(t); len(got) > 0 {
		t.Errorf("agents left after Run: %v", got)
	}
	_, stored, err := results.Open(c.Folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if stored.Complete || len(stored.Trials) != 1 {
		t.Errorf("stored: complete %v, %d trials; want false and 1", stored.Complete, len(stored.Trials))
	}
}
