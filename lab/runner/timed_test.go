package runner

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/iperf3"
	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// timedConfig runs a workload of the kind for 600 ms.
func timedConfig(t *testing.T, l Lab, kind string, engines ...string) Config {
	t.Helper()
	c := testConfig(t, l, engines...)
	c.Engines = allEngines()
	w := topologies.WorkloadOf(kind)
	w.Duration = 600 * time.Millisecond
	if kind == topologies.CBR {
		w.Rate, w.Size = 2e6, 2500 // a frame every 10 ms
	}
	c.Experiment.Workload = w
	return c
}

func TestTimedWorkloadsInALab(t *testing.T) {
	l := newLab(t)
	for _, kind := range []string{topologies.RPC, topologies.CBR, topologies.Handshake} {
		for _, way := range [][2]string{{"server", "client"}, {"client", "server"}} {
			t.Run(kind+" from "+way[0], func(t *testing.T) {
				c := timedConfig(t, l, kind, "tquic@wifi", "tcp@wifi", "quic-go-bond", "mptcp")
				c.Experiment.From, c.Experiment.To = way[0], way[1]
				c.Drop = &agent.Credential{UID: 65534, GID: 65534}
				s, err := Run(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				if len(s.Trials) != 4 || len(s.Arms) != 4 {
					t.Fatalf("%d trials, %d arms, want 4 and 4", len(s.Trials), len(s.Arms))
				}
				for _, trial := range s.Trials {
					checkTimed4ms(t, kind, trial)
				}
				for _, a := range s.Arms {
					if a.Figures[results.FigureP99].N != 1 || a.AggregationBenefit != nil {
						t.Errorf("%s: figures %v, benefit %v; want those of one trial and none", a.Arm.Engine, a.Figures, a.AggregationBenefit)
					}
				}
			})
		}
	}
}

// checkTimed4ms holds a good trial over a round trip of 4 ms or more against what was
// asked for.
func checkTimed4ms(t *testing.T, kind string, trial results.Trial) {
	t.Helper()
	name := trial.Arm.Engine
	if !trial.OK() || trial.Latency == nil || !trial.Timed() {
		t.Errorf("%s: error %q, intact %v, latency %v", name, trial.Error, trial.Intact, trial.Latency)
		return
	}
	least, count := 4.0, int64(60) // ms, messages
	switch kind {
	case topologies.RPC:
		if r := trial.RPC; r == nil || r.Requests != count || r.Answered != count || r.Unanswered != 0 || r.AnsweredPerS <= 0 {
			t.Errorf("%s: %+v, want %d requests with their answers", name, r, count)
		}
	case topologies.CBR:
		least = 2
		if c := trial.CBR; c == nil || c.Frames != count || c.Delivered != count || c.Lost != 0 || c.DeadlineMS != 200 || c.GapMaxMS <= 0 {
			t.Errorf("%s: %+v, want %d frames, all there", name, c, count)
		}
	case topologies.Handshake:
		h := trial.Handshake
		if h == nil || h.Done < 1 || h.Failed != 0 || h.PerS <= 0 || h.Dial == nil || h.Dial.P50 > trial.Latency.P50 {
			t.Errorf("%s: %+v, want sessions", name, h)
			return
		}
		count = h.Done
	}
	h, err := hdrhistogram.Decode([]byte(trial.LatencyHDR))
	if err != nil || h.TotalCount() != count {
		t.Errorf("%s: the histogram has %v, %v; want %d times", name, h, err, count)
	}
	if trial.Latency.P50 < least || trial.Latency.P50 > trial.Latency.P90 || trial.Latency.P90 > trial.Latency.P99 || trial.Latency.P99 > trial.Latency.Max {
		t.Errorf("%s: latency %+v, want at least the link's delay and percentiles in order", name, trial.Latency)
	}
}

// A hole of 600 ms makes frames late, and requests slow, that were due in it: more than
// one each, since the workload does not wait for the transport.
func TestBlackholeIsInTheLatencies(t *testing.T) {
	top := twoPaths()
	top.Start = topologies.StartManual
	top.Links[1].Wired = true
	top.Events = []topologies.Event{{At: 500 * time.Millisecond, Kind: topologies.EventBlackhole, Link: "wifi", For: 600 * time.Millisecond}}
	l := raise(t, top)
	for _, kind := range []string{topologies.RPC, topologies.CBR} {
		t.Run(kind, func(t *testing.T) {
			c := timedConfig(t, l, kind, "tquic@wifi", "tcp@wifi")
			c.Topology = top
			c.Experiment.Workload.Duration = 2 * time.Second
			s, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			for _, trial := range s.Trials {
				name := trial.Arm.Engine
				if !trial.OK() || len(trial.Changes) != 5 {
					t.Errorf("%s: error %q, changes %v", name, trial.Error, trial.Changes)
					continue
				}
				if trial.Latency.Max < 500 || trial.Latency.P90 < 100 {
					t.Errorf("%s: p90 %v ms, max %v ms; want a fifth of the messages to have waited 200 ms or more of 600", name, trial.Latency.P90, trial.Latency.Max)
				}
				if f := trial.CBR; f != nil && (f.Late < 30 || f.Late > 190 || f.Lost != 0 || f.GapMaxMS < 550) {
					t.Errorf("%s: %+v, want about 40 of 200 frames or more late: those due in the first 400 ms of the hole", name, f)
				}
			}
		})
	}
}

func TestTimedRefusals(t *testing.T) {
	c := timedConfig(t, &noLab{}, topologies.RPC, "iperf3")
	c.Engines = engine.NewRegistry(iperf3.New())
	if _, err := Run(t.Context(), c); !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), "which is bulk") {
		t.Errorf("rpc over iperf3: %v, want engine.ErrUnsupported", err)
	}
	c = testConfig(t, &noLab{}, "tcp@wifi")
	c.Experiment.Workload.Duration = time.Second
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "either a duration or bytes") {
		t.Errorf("bulk by time and by size: %v", err)
	}
	c = timedConfig(t, &noLab{}, topologies.CBR, "tcp@wifi")
	c.Experiment.Workload.Deadline = 0
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "a deadline of 0s") {
		t.Errorf("frames without a deadline: %v", err)
	}
}

// lateFrames is a trial whose receiver gave up on the last of 100 frames.
func lateFrames(t *testing.T) measurement {
	m := measured(t)
	m.workload = topologies.WorkloadOf(topologies.CBR)
	m.receiver.Report.Paced = &workload.PacedReport{
		Kind: workload.CBR, Messages: 100, Delivered: 99, Late: 3, MaxGap: time.Second,
		Latency: workload.Latency{Count: 99, P50: time.Millisecond, P90: 2 * time.Millisecond, P99: 3 * time.Millisecond, P999: 4 * time.Millisecond, Max: 5 * time.Millisecond, HDR: "x"},
	}
	m.sender.Report.Intact, m.sender.Report.Reason = false, "cut"
	return m
}

func TestTimedTrialRecord(t *testing.T) {
	m := lateFrames(t)
	got := m.trial()
	if !got.OK() || got.CBR == nil || *got.CBR != (results.CBR{Frames: 100, Delivered: 99, Late: 3, Lost: 1, DeadlineMS: 200, GapMaxMS: 1000}) {
		t.Errorf("error %q, %+v", got.Error, got.CBR)
	}
	if got.Latency == nil || *got.Latency != (results.Latency{P50: 1, P90: 2, P99: 3, P999: 4, Max: 5}) || got.LatencyHDR != "x" {
		t.Errorf("latency %+v", got.Latency)
	}
	for name, test := range map[string]struct {
		spoil func(*measurement)
		want  string
	}{
		"a wrong frame":         {func(m *measurement) { m.receiver.Report.Intact, m.receiver.Report.Reason = false, "message 7" }, "message 7"},
		"no verdict, all there": {func(m *measurement) { m.receiver.Report.Paced.Delivered = 100 }, "the sender says: cut"},
		"nothing":               {func(m *measurement) { m.receiver.Report.Bytes = 0 }, "nothing arrived"},
		"a broken session":      {func(m *measurement) { m.failure = errors.New("idle timeout") }, "idle timeout"},
	} {
		m := lateFrames(t)
		test.spoil(&m)
		got := m.trial()
		if got.OK() || !strings.Contains(got.Error, test.want) || got.CBR == nil {
			t.Errorf("%s: error %q, figures %+v; want %q, and the figures all the same", name, got.Error, got.CBR, test.want)
		}
	}
	if warnings := trialWarnings(m.trial(), "round 1, tquic", 1); slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "carried nothing") }) {
		t.Errorf("warnings %q: little traffic may use one path", warnings)
	}
}
