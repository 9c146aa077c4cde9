package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/results"
)

var update = flag.Bool("update", false, "write the golden files anew")

// run is a made-up run that grows by trials; nothing in it was measured.
type run struct{ results.Summary }

func newRun(lab string) *run {
	trials := make([]results.Trial, 0, 100) // room: what trial returns is one of them for good
	return &run{results.Summary{Schema: results.Schema, Lab: lab, Backend: "relay", Seed: 1, Complete: true, Trials: trials}}
}

// trial adds a trial that passed, of 100 at most. shares are those of the arm's paths.
func (r *run) trial(round int, engine string, mbps float64, paths string, shares ...float64) *results.Trial {
	t := results.Trial{
		Round: round, Arm: results.Arm{Engine: engine, Paths: strings.Split(paths, "+"), Streams: 1, Connections: 1, MTU: 1400},
		GoodputBPS: mbps * 1e6, Intact: true,
		Sender:   results.Usage{CPUS: 1, CPUSPerGbit: 0.3124},
		Receiver: results.Usage{CPUS: 1, CPUSPerGbit: 12.04},
	}
	for i, share := range shares {
		t.Paths = append(t.Paths, results.TrialPath{Link: t.Arm.Paths[i], Share: share})
	}
	r.Trials = append(r.Trials, t)
	return &r.Trials[len(r.Trials)-1]
}

func (r *run) end() results.Summary {
	results.FillBenefit(r.Trials)
	r.Arms = results.Summarize(r.Trials)
	return r.Summary
}

func threeRounds() results.Summary {
	r := newRun("lte-wifi")
	for round, shift := range []float64{0, 1.5, -2} {
		r.trial(round+1, "quic-go-bond", 78.1+shift, "lte+wifi", 0.38, 0.62)
		r.trial(round+1, "quic-go-bond", 30.2+shift, "lte", 1)
		r.trial(round+1, "quic-go-bond", 52.4+shift, "wifi", 1)
		r.trial(round+1, "mptcp", 61.7+shift, "lte+wifi", 0.411, 0.589)
		r.trial(round+1, "tcp", 54.6+shift, "wifi", 1)
	}
	return r.end()
}

func byItself() results.Summary {
	r := newRun("direct")
	for round := 1; round <= 2; round++ {
		r.trial(round, "tcp", 940, "link", 1)
		r.trial(round, "iperf3", 941, "link", 1).Unchecked = true
	}
	return r.end()
}

func failures() results.Summary {
	r := newRun("lte-wifi")
	for round := 1; round <= 3; round++ {
		r.trial(round, "tcp", 50, "wifi", 1)
		bond := r.trial(round, "quic-go-bond", 80, "lte+wifi", 0.4, 0.6)
		mptcp := r.trial(round, "mptcp", 0, "lte+wifi")
		mptcp.Intact, mptcp.Error = false, "dial server: not supported: MPTCP is off:\nsysctl -w net.mptcp.enabled=1"
		switch round {
		case 2:
			bond.Intact = false
		case 3:
			bond.Intact, bond.Error = false, "agent in client died: signal: killed"
		}
	}
	r.Complete = false
	r.Calibration = []results.Calibration{{Link: "lte", Direction: "up", OK: true}, {Link: "wifi", Direction: "down"}}
	r.Warnings = []string{"1.20 s of CPU time were stolen by the host during the run, which is more than 1 % of it: compare arms within a round only"}
	return r.end()
}

func settingsDiffer() results.Summary {
	r := newRun("direct-2")
	r.Backend = "direct"
	r.Calibration = []results.Calibration{{Link: "a", Direction: "up", OK: true}}
	for round := range 6 {
		for _, transmit := range []string{"zerocopy", "copy"} {
			t := r.trial(round+1, "tquic", 9996+float64(round), "a+b", 0.5, 0.5)
			t.Arm.Transmit, t.Arm.Streams = transmit, 4
			t.Sender, t.Receiver = results.Usage{}, results.Usage{}
		}
		r.trial(round+1, "udp", 0.0512, "a", 1)
	}
	return r.end()
}

func schedulersWithBaseline() results.Summary {
	r := newRun("lte-wifi")
	for round := range 3 {
		shift := float64(round)
		r.trial(round+1, "tquic", 78+shift, "lte+wifi", 0.38, 0.62).Arm.Scheduler = "minrtt"
		r.trial(round+1, "tquic", 80+shift, "lte+wifi", 0.4, 0.6).Arm.Scheduler = "ecf"
		r.trial(round+1, "tquic", 32+shift, "lte", 1)
		r.trial(round+1, "tquic", 53+shift, "wifi", 1)
		r.trial(round+1, "tcp", 51+shift, "wifi", 1)
	}
	return r.end()
}

func simulated() results.Summary {
	r := newRun("lte-wifi")
	r.Backend = "sim"
	for round := range 3 {
		t := r.trial(round+1, "tquic", 37+float64(round), "lte", 1)
		t.Sender, t.Receiver = results.Usage{}, results.Usage{}
	}
	return r.end()
}

func wideNames() results.Summary {
	r := newRun("家-lab")
	r.trial(1, "quic-go-bond", 999.4, "衛星+wifi", 0.25, 0.75)
	r.trial(1, "tcp", 999.6, "衛星", 1)
	r.trial(1, "tcp", 400, "wifi", 1)
	return r.end()
}

// timed is two rounds of a workload that goes by the clock; what fills in a trial's part.
func timed(what func(t *results.Trial, k float64)) results.Summary {
	r := newRun("lte-wifi")
	for round, shift := range []float64{1, 1.5} {
		for _, engine := range []string{"tquic", "tcp"} {
			t := r.trial(round+1, engine, 5, "lte+wifi", 0.4, 0.6)
			if engine == "tcp" {
				shift *= 3
			}
			t.Latency = &results.Latency{P50: 12.3 * shift, P90: 20 * shift, P99: 99.9 * shift, P999: 150 * shift, Max: 200 * shift}
			what(t, shift)
		}
	}
	failed := r.trial(2, "quic-go", 0, "lte")
	failed.Intact, failed.Error = false, "message 7 is wrong"
	return r.end()
}

func requests() results.Summary {
	return timed(func(t *results.Trial, k float64) {
		t.RPC = &results.RPC{Requests: 100_000, Answered: 99_999, Unanswered: 1, GapMaxMS: 50 * k}
	})
}

func frames() results.Summary {
	return timed(func(t *results.Trial, k float64) {
		t.CBR = &results.CBR{Frames: 1000, Delivered: 999, Late: int64(10 * k), Lost: 1, DeadlineMS: 200, GapMaxMS: 50 * k}
	})
}

func sessions() results.Summary {
	return timed(func(t *results.Trial, k float64) {
		t.Handshake = &results.Handshake{Done: 100, Failed: 1, PerS: 30 / k, Parallel: 2, Dial: &results.Latency{P50: 10 * k}, GapMaxMS: 50 * k}
	})
}

func TestTable(t *testing.T) {
	const workload = "bulk 10s, 1 stream"
	tests := []struct {
		name    string
		summary results.Summary
		options Options
	}{
		{"three-rounds", threeRounds(), Options{Workload: workload}},
		{"three-rounds-80", threeRounds(), Options{Workload: workload, Width: 80}},
		{"three-rounds-40", threeRounds(), Options{Workload: workload, Width: 40}},
		{"by-itself", byItself(), Options{Workload: workload}},
		{"failures", failures(), Options{Workload: workload}},
		{"failures-100", failures(), Options{Workload: workload, Width: 100}},
		{"settings-differ", settingsDiffer(), Options{}},
		{"schedulers-with-baseline", schedulersWithBaseline(), Options{Workload: workload}},
		{"simulated", simulated(), Options{Workload: workload}},
		{"wide-names", wideNames(), Options{}},
		{"wide-names-100", wideNames(), Options{Width: 100}},
		{"rpc", requests(), Options{Workload: "rpc 10s, 100/s of 1KB for 4KB, 1 stream"}},
		{"cbr", frames(), Options{Workload: "cbr 10s, 5mbit in frames of 20KB, deadline 200ms, 1 stream"}},
		{"cbr-80", frames(), Options{Width: 80}},
		{"handshake", sessions(), Options{Workload: "handshake 10s, 2 at a time"}},
		{"no-trials", results.Summary{Lab: "lte-wifi", Backend: "relay", Warnings: []string{"interrupted"}}, Options{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var buf bytes.Buffer
			if err := Table(&buf, tt.summary, tt.options); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", tt.name+".txt")
			if *update {
				if err := os.WriteFile(golden, buf.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), buf.String()); diff != "" {
				t.Errorf("%s (-want +got); go test -update writes it anew:\n%s", golden, diff)
			}
			checkLines(t, buf.String(), tt.options.Width)
		})
	}
}

// checkLines holds what is true of every report.
func checkLines(t *testing.T, text string, limit int) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if limit > 0 && width(line) > limit {
			t.Errorf("%d columns, want at most %d: %q", width(line), limit, line)
		}
		if strings.TrimRight(line, " ") != line {
			t.Errorf("space at the end of %q", line)
		}
	}
}

// A folder may hold anything: no summary makes the table panic, and no text of one
// reaches the terminal with its control characters.
func FuzzTable(f *testing.F) {
	for _, s := range []results.Summary{threeRounds(), failures(), settingsDiffer(), requests(), frames(), sessions(), {}} {
		data, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, 80)
	}
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		var s results.Summary
		if json.Unmarshal(data, &s) != nil {
			return
		}
		var buf bytes.Buffer
		if err := Table(&buf, s, Options{Width: width, Workload: string(data)}); err != nil {
			t.Fatal(err)
		}
		for _, r := range strings.ReplaceAll(buf.String(), "\n", "") {
			if unicode.IsControl(r) {
				t.Errorf("the control character %q is in the table", r)
			}
		}
	})
}
