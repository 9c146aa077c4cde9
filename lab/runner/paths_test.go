package runner

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// routed makes a topology of nodes, `name` or `name kind inside...`, and links,
// `name: node node [family]`, each with a rate of 40 Mbit/s each way unless its name
// begins with lan.
func routed(lines ...string) topologies.Topology {
	t := topologies.Topology{Name: "routed", Seed: 1}
	for _, line := range lines {
		name, ends, isLink := strings.Cut(line, ":")
		if !isLink {
			words := strings.Fields(line)
			n := topologies.Node{Name: words[0]}
			if len(words) > 1 {
				n.Kind, n.Inside = topologies.NodeKind(words[1]), words[2:]
			}
			t.Nodes = append(t.Nodes, n)
			continue
		}
		words := strings.Fields(ends)
		l := topologies.Link{Name: name, Endpoints: [2]string{words[0], words[1]}, MTU: 1500}
		if !strings.HasPrefix(name, "lan") {
			l.Up = emulation.Impairments{Rate: 40e6, Delay: 2 * time.Millisecond, Queue: emulation.Queue{Time: 100 * time.Millisecond}}
			l.Down = l.Up
		}
		if len(words) > 2 {
			l.Family = topologies.Family(words[2])
		}
		for end := range l.Addresses {
			if l.Family != topologies.IPv6Only {
				l.Addresses[end] = append(l.Addresses[end], netip.MustParsePrefix(fmt.Sprintf("10.78.%d.%d/24", len(t.Links), end+1)))
			}
			if l.Family != topologies.IPv4Only {
				l.Addresses[end] = append(l.Addresses[end], netip.MustParsePrefix(fmt.Sprintf("fd74:7171:%d::%d/64", len(t.Links), end+1)))
			}
		}
		t.Links = append(t.Links, l)
	}
	return t
}

func bottleneck() topologies.Topology {
	return routed("client", "server", "isp router", "a: client isp", "b: client isp", "wan: isp server")
}

// Every engine moves its bytes over every kind of path, in both directions.
func TestEnginesOverPaths(t *testing.T) {
	tests := []struct {
		name     string
		t        topologies.Topology
		from, to string
		single   string   // path of the engines that use one
		multi    []string // those of the others
		all      bool     // every engine, not one of each kind
	}{
		{"a shared bottleneck, down", bottleneck(), "server", "client", "b", []string{"a", "b"}, true},
		{"a shared bottleneck, up", bottleneck(), "client", "server", "b", []string{"a", "b"}, false},
		{
			"two ways through two routers", routed("client", "server", "r router", "q router", "a: client r", "b: client q", "x: r server", "y: q server"),
			"server", "client", "b",
			[]string{"a", "b"},
			false,
		},
		{"out of a NAT, down", routed("server", "client", "home nat lan", "wan: server home", "lan: client home"), "server", "client", "lan", []string{"lan"}, true},
		{"out of two NATs, up", routed("server", "client", "h nat lan1", "g nat lan2", "a: server h", "b: g server", "lan1: client h", "lan2: client g"), "client", "server", "lan2", []string{"lan1", "lan2"}, false},
		{"IPv6 only", routed("client", "server", "a: client server ipv6", "b: client server ipv6"), "server", "client", "a", []string{"a", "b"}, true},
		{"IPv4 only", routed("client", "server", "a: client server ipv4", "b: client server ipv4"), "server", "client", "b", []string{"a", "b"}, false},
		{"IPv6 in common", routed("client", "server", "isp router", "a: client isp ipv6", "b: client isp", "wan: isp server"), "server", "client", "b", []string{"a", "b"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := raise(t, tt.t)
			engines := []string{"tcp@" + tt.single, "tquic@" + tt.single, "mptcp", "quic-go-bond"}
			if tt.all {
				engines = append(engines, "tcp-tls@"+tt.single, "quic-go@"+tt.single, "mptcp-tls")
			}
			c := testConfig(t, l, engines...)
			c.Topology, c.Engines = tt.t, allEngines()
			c.Experiment.From, c.Experiment.To = tt.from, tt.to
			c.Experiment.Workload.Bytes = 1 << 20
			s, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Trials) != len(engines) {
				t.Errorf("%d trials, want %d", len(s.Trials), len(engines))
			}
			for _, trial := range s.Trials {
				want := tt.multi
				if !slices.Contains([]string{"mptcp", "mptcp-tls", "quic-go-bond"}, trial.Arm.Engine) {
					want = []string{tt.single}
				}
				checkPaths(t, trial, want, c.Experiment.Workload.Bytes)
			}
		})
	}
}

// checkPaths wants the trial to have used each of the paths.
func checkPaths(t *testing.T, trial results.Trial, paths []string, bytes int64) {
	t.Helper()
	if trial.Error != "" || !trial.Intact || trial.Bytes != bytes {
		t.Errorf("%s: error %q, intact %v, %d bytes; want %d intact", trial.Arm.Engine, trial.Error, trial.Intact, trial.Bytes, bytes)
		return
	}
	if diff := cmp.Diff(paths, trial.Arm.Paths); diff != "" {
		t.Errorf("%s: paths (-want +got):\n%s", trial.Arm.Engine, diff)
	}
	sum := 0.0
	for _, p := range trial.Paths {
		sum += p.Share
		// A single path has all, one of two a good part: they are alike.
		if least := 0.05; p.Share < least || p.SentPackets < 10 {
			t.Errorf("%s: %s carried %.3f of the bytes in %d packets", trial.Arm.Engine, p.Link, p.Share, p.SentPackets)
		}
	}
	if sum < 0.999 || sum > 1.001 {
		t.Errorf("%s: shares add up to %v", trial.Arm.Engine, sum)
	}
	if limit := 40e6 * float64(len(paths)); trial.GoodputBPS > limit {
		t.Errorf("%s: goodput %v is above the paths' rates", trial.Arm.Engine, trial.GoodputBPS)
	}
}

func TestGauges(t *testing.T) {
	arms := func(top topologies.Topology) arm {
		return arm{paths: top.Paths("client", "server")}
	}
	at := func(node, link string, out bool) gauge { return gauge{sampler.Interface{Node: node, Link: link}, out} }
	apart := arms(routed("client", "server", "r router", "q router", "a: client r", "b: client q", "x: r server", "y: q server"))
	together := arms(bottleneck())
	tests := []struct {
		name      string
		got, want []gauge
	}{
		{"down, apart: arriving", apart.arriving("client"), []gauge{at("client", "a", false), at("client", "b", false)}},
		{"down, apart: leaving", apart.leaving("server"), []gauge{at("server", "x", true), at("server", "y", true)}},
		{"up, apart: arriving", apart.arriving("server"), []gauge{at("server", "x", false), at("server", "y", false)}},
		{"up, apart: leaving", apart.leaving("client"), []gauge{at("client", "a", true), at("client", "b", true)}},
		{"down, together: arriving", together.arriving("client"), []gauge{at("client", "a", false), at("client", "b", false)}},
		{"down, together: leaving", together.leaving("server"), []gauge{at("client", "a", false), at("client", "b", false)}},
		{"up, together: arriving", together.arriving("server"), []gauge{at("client", "a", true), at("client", "b", true)}},
		{"up, together: leaving", together.leaving("client"), []gauge{at("client", "a", true), at("client", "b", true)}},
	}
	for _, tt := range tests {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	if got := together.at("server"); !slices.Equal(got, []sampler.Interface{{Node: "server", Link: "wan"}}) {
		t.Errorf("interfaces of the server: %v, want one", got)
	}
}

// What a wire of one path alone drops is the path's loss; what a shared one drops is
// nobody's, and named.
func TestDropsOfPaths(t *testing.T) {
	wires := []lab.WireStatus{}
	for i, name := range []string{"a", "b", "wan"} {
		wires = append(wires, lab.WireStatus{
			Link: name,
			Up:   lab.DirectionStatus{Dropped: map[string]uint64{"queue full": uint64(10 * (i + 1))}},
			Down: lab.DirectionStatus{Dropped: map[string]uint64{"queue full": uint64(i + 1)}},
		})
	}
	all := bottleneck().Paths("client", "server")
	tests := []struct {
		name  string
		paths []topologies.Path
		to    string
		lost  *uint64
		drops map[string]uint64
	}{
		{"alone, up", all[:1], "server", new(uint64(40)), map[string]uint64{"queue full": 40}},
		{"alone, down", all[:1], "client", new(uint64(4)), map[string]uint64{"queue full": 4}},
		{"both, down", all, "client", nil, map[string]uint64{"queue full": 1, "queue full on shared wan": 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := measurement{planned: planned{arm: arm{paths: tt.paths}}, to: tt.to, wires: wires}
			lost, drops := m.drops(tt.paths[0])
			if diff := cmp.Diff(tt.lost, lost); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.drops, drops); diff != "" {
				t.Errorf("drops (-want +got):\n%s", diff)
			}
		})
	}
}

// simBonding is a run in virtual time of tquic over all paths and over each alone.
func simBonding(t *testing.T, top topologies.Topology, from, to string) Config {
	t.Helper()
	c := simConfig(t, "tquic")
	c.Topology, c.Engines, c.Baseline = top, engine.NewRegistry(bonding{}), true
	c.Experiment.From, c.Experiment.To = from, to
	c.Experiment.Workload.Bytes = 4 << 20
	return c
}

// Paths through routers in virtual time are those of a lab: shares, packets and drops
// of each, whichever way the links are written and the data goes.
func TestSimulatedPaths(t *testing.T) {
	narrow := bottleneck()
	narrow.Links[2].Down.Loss, narrow.Links[2].Up.Loss = 0.005, 0.02
	turned := routed("client", "server", "isp router", "a: isp client", "b: client isp", "wan: server isp")
	turned.Links[2].Down.Loss, turned.Links[2].Up.Loss = 0.02, 0.005
	apart := routed("client", "server", "r router", "q router", "a: client r", "b: client q", "x: r server", "y: q server")
	tests := []struct {
		name     string
		t        topologies.Topology
		from, to string
		drops    map[string]float64 // about how many of the packets over wan are lost; nil: it is no wan
	}{
		{"a shared bottleneck, down", narrow, "server", "client", map[string]float64{"server": 0.005}},
		{"a shared bottleneck, up", narrow, "client", "server", map[string]float64{"client": 0.02}},
		{"written the other way, down", turned, "server", "client", map[string]float64{"server": 0.005}},
		{"written the other way, up", turned, "client", "server", map[string]float64{"client": 0.02}},
		{"two ways through two routers, down", apart, "server", "client", nil},
		{"two ways through two routers, up", apart, "client", "server", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := simBonding(t, tt.t, tt.from, tt.to)
			s, err := Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Trials) != 3 {
				t.Fatalf("%d trials, want 3", len(s.Trials))
			}
			for _, trial := range s.Trials {
				checkPaths(t, trial, trial.Arm.Paths, c.Experiment.Workload.Bytes)
				if limit := 40e6; tt.drops != nil && trial.GoodputBPS > limit {
					t.Errorf("goodput %v through one link of 40 Mbit/s", trial.GoodputBPS)
				}
				if tt.drops != nil {
					checkWanDrops(t, trial, tt.drops[tt.from])
				}
			}
		})
	}
}

// checkWanDrops wants about that part of the data to be lost at random on the link wan.
func checkWanDrops(t *testing.T, trial results.Trial, part float64) {
	t.Helper()
	for _, p := range trial.Paths {
		reason, sent := "loss", p.SentPackets
		if len(trial.Paths) > 1 {
			reason = "loss on shared wan"
			sent = trial.Paths[0].SentPackets + trial.Paths[1].SentPackets
			if p.LostPackets != nil {
				t.Errorf("%s: %d packets are its losses, although it shares the link that drops", p.Link, *p.LostPackets)
			}
		} else if p.LostPackets == nil {
			t.Errorf("%s: its losses are unknown, although it has the link alone", p.Link)
		}
		if n := float64(p.Drops[reason]); n < part*float64(sent)/2 || n > part*float64(sent)*2 {
			t.Errorf("%v, %s: drops %v of %d packets, want about %v by %q", trial.Arm.Paths, p.Link, p.Drops, sent, part*float64(sent), reason)
		}
	}
}

// The series have both hosts' interfaces, and the drops of a link behind a router by the
// topology's name of the direction.
func TestSimulatedSeriesOfRoutedPaths(t *testing.T) {
	top := routed("client", "server", "isp router", "a: client isp", "b: client isp", "wan: server isp")
	top.Links[2].Up.Loss, top.Links[2].Down.Loss = 0.05, 0.05
	c := simBonding(t, top, "server", "client")
	c.Drops, c.Baseline = true, false
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(c.Folder.Dir(), "series", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	series := read("1-1-tquic.jsonl")
	for _, i := range []string{`"node":"client","link":"a"`, `"node":"client","link":"b"`, `"node":"server","link":"wan"`} {
		if !strings.Contains(series, i) {
			t.Errorf("the series have no line of %s: %.300s", i, series)
		}
	}
	if strings.Contains(series, `"node":"isp"`) || strings.Contains(series, `"node":"client","link":"wan"`) || strings.Contains(series, `"node":"server","link":"a"`) {
		t.Error("the series have interfaces that no host has")
	}
	drops := read("1-1-tquic-drops.jsonl")
	up, down := strings.Count(drops, `"link":"wan","way":"up"`), strings.Count(drops, `"link":"wan","way":"down"`)
	if down == 0 || up < 2*down {
		t.Errorf("%d drops on wan's way up, %d on its way down; want many of the data, which goes up, and some of the acknowledgements", up, down)
	}
}

// Timelines and outages of a link behind a router play as in a lab.
func TestSimulatedEventsBehindARouter(t *testing.T) {
	top := routed("client", "server", "r router", "a: client r", "wan: r server")
	plain := simBonding(t, top, "server", "client")
	s, err := Run(t.Context(), plain)
	if err != nil || !s.Trials[0].OK() || s.Trials[0].StallMaxMS > 200 {
		t.Fatalf("%v, %+v; want a transfer without a stop", err, s.Trials)
	}
	for _, tt := range []struct {
		from, to string
		kind     topologies.EventKind
		way      string
	}{
		{"server", "client", topologies.EventBlackhole, "down"},
		{"client", "server", topologies.EventBlackhole, "up"},
		{"server", "client", topologies.EventDown, ""},
	} {
		top.Events = []topologies.Event{{At: 200 * time.Millisecond, Kind: tt.kind, Link: "wan", Way: tt.way, For: 300 * time.Millisecond}}
		s, err := Run(t.Context(), simBonding(t, top, tt.from, tt.to))
		if err != nil || !s.Trials[0].OK() || s.Trials[0].StallMaxMS < 280 {
			t.Errorf("%v %s: %v, %+v; want a stop of 280 ms or more", tt.kind, tt.way, err, s.Trials)
		}
	}
}

func TestSimulationRefusesNATs(t *testing.T) {
	c := simConfig(t, "tquic")
	c.Topology = routed("server", "client", "home nat lan", "wan: server home", "lan: client home")
	_, err := Run(t.Context(), c)
	if !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), "goes through home, a NAT") || !strings.Contains(err.Error(), "--backend auto") {
		t.Errorf("Run = %v, want engine.ErrUnsupported, the reason and the way out", err)
	}
}
