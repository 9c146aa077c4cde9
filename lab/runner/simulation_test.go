package runner

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/sim"
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// simulated stands for tquic in the registry: a simulation asks it for nothing but
// its name and what it can do.
type simulated struct{ engine.Engine }

func (simulated) Name() string { return "tquic" }

func (simulated) Capabilities() engine.Capabilities {
	return engine.Capabilities{Encrypted: true, QLOG: true, Congestion: "cubic"}
}

// simConfig is testConfig without a lab.
func simConfig(t *testing.T, engines ...string) Config {
	t.Helper()
	c := testConfig(t, nil, engines...)
	c.Backend, c.Agent = BackendSim, nil
	c.Engines = engine.NewRegistry(append([]engine.Engine{simulated{}}, testEngineList()...)...)
	return c
}

func TestSimulatedRun(t *testing.T) {
	c := simConfig(t, "tquic")
	c.Experiment.Rounds, c.QLOG = 2, true
	c.Topology.Links[0].Down.Loss = 0.01
	reports := 0
	c.Progress = func(p Progress) {
		if p.Done != nil {
			reports++
		}
	}
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Complete || s.Backend != "sim" || len(s.Trials) != 4 || len(s.Arms) != 2 || reports != 4 {
		t.Fatalf("complete %v, backend %s, %d trials, %d arms, %d reports; want true, sim, 4, 2, 4", s.Complete, s.Backend, len(s.Trials), len(s.Arms), reports)
	}
	for _, trial := range s.Trials {
		checkSimulated(t, trial, c.Experiment.Workload.Bytes)
	}
	if len(s.Warnings) > 0 {
		t.Errorf("warnings %q, want none: the paths are what was asked for", s.Warnings)
	}
	manifest, stored, err := results.Open(c.Folder.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Order) != 4 || manifest.Backend != "sim" {
		t.Errorf("manifest has %d trials and backend %s, want 4 and sim", len(manifest.Order), manifest.Backend)
	}
	if diff := cmp.Diff(s.Trials, stored.Trials, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("trials on the disk (-returned +stored):\n%s", diff)
	}
	series, err := os.ReadFile(filepath.Join(c.Folder.Dir(), "series", "1-1-tquic.jsonl"))
	if err != nil || !strings.Contains(string(series), `"t_ms":100,`) || !strings.Contains(string(series), `"node":"client"`) || !strings.Contains(string(series), `"received_bytes":`) {
		t.Errorf("series: %v, %.300s; want counters of both ends and bytes received every 100 ms", err, series)
	}
	for name, lines := range seriesLines[pathLine](t, c.Folder.Dir(), "path") {
		if l := lines[len(lines)-1]; lines[0].T != 100 || l.SRTTMS < 4 || l.SentPackets < 50 {
			t.Errorf("%s: %d lines of paths, the last %+v; want one every 100 ms, measured", name, len(lines), l)
		}
	}
	if qlogs, err := filepath.Glob(filepath.Join(c.Folder.Dir(), "qlog", "1-1-tquic", "*.sqlog")); err != nil || len(qlogs) != 2 {
		t.Errorf("%d qlog files of the first trial, %v; want one a side", len(qlogs), err)
	}
}

// checkSimulated holds a good trial's parts against each other.
func checkSimulated(t *testing.T, trial results.Trial, bytes int64) {
	t.Helper()
	if trial.Error != "" || !trial.Intact || trial.Bytes != bytes {
		t.Fatalf("%v: error %q, intact %v, %d bytes; want %d intact", trial.Arm, trial.Error, trial.Intact, trial.Bytes, bytes)
	}
	if want := float64(bytes) * 8 / trial.DurationS; trial.GoodputBPS != want || trial.StallMaxMS <= 0 {
		t.Errorf("%v: goodput %v, stalled for %v ms; want bytes over duration, %v, and some", trial.Arm, trial.GoodputBPS, trial.StallMaxMS, want)
	}
	p := trial.Paths[0]
	if len(trial.Paths) != 1 || p.Share != 1 || p.LostPackets == nil || p.SRTTMS == nil || *p.SRTTMS < 4 || p.SentPackets < uint64(bytes)/1500 {
		t.Errorf("%v: paths %+v; want all of the data on one, measured", trial.Arm, trial.Paths)
	}
	// What it costs to compute is unknown, not nothing.
	if diff := cmp.Diff([2]results.Usage{}, [2]results.Usage{trial.Sender, trial.Receiver}); diff != "" {
		t.Errorf("%v: usage in virtual time (-none +got):\n%s", trial.Arm, diff)
	}
}

// bonding stands for tquic with several paths.
type bonding struct{ simulated }

func (bonding) Capabilities() engine.Capabilities {
	return engine.Capabilities{Multipath: true, Encrypted: true, QLOG: true, Congestion: "cubic"}
}

// A multipath engine uses all links at once; pinned to one, or alone, that one.
func TestSimulatedRunOverSeveralLinks(t *testing.T) {
	c := simConfig(t, "tquic", "tquic@wifi")
	c.Engines = engine.NewRegistry(bonding{})
	c.Baseline = true
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var arms []string
	for _, trial := range s.Trials {
		arms = append(arms, strings.Join(trial.Arm.Paths, "+"))
		if len(trial.Arm.Paths) == 1 {
			checkSimulated(t, trial, c.Experiment.Workload.Bytes)
			continue
		}
		if trial.Error != "" || !trial.Intact || trial.Bytes != c.Experiment.Workload.Bytes || trial.AggregationBenefit == nil {
			t.Errorf("both links: error %q, intact %v, %d bytes, benefit %v; want all of it, intact, with a benefit", trial.Error, trial.Intact, trial.Bytes, trial.AggregationBenefit)
		}
		share := 0.0
		for _, p := range trial.Paths {
			share += p.Share
		}
		if len(trial.Paths) != 2 || share < 0.999 || share > 1.001 {
			t.Errorf("both links: paths %+v, want two with all of the data between them", trial.Paths)
		}
	}
	slices.Sort(arms)
	if want := []string{"lte", "lte+wifi", "wifi"}; !slices.Equal(arms, want) {
		t.Errorf("arms over %q, want %q", arms, want)
	}
}

func TestSimulatedRunRepeats(t *testing.T) {
	run := func(seed uint64) []results.Trial {
		c := simConfig(t, "tquic@lte")
		c.Topology.Links[0].Down.Loss = 0.02
		c.Experiment.Rounds, c.Seed = 3, seed
		s, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return s.Trials
	}
	first := run(7)
	if diff := cmp.Diff(first, run(7)); diff != "" {
		t.Errorf("the same run again differs:\n%s", diff)
	}
	if first[0].GoodputBPS == first[1].GoodputBPS {
		t.Error("two rounds had the same luck")
	}
	if other := run(8); other[0].GoodputBPS == first[0].GoodputBPS {
		t.Error("another seed had the same luck")
	}
}

func TestSimulatedDataGoesTheOtherWayToo(t *testing.T) {
	c := simConfig(t, "tquic@lte")
	c.Experiment.From, c.Experiment.To = "client", "server"
	// A link may be written from the other end: its directions swap, and what it does
	// stays the same.
	turned := c.Topology.Links[0]
	turned.Name, turned.Endpoints = "turned", [2]string{"server", "client"}
	turned.Up, turned.Down = turned.Down, turned.Up
	turned.Addresses = [2][]netip.Prefix{turned.Addresses[1], turned.Addresses[0]}
	turned.Up.Loss = 0.5 // of what the server sends: the sender's wire must not lose it
	c.Topology.Links = append(c.Topology.Links, turned)
	c.Experiment.Engines = []string{"tquic@lte", "tquic@turned"}
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range s.Trials {
		checkSimulated(t, trial, c.Experiment.Workload.Bytes)
		if up := 10e6; trial.GoodputBPS > up {
			t.Errorf("%v: goodput %v from client to server, want at most the rate up, %v", trial.Arm, trial.GoodputBPS, up)
		}
		if lost := *trial.Paths[0].LostPackets; lost > 100 || len(trial.Paths[0].Drops) > 0 && trial.Paths[0].Drops["loss"] > 0 {
			t.Errorf("%v: %d packets lost, %v; want those of the queue alone", trial.Arm, lost, trial.Paths[0].Drops)
		}
	}
}

// A black hole of the only link stops the stream for as long, and the record tells when
// by the clock of the series: bytes stand still there, and nowhere else for so long.
func TestSimulatedStalls(t *testing.T) {
	const from, lasts = 1000.0, 400.0 // ms
	c := simConfig(t, "tquic@lte")
	c.Experiment.Workload.Bytes, c.Experiment.Workload.Duration = 0, 3*time.Second
	c.Topology.Events = []topologies.Event{{At: from * time.Millisecond, Kind: topologies.EventBlackhole, Link: "lte", For: lasts * time.Millisecond}}
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	trial := s.Trials[0]
	if !trial.OK() || trial.ClockTMS == nil || *trial.ClockTMS >= 0 || *trial.ClockTMS < -500 {
		t.Fatalf("trial %+v: want it good, with a clock that started with its handshake", trial)
	}
	var longest results.Stall
	for _, s := range trial.Stalls {
		if s.MS > longest.MS {
			longest = s
		}
	}
	if longest.MS != trial.StallMaxMS || longest.MS < lasts {
		t.Errorf("the longest stall is %+v, or %v ms; want one of %v ms or more", longest, trial.StallMaxMS, lasts)
	}
	hole := *trial.ClockTMS + from
	if longest.AtMS < hole || longest.AtMS > hole+200 || longest.AtMS+longest.MS < hole+lasts {
		t.Errorf("it stood still from %v ms for %v ms, the hole was from %v ms for %v ms", longest.AtMS, longest.MS, hole, lasts)
	}
	inside := map[int64]bool{}
	for _, lines := range seriesLines[received](t, c.Folder.Dir(), "") {
		for _, l := range lines {
			if l.T >= longest.AtMS && l.T < longest.AtMS+longest.MS && l.Bytes > 0 {
				inside[l.Bytes] = true
			}
		}
	}
	if len(inside) != 1 {
		t.Errorf("the series has %d counts of bytes within the stall, want one", len(inside))
	}
}

// Workloads that go by the clock, in virtual time, by the rules of a lab's.
func TestSimulatedTimedWorkloads(t *testing.T) {
	for _, kind := range []string{topologies.RPC, topologies.CBR, topologies.Handshake} {
		for _, way := range [][2]string{{"server", "client"}, {"client", "server"}} {
			t.Run(kind+" from "+way[0], func(t *testing.T) {
				c := timedConfig(t, nil, kind, "tquic@wifi", "tquic@lte")
				c.Backend, c.Agent = BackendSim, nil
				c.Experiment.From, c.Experiment.To = way[0], way[1]
				s, err := Run(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				if len(s.Trials) != 2 {
					t.Fatalf("%d trials, want 2", len(s.Trials))
				}
				for _, trial := range s.Trials {
					checkTimed4ms(t, kind, trial)
					if h := trial.Handshake; h != nil && h.Done < 3 {
						t.Errorf("%v: %d sessions in 600 ms", trial.Arm.Paths, h.Done)
					}
				}
			})
		}
	}
}

func TestSimulatedRates(t *testing.T) {
	c := simConfig(t, "tquic")
	s := &simulation{run: &run{Config: c, dialler: "client", listener: "server"}}
	links := func(up, down uint64) []sim.LinkCounters {
		return []sim.LinkCounters{{
			Link: "lte",
			Up:   emulation.Counters{ArrivedBytes: up, DepartedBytes: up / 2},
			Down: emulation.Counters{ArrivedBytes: down, DepartedBytes: down / 2},
		}}
	}
	a := arm{paths: c.Topology.Paths("client", "server")[:1]}
	first := s.sample(a, sim.Sample{At: time.Second, Links: links(1000, 50_000)}, sampler.Sample{})
	second := s.sample(a, sim.Sample{At: 3 * time.Second, Links: links(3000, 250_000)}, first)
	client := sampler.Interface{Node: "client", Link: "lte"}
	if got, want := first.Rates[client], (sampler.Rates{Rx: 200_000, Tx: 8000}); got != want {
		t.Errorf("the client's rates in the first second: %+v, want %+v", got, want)
	}
	if got, want := second.Rates[client], (sampler.Rates{Rx: 400_000, Tx: 8000}); got != want {
		t.Errorf("the client's rates from then on: %+v, want %+v", got, want)
	}
	server := sampler.Interface{Node: "server", Link: "lte"}
	if got, want := second.Rates[server], (sampler.Rates{Rx: 4000, Tx: 800_000}); got != want {
		t.Errorf("the server's rates: %+v, want %+v", got, want)
	}
}

func TestSimulationRefuses(t *testing.T) {
	tests := []struct {
		name    string
		engines []string
		change  func(*topologies.Topology)
		want    string
	}{
		{"another engine", []string{"tquic", "quic-go"}, func(*topologies.Topology) {}, "quic-go cannot be simulated, only tquic can"},
		{"a link without rate and delay", []string{"tquic"}, func(t *topologies.Topology) {
			t.Links[1].Up, t.Links[1].Down = emulation.Impairments{}, emulation.Impairments{}
		}, "tquic@wifi: simulate wifi: without rate and delay"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := simConfig(t, tt.engines...)
			tt.change(&c.Topology)
			_, err := Run(t.Context(), c)
			if !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run = %v, want that it is not supported, and %q", err, tt.want)
			}
			if _, err := os.Stat(c.Folder.Dir()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the folder of a run that never began: %v", err)
			}
		})
	}
}

func TestSimulatedTrialsFailByThemselves(t *testing.T) {
	c := simConfig(t, "tquic")
	c.Topology.Links[0].Down.Loss = 1
	c.Patience = time.Second
	s, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, trial := range s.Trials {
		if trial.Arm.Paths[0] == "wifi" {
			checkSimulated(t, trial, c.Experiment.Workload.Bytes)
			continue
		}
		if trial.OK() || !strings.Contains(trial.Error, "set-up not over after 1s") || len(trial.Paths) != 0 {
			t.Errorf("over a dead link: %+v, want that the set-up was never over", trial)
		}
	}
	if !s.Complete || s.Arms[0].Failed+s.Arms[1].Failed != 1 {
		t.Errorf("complete %v, arms %+v; want a complete run with one failure", s.Complete, s.Arms)
	}
}

func TestSimulatedRunIsInterrupted(t *testing.T) {
	c := simConfig(t, "tquic@wifi")
	c.Experiment.Rounds = 3
	why := errors.New("the user had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	c.Progress = func(p Progress) {
		if p.Done != nil {
			cancel(why)
		}
	}
	s, err := Run(ctx, c)
	if !errors.Is(err, why) || s.Complete || len(s.Trials) != 1 || !s.Trials[0].OK() {
		t.Errorf("Run = %v, complete %v with %d trials; want %v, false and the good one", err, s.Complete, len(s.Trials), why)
	}
}
