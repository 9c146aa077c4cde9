package topologies

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

// withEvents is a topology for events: two links, the second one outside of a NAT.
func withEvents(events string) string {
	return "name: lab\nnodes: {a: {}, home: {kind: nat, inside: [lte]}, b: {}}\nlinks:\n" +
		"  - {name: lte, endpoints: [a, home], profile: lte}\n  - {name: lan, endpoints: [home, b]}\n  - {name: idle, endpoints: [a, home]}\nevents:\n" + events
}

func TestEvents(t *testing.T) {
	ms := time.Millisecond
	loss := func(p float64) emulation.Patch {
		return emulation.Patch{Fields: lossFields, Values: emulation.Impairments{Loss: p}}
	}
	for _, tt := range []struct {
		name, text string
		want       []Event
	}{
		{"both ways", "{at: 5s, link: lte, set: {loss: 1%}}", []Event{{At: 5 * time.Second, Kind: EventSet, Link: "lte", Set: loss(0.01)}}},
		{"one way", "{at: 5s, link: lte, way: up, set: {loss: 1%}}", []Event{{At: 5 * time.Second, Kind: EventSet, Link: "lte", Way: "up", Set: loss(0.01)}}},
		{"each way", "{at: 5s, link: lte, set: {duplicate: 1%, down: {loss: 2%}, up: {delay: 9ms}}}", []Event{
			{At: 5 * time.Second, Kind: EventSet, Link: "lte", Set: emulation.Patch{Fields: emulation.FieldDuplicate, Values: emulation.Impairments{Duplicate: 0.01}}},
			{At: 5 * time.Second, Kind: EventSet, Link: "lte", Way: "up", Set: emulation.Patch{Fields: emulation.FieldDelay, Values: emulation.Impairments{Delay: 9 * ms}}},
			{At: 5 * time.Second, Kind: EventSet, Link: "lte", Way: "down", Set: loss(0.02)},
		}},
		{"ramp", "{at: 5s, every: 9s, times: 3, ramp: 2s, link: lte, set: {loss: 1%, rate: 1mbit}}", []Event{{
			At: 5 * time.Second, Every: 9 * time.Second, Times: 3, Kind: EventSet, Link: "lte", Ramp: 2 * time.Second,
			Set: emulation.Patch{Fields: emulation.FieldRate | emulation.FieldLoss, Values: emulation.Impairments{Rate: 1e6, Loss: 0.01}},
		}}},
		{"down for a time", "{at: 5s, every: 30s, link: lan, down: 2s}", []Event{{At: 5 * time.Second, Every: 30 * time.Second, Kind: EventDown, Link: "lan", For: 2 * time.Second}}},
		{"down, for", "{at: 5s, link: lan, down: true, for: 2s}", []Event{{At: 5 * time.Second, Kind: EventDown, Link: "lan", For: 2 * time.Second}}},
		{"down", "{at: 0s, link: lan, down: true}", []Event{{Kind: EventDown, Link: "lan"}}},
		{"up", "{at: 5s, link: lan, up: true}", []Event{{At: 5 * time.Second, Kind: EventUp, Link: "lan"}}},
		{"blackhole", "{at: 5s, link: lan, way: down, blackhole: 500ms}", []Event{{At: 5 * time.Second, Kind: EventBlackhole, Link: "lan", Way: "down", For: 500 * ms}}},
		{"through", "{at: 5s, link: lan, through: true}", []Event{{At: 5 * time.Second, Kind: EventThrough, Link: "lan"}}},
		{"rebind", "{at: 5s, node: home, rebind: true}", []Event{{At: 5 * time.Second, Kind: EventRebind, Node: "home"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			topology := mustParse(t, withEvents("  - "+tt.text+"\n"))
			if diff := cmp.Diff(tt.want, topology.Events); diff != "" {
				t.Error(diff)
			}
			for _, l := range topology.Links {
				if want := l.Name == tt.want[0].Link; l.Wired != want || l.Name == "lan" && l.Impaired() != want {
					t.Errorf("link %s: wired %t, impaired %t", l.Name, l.Wired, l.Impaired())
				}
			}
			if again := mustParse(t, Show(topology)); !cmp.Equal(topology, again, prefixes()) {
				t.Errorf("Show loses something:\n%s", Show(topology))
			}
		})
	}
}

// TestEventTraces: a trace that an event brings is recorded with its place, and shown.
func TestEventTraces(t *testing.T) {
	topology := mustParse(t, withEvents(`
  - {at: 1s, link: lte, set: {loss: 1%}}
  - {at: 2s, link: lte, set: {capacity: {generate: lte, duration: 2s}, down: {capacity: {generate: 5g, duration: 2s}}}}
  - {at: 9s, link: lte, set: {rate: 5mbit, steps: [{at: 0s, delay: 40ms}]}}
`))
	var got []string
	for _, f := range topology.Traces {
		got = append(got, strings.Join([]string{f.Link, f.Direction, topology.Events[f.Event-1].Set.Fields.String()}, "/"))
	}
	if diff := cmp.Diff([]string{"lte//capacity", "lte/down/capacity"}, got); diff != "" {
		t.Error(diff)
	}
	if again := mustParse(t, Show(topology)); !cmp.Equal(topology, again, prefixes()) {
		t.Errorf("Show loses something:\n%s", Show(topology))
	}
}

// TestStart: the words, and that the default leaves no trace in the result.
func TestStart(t *testing.T) {
	base := "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b]}]\n"
	hash := mustParse(t, base).Hash()
	for text, want := range map[string]Start{"first-packet": StartFirstPacket, "up": StartUp, "manual": StartManual} {
		got := mustParse(t, "start: "+text+"\n"+base)
		if got.Start != want || (got.Hash() == hash) != (want == StartFirstPacket) {
			t.Errorf("%s: start %q", text, got.Start)
		}
	}
}

// FuzzEvents: any list of events gives a topology that can be played and that Show
// preserves, or problems.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{
		"  - {at: 5s, link: lte, set: {down: {rate: 2mbit}}}\n  - {at: 10s, ramp: 3s, link: lte, set: {rate: 40mbit}}\n",
		"  - {at: 20s, every: 30s, times: 2, link: lan, down: 2s}\n  - {at: 3s, link: lan, blackhole: 500ms}\n",
		"  - {at: 8s, node: home, rebind: true}\n", "  - {at: 1s, link: lte, set: {jitter: 40ms}}\n", "  []\n", "  - {}\n",
		"  - {at: 1440m, every: 1440m, link: lte, ramp: 1440m, set: {loss: 100%}}\n", "  - at: 1s\n    link: lte\n    up: true\n",
		"  - {at: 1s, link: lte, set: {steps: [{at: 0s, rate: none}, {at: 1s, rate: 1mbit}], queue: unlimited}}\n",
		"  - {at: 1s, link: lan, set: {slot: {max: 1ms}, mtu: {size: 1400, too-big: icmp}, blackhole: true}}\n",
		"  - {at: 1s, link: lte, set: {capacity: {generate: lte, duration: 1s}}}\n  - {at: 1s, link: lte, set: {queue: {discipline: codel}}}\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		data := []byte(withEvents(text))
		topology, err := Loader{}.Parse("fuzz.yaml", data)
		if err != nil {
			problems, ok := errors.AsType[Problems](err)
			if !ok || len(problems) == 0 {
				t.Fatalf("error is %v, want Problems", err)
			}
			checkProblems(t, data, problems)
			return
		}
		checkSound(t, topology)
		again, err := Loader{}.Parse("shown.yaml", []byte(Show(topology)))
		if err != nil {
			t.Fatalf("what Show prints is refused: %v\n%s", err, Show(topology))
		}
		if diff := cmp.Diff(topology, again, prefixes()); diff != "" {
			t.Errorf("Show loses something (-before +after):\n%s", diff)
		}
	})
}
