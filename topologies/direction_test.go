package topologies

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

// TestDirections: each spelling and what it comes to.
func TestDirections(t *testing.T) {
	ms := time.Millisecond
	for text, want := range map[string]emulation.Impairments{
		"jitter: 5ms, delay: 9ms":                                {Delay: 9 * ms, Jitter: 5 * ms},
		"jitter: {width: 5ms}, delay: 9ms":                       {Delay: 9 * ms, Jitter: 5 * ms},
		"jitter: {width: 5ms, distribution: normal}, delay: 9ms": {Delay: 9 * ms, Jitter: 5 * ms, Distribution: emulation.Normal},
		"jitter: {width: 5ms, distribution: pareto}, delay: 9ms": {Delay: 9 * ms, Jitter: 5 * ms, Distribution: emulation.Pareto},
		"loss: 0.1%":           {Loss: 0.001},
		"loss: {random: 0.1%}": {Loss: 0.001},
		"loss: {gilbert-elliott: {p: 1%, r: 20%}}":                           {GilbertElliott: emulation.GilbertElliott{P: 0.01, R: 0.2, H: 0, K: 1}},
		"loss: {gilbert-elliott: {p: 1%, r: 20%, h: 30%, k: 99%}}":           {GilbertElliott: emulation.GilbertElliott{P: 0.01, R: 0.2, H: 0.3, K: 0.99}},
		"loss: {gilbert-elliott: none, four-state: none, every: none}":       {},
		"loss: {four-state: {p13: 1%, p31: 20%}}":                            {FourState: emulation.FourState{P13: 0.01, P31: 0.2, P23: 1}},
		"loss: {four-state: {p13: 1%, p31: 20%, p32: 3%, p23: 4%, p14: 5%}}": {FourState: emulation.FourState{P13: 0.01, P31: 0.2, P32: 0.03, P23: 0.04, P14: 0.05}},
		"loss: {every: 100, packets: [1, 3, 15], random: 1%}":                {Loss: 0.01, LoseEvery: 100, LosePackets: &emulation.PacketList{1, 3, 15}},
		"duplicate: 1%, corrupt: 2%":                                         {Duplicate: 0.01, Corrupt: 0.02},
		"delay: 9ms, reorder: 1%":                                            {Delay: 9 * ms, Reorder: emulation.Reorder{Probability: 0.01}},
		"delay: 9ms, reorder: {probability: 1%, gap: 5}":                     {Delay: 9 * ms, Reorder: emulation.Reorder{Probability: 0.01, Gap: 5}},

		"slot: {max: 5ms}": {Slot: emulation.Slot{Max: 5 * ms}},
		"slot: {min: 2ms, max: 5ms, packets: 40, bytes: 64KB}":        {Slot: emulation.Slot{Min: 2 * ms, Max: 5 * ms, Packets: 40, Bytes: 64000}},
		"slot: {max: 5ms, packets: any, bytes: any}, queue: 5packets": {Slot: emulation.Slot{Max: 5 * ms}, Queue: emulation.Queue{Packets: 5}},
		"rate: 1mbit, queue: 100ms":                                   {Rate: 1e6, Queue: emulation.Queue{Time: 100 * ms}},
		"rate: 1mbit, queue: {limit: 64KB, discipline: drop-head}":    {Rate: 1e6, Queue: emulation.Queue{Bytes: 64000, Discipline: emulation.DropHead}},

		"rate: 1mbit, queue: {discipline: codel, target: 1ms, interval: 9ms, ecn: true, mark: 20packets}": {Rate: 1e6, Queue: emulation.Queue{
			Discipline: emulation.CoDel, Target: ms, Interval: 9 * ms, ECN: true, Mark: emulation.Limit{Packets: 20},
		}},
		"rate: 1mbit, queue: {mark: 5ms}":         {Rate: 1e6, Queue: emulation.Queue{Mark: emulation.Limit{Time: 5 * ms}}},
		"mtu: 1400":                               {MTU: 1400},
		"mtu: any":                                {},
		"mtu: {size: 1400, too-big: icmp}":        {MTU: 1400, TooBig: emulation.TooBigICMP},
		"mtu: {size: 1400, too-big: silent}":      {MTU: 1400},
		"blackhole: true":                         {Blackhole: true},
		"capacity: none, steps: none, slot: none": {},
		"steps: [{at: 0s, rate: 1mbit, delay: 5ms}, {at: 2s, rate: none}, {at: 3s, rate: 2mbit, delay: 6ms}]": {Steps: &emulation.Schedule{
			Columns: emulation.StepRate | emulation.StepDelay,
			Steps:   []emulation.Step{{Rate: 1e6, Delay: 5 * ms}, {At: 2 * time.Second, Delay: 5 * ms}, {At: 3 * time.Second, Rate: 2e6, Delay: 6 * ms}},
		}},
		"steps: {list: [{at: 0s, loss: 1%}, {at: 2s, loss: 0%}], repeat: true}, rate: 1mbit": {Rate: 1e6, Steps: &emulation.Schedule{
			Columns: emulation.StepLoss, Period: 4 * time.Second, Steps: []emulation.Step{{Loss: 0.01}, {At: 2 * time.Second}},
		}},
	} {
		topology := mustParse(t, "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: x, endpoints: [a, b], up: {"+text+"}}]\n")
		if diff := cmp.Diff(want, topology.Links[0].Up); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// TestDirectionsOverProfile: a key replaces what the profile has for it, whole, and
// what the new value excludes.
func TestDirectionsOverProfile(t *testing.T) {
	profile := func(name string) emulation.Impairments {
		for _, p := range Profiles() {
			if p.Name == name {
				return p.Down
			}
		}
		t.Fatal(name)
		return emulation.Impairments{}
	}
	for _, tt := range []struct {
		profile, text string
		change        func(*emulation.Impairments)
	}{
		{"wifi-busy", "slot: none", func(i *emulation.Impairments) { i.Slot = emulation.Slot{} }},
		{"wifi-busy", "slot: {max: 1ms}", func(i *emulation.Impairments) { i.Slot = emulation.Slot{Max: time.Millisecond} }},
		{"wifi-busy", "loss: {every: 5}", func(i *emulation.Impairments) { i.Loss, i.LoseEvery = 0, 5 }},
		{"lte-driving", "rate: 5mbit", func(i *emulation.Impairments) { i.Capacity, i.Rate = nil, 5e6 }},
		{"starlink", "rate: 5mbit", func(i *emulation.Impairments) { i.Steps, i.Rate = nil, 5e6 }},
		{"starlink", "steps: [{at: 0s, rate: 5mbit}]", func(i *emulation.Impairments) {
			i.Steps = &emulation.Schedule{Columns: emulation.StepRate, Steps: []emulation.Step{{Rate: 5e6}}}
		}},
		{"lte", "steps: [{at: 0s, rate: 5mbit}]", func(i *emulation.Impairments) {
			i.Rate, i.Steps = 0, &emulation.Schedule{Columns: emulation.StepRate, Steps: []emulation.Step{{Rate: 5e6}}}
		}},
		{"lte", "steps: [{at: 0s, loss: 5%}]", func(i *emulation.Impairments) {
			i.Loss, i.Steps = 0, &emulation.Schedule{Columns: emulation.StepLoss, Steps: []emulation.Step{{Loss: 0.05}}}
		}},
	} {
		want := profile(tt.profile)
		tt.change(&want)
		topology := mustParse(t, "name: lab\nnodes: {a: {}, b: {}}\nlinks: [{name: "+tt.profile+", endpoints: [a, b], profile: "+tt.profile+", down: {"+tt.text+"}}]\n")
		if diff := cmp.Diff(want, topology.Links[0].Down, prefixes()); diff != "" {
			t.Errorf("%s, %s (-want +got):\n%s", tt.profile, tt.text, diff)
		}
		if again := mustParse(t, Show(topology)); !cmp.Equal(topology, again, prefixes()) {
			t.Errorf("%s, %s: Show loses something:\n%s", tt.profile, tt.text, Show(topology))
		}
	}
}
