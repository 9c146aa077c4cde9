package topologies

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

// prefixes lets cmp compare addresses, and long traces at once.
func prefixes() cmp.Option {
	return cmp.Options{
		cmpopts.EquateComparable(netip.Prefix{}),
		cmp.Comparer(func(a, b emulation.Trace) bool { return slices.Equal(a, b) }),
		cmp.Comparer(func(a, b []emulation.Step) bool { return slices.Equal(a, b) }),
	}
}

// TestShowParses: what Show prints, Parse reads as the same topology.
func TestShowParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawTopology(t)
		text := Show(want)
		got, err := Loader{}.Parse("shown.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(want, got, prefixes()); diff != "" {
			t.Fatalf("-want +got:\n%s\n%s", diff, text)
		}
		if got.Hash() != want.Hash() {
			t.Fatal("the hash differs")
		}
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var decoded Topology // as labs and results keep it
		if err := json.Unmarshal(data, &decoded); err != nil || decoded.Hash() != want.Hash() {
			t.Fatalf("JSON loses something: %v\n%s", err, cmp.Diff(want, decoded, prefixes()))
		}
	})
}

// drawTopology draws a topology that a file can describe.
func drawTopology(t *rapid.T) Topology {
	name := rapid.OneOf(
		rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?`),
		rapid.SampledFrom([]string{"null", "true", "no", "1e3", "2026-11-22", "0x1f", "12"}), // need quotes
	)
	nodes := rapid.SliceOfNDistinct(name, 2, 4, rapid.ID).Draw(t, "nodes")
	linkName := name.Filter(func(s string) bool { return !slices.Contains(reservedLinks(), s) })
	names := rapid.SliceOfNDistinct(linkName, len(nodes)-1, 5, rapid.ID).Draw(t, "links")
	topology := Topology{
		Name: name.Draw(t, "name"), Seed: rapid.Uint64().Draw(t, "seed"),
		Start: rapid.SampledFrom(starts()).Draw(t, "start"),
	}
	for i, n := range names {
		topology.Links = append(topology.Links, drawLink(t, i, n, nodes))
	}
	for _, n := range nodes {
		topology.Nodes = append(topology.Nodes, drawNode(t, n, topology.Links))
	}
	for range rapid.IntRange(0, 5).Draw(t, "events") {
		topology.Events = append(topology.Events, drawEvent(t, &topology))
	}
	if on := rapid.SampledFrom(topology.Links).Draw(t, "link"); rapid.Bool().Draw(t, "experiment") && topology.isHost(on.Endpoints[0]) && topology.isHost(on.Endpoints[1]) {
		topology.Experiment = drawExperiment(t, on)
	}
	return topology
}

func (t Topology) isHost(name string) bool {
	return slices.ContainsFunc(t.Nodes, func(n Node) bool { return n.Name == name && !n.Forwards() })
}

func drawNode(t *rapid.T, name string, links []Link) Node {
	n := Node{Name: name}
	var own []string
	for _, l := range links {
		if l.End(name) >= 0 {
			own = append(own, l.Name)
		}
	}
	if len(own) < 2 {
		return n
	}
	if n.Kind = rapid.SampledFrom(kinds()).Draw(t, "kind"); n.Kind == NAT {
		n.Inside = own[:rapid.IntRange(1, len(own)-1).Draw(t, "inside")]
	}
	return n
}

// drawLink draws the link at place i: the first ones join all nodes.
func drawLink(t *rapid.T, i int, name string, nodes []string) Link {
	ends := rapid.Permutation(nodes).Draw(t, "endpoints")
	if i+1 < len(nodes) {
		ends = nodes[i : i+2]
	}
	l := Link{
		Name:      name,
		Endpoints: [2]string{ends[0], ends[1]},
		Profile:   rapid.SampledFrom(append(profileNames(), "", "")).Draw(t, "profile"),
		Family:    rapid.SampledFrom(append(oneFamily(), DualStack, DualStack)).Draw(t, "family"),
		Wired:     rapid.Bool().Draw(t, "wired"),
	}
	least := minMTU
	if l.Family == IPv4Only {
		least = minMTU4
	}
	l.MTU = rapid.IntRange(least, maxMTU).Draw(t, "mtu")
	l.Up, l.Down = drawImpairments(t, least), drawImpairments(t, least)
	own := rapid.Bool().Draw(t, "own addresses")
	for end := range l.Addresses {
		v4, v6 := defaultPrefix(ipv4, i, end), defaultPrefix(ipv6, i, end)
		if own {
			v4 = netip.MustParsePrefix(fmt.Sprintf("10.9.%d.%d/29", i, end+1))
			v6 = netip.MustParsePrefix(fmt.Sprintf("fd00:9:%d::%d/112", i, end+1))
		}
		if l.Family.has(ipv4) {
			l.Addresses[end] = append(l.Addresses[end], v4)
		}
		if l.Family.has(ipv6) {
			l.Addresses[end] = append(l.Addresses[end], v6)
		}
	}
	return l
}

// drawEvent draws an event that can happen to the topology whatever others do.
func drawEvent(t *rapid.T, topology *Topology) Event {
	e := Event{At: time.Duration(drawCount(t, mostTime))}
	if rapid.Bool().Draw(t, "every") {
		e.Every = time.Duration(rapid.Int64Range(int64(time.Minute), mostTime).Draw(t, "every"))
		e.Times = rapid.IntRange(0, 10).Draw(t, "times")
	}
	e.Kind = rapid.SampledFrom([]EventKind{EventSet, EventDown, EventUp, EventBlackhole, EventThrough, EventRebind}).Draw(t, "what")
	if nat := slices.IndexFunc(topology.Nodes, func(n Node) bool { return n.Kind == NAT }); e.Kind == EventRebind && nat >= 0 {
		e.Node = topology.Nodes[nat].Name
		return e
	} else if e.Kind == EventRebind {
		e.Kind = EventUp
	}
	l := &topology.Links[rapid.IntRange(0, len(topology.Links)-1).Draw(t, "on")]
	e.Link, l.Wired = l.Name, true
	if e.Kind == EventDown || e.Kind == EventUp {
		if e.Kind == EventDown {
			e.For = time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "for"))
		}
		return e
	}
	e.Way = rapid.SampledFrom([]string{"", "up", "down"}).Draw(t, "way")
	switch e.Kind {
	case EventBlackhole:
		e.For = time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "for"))
	case EventSet:
		e.Set = emulation.Patch{
			Fields: emulation.FieldRate | emulation.FieldDuplicate | lossFields,
			Values: emulation.Impairments{Rate: 1 + emulation.Rate(drawCount(t, mostRate-1)), Duplicate: drawFraction(t)},
		}
		drawLoss(t, &e.Set.Values)
		if rapid.Bool().Draw(t, "ramp") {
			e.Ramp = time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "ramp"))
			e.Set = emulation.Patch{Fields: emulation.FieldRate | emulation.FieldLoss, Values: emulation.Impairments{Rate: e.Set.Values.Rate, Loss: e.Set.Values.Loss}}
		}
	}
	return e
}

func drawFraction(t *rapid.T) float64 {
	return rapid.OneOf(rapid.Float64Range(0, 1), rapid.Just(0.0)).Draw(t, "fraction")
}

// drawLoss draws any combination of loss models.
func drawLoss(t *rapid.T, i *emulation.Impairments) {
	i.Loss = drawFraction(t)
	switch rapid.IntRange(0, 3).Draw(t, "loss") {
	case 0:
		i.GilbertElliott = emulation.GilbertElliott{P: drawFraction(t), R: drawFraction(t), H: drawFraction(t), K: drawFraction(t)}
	case 1:
		i.FourState = emulation.FourState{P13: drawFraction(t) / 2, P31: drawFraction(t) / 2, P32: drawFraction(t) / 2, P23: drawFraction(t), P14: drawFraction(t) / 2}
	case 2:
		i.LoseEvery = rapid.IntRange(1, mostPackets).Draw(t, "every")
		list := emulation.PacketList(rapid.SliceOfNDistinct(rapid.Uint64Min(1), 1, 5, rapid.ID).Draw(t, "packets"))
		slices.Sort(list)
		i.LosePackets = &list
	}
}

func drawImpairments(t *rapid.T, leastMTU int) emulation.Impairments {
	if rapid.Bool().Draw(t, "unimpaired") {
		return emulation.Impairments{}
	}
	i := emulation.Impairments{
		Rate:      emulation.Rate(drawCount(t, mostRate)),
		Delay:     time.Duration(drawCount(t, int64(emulation.MaxDelay))),
		MTU:       rapid.OneOf(rapid.IntRange(leastMTU, maxMTU), rapid.Just(0)).Draw(t, "wire mtu"),
		Duplicate: drawFraction(t),
		Corrupt:   drawFraction(t),
		Blackhole: rapid.Bool().Draw(t, "blackhole"),
	}
	drawLoss(t, &i)
	i.Jitter = time.Duration(rapid.Int64Range(0, int64(i.Delay)).Draw(t, "jitter"))
	if i.Jitter != 0 {
		i.Distribution = rapid.SampledFrom([]emulation.Distribution{emulation.Uniform, emulation.Normal, emulation.Pareto}).Draw(t, "distribution")
	}
	if i.Delay != 0 {
		if i.Reorder.Probability = drawFraction(t); i.Reorder.Probability != 0 {
			i.Reorder.Gap = rapid.IntRange(0, mostPackets).Draw(t, "gap")
		}
	}
	if i.MTU != 0 && rapid.Bool().Draw(t, "icmp") {
		i.TooBig = emulation.TooBigICMP
	}
	if rapid.Bool().Draw(t, "slot") {
		least := rapid.Int64Range(0, int64(time.Second)).Draw(t, "min")
		i.Slot = emulation.Slot{Min: time.Duration(least), Max: time.Duration(least) + time.Millisecond, Packets: rapid.IntRange(0, 9).Draw(t, "burst"), Bytes: 1500}
	}
	if rapid.Bool().Draw(t, "steps") {
		drawSteps(t, &i)
	}
	if i.MeanRate() != 0 {
		i.Queue = drawQueue(t)
		i.Queue.Discipline = rapid.SampledFrom(disciplines()).Draw(t, "discipline")
		if i.Queue == (emulation.Queue{Discipline: emulation.DropHead}) {
			i.Queue.Discipline = emulation.CoDel
		}
		if i.Queue.Discipline == emulation.CoDel && rapid.Bool().Draw(t, "codel") {
			i.Queue.Target, i.Queue.Interval, i.Queue.ECN = time.Millisecond, time.Second, true
		}
		if rapid.Bool().Draw(t, "mark") {
			mark := drawQueue(t)
			i.Queue.Mark = emulation.Limit{Packets: mark.Packets, Bytes: mark.Bytes, Time: mark.Time}
		}
	}
	return i
}

// drawSteps puts a schedule in the place of some values.
func drawSteps(t *rapid.T, i *emulation.Impairments) {
	s := &emulation.Schedule{Columns: emulation.StepColumns(rapid.IntRange(1, 7).Draw(t, "columns"))}
	for n := range rapid.IntRange(1, 3).Draw(t, "steps") {
		step := emulation.Step{At: time.Duration(n) * time.Second}
		if s.Columns&emulation.StepRate != 0 {
			i.Rate = 0
			step.Rate = emulation.Rate(n+1) % 3 * 1e6
		}
		if s.Columns&emulation.StepDelay != 0 {
			i.Delay = 0
			step.Delay = time.Duration(drawCount(t, int64(emulation.MaxDelay)))
		}
		if s.Columns&emulation.StepLoss != 0 {
			i.Loss = 0
			step.Loss = drawFraction(t)
		}
		s.Steps = append(s.Steps, step)
	}
	if len(s.Steps) == 3 || rapid.Bool().Draw(t, "repeat") { // the third is an outage
		s.Period = time.Minute
	}
	i.Steps = s
}

func drawExperiment(t *rapid.T, on Link) *Experiment {
	e := &Experiment{
		From:     on.Endpoints[0],
		To:       on.Endpoints[1],
		Rounds:   rapid.IntRange(1, maxRounds).Draw(t, "rounds"),
		Engines:  []string{"tcp", "mptcp@" + on.Name}[:rapid.IntRange(1, 2).Draw(t, "engines")],
		Workload: drawWorkload(t),
	}
	if rapid.Bool().Draw(t, "choices") {
		e.Engines = append(e.Engines, "tquic:scheduler=ecf:congestion=bbr")
		e.Paths, e.Schedulers, e.Congestions = []string{on.Name}, []string{"minrtt", "ecf"}, []string{"1"}
	}
	return e
}

func drawWorkload(t *rapid.T) Workload {
	w := WorkloadOf(rapid.SampledFrom(Kinds()).Draw(t, "kind"))
	w.Duration = time.Duration(max(1, drawCount(t, mostTime)))
	message := func(name string) int64 { return int64(rapid.IntRange(minMessage, maxMessage).Draw(t, name)) }
	if w.Kind == Handshake {
		w.Parallel = rapid.IntRange(1, maxParallel).Draw(t, "parallel")
		return w
	}
	w.Streams = rapid.IntRange(1, maxStreams).Draw(t, "streams")
	w.Connections = rapid.IntRange(1, maxConnections).Draw(t, "connections")
	switch w.Kind {
	case RPC:
		w.PerSecond, w.Size, w.Response = rapid.IntRange(1, maxPerS).Draw(t, "rate"), message("size"), message("response")
	case CBR:
		w.Size = message("size")
		w.Rate = emulation.Rate(rapid.Int64Range(1, 8*maxPerS*minMessage).Draw(t, "rate"))
		w.Deadline = time.Duration(max(1, drawCount(t, mostTime)))
	case Bulk:
		if rapid.Bool().Draw(t, "bytes") {
			w.Duration, w.Bytes = 0, max(1, drawCount(t, mostBytes))
		}
	}
	return w
}

func TestDiagram(t *testing.T) {
	var text string
	for _, e := range Catalog() {
		topology, err := Loader{}.Find(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		text += e.Name + "\n" + Diagram(topology) + "\n"
	}
	golden(t, "testdata/diagrams.golden", text)
}
