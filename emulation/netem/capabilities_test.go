package netem

import (
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// TestCapabilitiesAreWhole: each feature of the model has one entry, in their order,
// and says why where it is not simply done.
func TestCapabilitiesAreWhole(t *testing.T) {
	var all emulation.Features
	for _, c := range single() {
		if bits.OnesCount32(uint32(c.Features)) != 1 || c.Features <= all {
			t.Errorf("%v is out of order", c.Features)
		}
		all |= c.Features
	}
	if all != emulation.AllFeatures {
		t.Errorf("nothing is said of %v", emulation.AllFeatures.Without(all))
	}
	for _, c := range Capabilities() {
		if c.How == "" && c.Support != Exact {
			t.Errorf("%v: %v without a reason", c.Features, c.Support)
		}
	}
	for _, c := range together() {
		if bits.OnesCount32(uint32(c.Features)) != 2 {
			t.Errorf("%v is no pair", c.Features)
		}
	}
}

// asking is an Impairments for each feature that asks for it, with what it needs.
func asking() map[emulation.Features]emulation.Impairments {
	const ms = time.Millisecond
	list, trace := emulation.PacketList{1}, emulation.Trace{1}
	steps := &emulation.Schedule{Columns: emulation.StepDelay, Steps: []emulation.Step{{Delay: ms}}}
	queue := func(q emulation.Queue) emulation.Impairments { return emulation.Impairments{Rate: 1e6, Queue: q} }
	return map[emulation.Features]emulation.Impairments{
		emulation.FeatureRate:           {Rate: 1e6},
		emulation.FeatureDelay:          {Delay: ms},
		emulation.FeatureJitter:         {Delay: ms, Jitter: ms},
		emulation.FeatureLoss:           {Loss: 0.1},
		emulation.FeatureQueue:          queue(emulation.Queue{Packets: 5}),
		emulation.FeatureMTU:            {MTU: 1400},
		emulation.FeatureTooBig:         {MTU: 1400, TooBig: emulation.TooBigICMP},
		emulation.FeatureGilbertElliott: {GilbertElliott: emulation.GilbertElliott{P: 0.1, R: 0.5}},
		emulation.FeatureFourState:      {FourState: emulation.FourState{P13: 0.1, P31: 0.5}},
		emulation.FeatureLoseEvery:      {LoseEvery: 3},
		emulation.FeatureLosePackets:    {LosePackets: &list},
		emulation.FeatureDuplicate:      {Duplicate: 0.1},
		emulation.FeatureCorrupt:        {Corrupt: 0.1},
		emulation.FeatureReorder:        {Delay: ms, Reorder: emulation.Reorder{Probability: 0.1}},
		emulation.FeatureDistribution:   {Delay: ms, Jitter: ms, Distribution: emulation.Normal},
		emulation.FeatureSlot:           {Slot: emulation.Slot{Max: ms}},
		emulation.FeatureCapacity:       {Capacity: &trace},
		emulation.FeatureSteps:          {Steps: steps},
		emulation.FeatureDropHead:       queue(emulation.Queue{Packets: 5, Discipline: emulation.DropHead}),
		emulation.FeatureCoDel:          queue(emulation.Queue{Discipline: emulation.CoDel}),
		emulation.FeatureMark:           queue(emulation.Queue{Mark: emulation.Limit{Packets: 3}}),
		emulation.FeatureBlackhole:      {Blackhole: true},
	}
}

// TestCheckFollowsCapabilities: what the data say Check does, feature by feature.
func TestCheckFollowsCapabilities(t *testing.T) {
	for _, c := range single() {
		imp, ok := asking()[c.Features]
		if !ok || imp.Features()&c.Features == 0 || imp.Validate() != nil {
			t.Errorf("%v: %+v asks for something else (%v)", c.Features, imp, imp.Validate())
			continue
		}
		err := Check(imp, 1500)
		if (err == nil) == (c.Support == Refused) {
			t.Errorf("%v is %v, Check says %v", c.Features, c.Support, err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.How) || !strings.Contains(err.Error(), "--backend relay")) {
			t.Errorf("%v: %v does not say why, or what else can", c.Features, err)
		}
	}
}

func TestCheck(t *testing.T) {
	const ms = time.Millisecond
	gilbert := emulation.GilbertElliott{P: 0.1, R: 0.5}
	four := emulation.FourState{P13: 0.1, P31: 0.5}
	slot := emulation.Slot{Max: ms, Packets: 1}
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
		mtu  int
		want string // part of the error; "" for none
	}{
		{"nothing", emulation.Impairments{}, 1500, ""},
		{"plain", emulation.Impairments{Rate: 1e9, Delay: time.Second, Jitter: time.Second, Loss: 0.5, Queue: emulation.Queue{Bytes: 1e6}, MTU: 1500}, 1500, ""},
		{"all that it can", emulation.Impairments{
			Rate: 1e9, Delay: time.Second, Jitter: time.Second, Distribution: emulation.Normal, Loss: 0.01, Duplicate: 0.01, Corrupt: 0.01,
			Reorder: emulation.Reorder{Probability: 0.1, Gap: 5}, Slot: slot, Queue: emulation.Queue{Time: ms}, Blackhole: true,
		}, 1500, ""},
		{"chain with loss", emulation.Impairments{GilbertElliott: gilbert, Loss: 0.1}, 1500, ""},
		{"four states with loss", emulation.Impairments{FourState: four, Loss: 0.1}, 1500, "cannot do loss with four-state loss: netem has one loss model"},
		{"chain with copies", emulation.Impairments{GilbertElliott: gilbert, Duplicate: 0.1}, 1500, "cannot do gilbert-elliott loss with duplicate"},
		{"four states with copies", emulation.Impairments{FourState: four, Duplicate: 0.1}, 1500, "cannot do four-state loss with duplicate"},
		{"too many copies", emulation.Impairments{Loss: 0.5, Duplicate: 1}, 1500, "lose and duplicate that much"},
		{"not valid", emulation.Impairments{Delay: -1}, 1500, "negative"},
		{"every reason", emulation.Impairments{LoseEvery: 3, MTU: 1400}, 1500, "cannot do loss of every n-th"},
		{"smaller mtu", emulation.Impairments{MTU: 1400}, 1500, "cannot do mtu"},
		{"larger mtu", emulation.Impairments{MTU: 1600}, 1500, ""},
		{"too big, nothing is", emulation.Impairments{MTU: 1500, TooBig: emulation.TooBigICMP}, 1500, "cannot do icmp too big"},
		{"no mtu", emulation.Impairments{}, 0, "not positive"},
		{"wide jitter", emulation.Impairments{Delay: 3 * time.Second, Jitter: maxJitter + 1}, 1500, "jitter"},
		{"too slow", emulation.Impairments{Rate: 7}, 1500, "starts at 8 bit/s"},
		{"too fast", emulation.Impairments{Rate: unlimitedRate}, 1500, "ends below"},
		{"wide slots", emulation.Impairments{Slot: emulation.Slot{Max: maxSlotRange + 1}}, 1500, "slots vary"},
		{"large slots", emulation.Impairments{Slot: emulation.Slot{Max: ms, Bytes: math.MaxInt32 + 1}}, 1500, "slots vary"},
		{"slots, a delay and a queue", emulation.Impairments{Delay: ms, Slot: slot, Queue: emulation.Queue{Packets: 5}}, 1500, "cannot tell a queue from a delay line"},
		{"long gap", emulation.Impairments{Delay: ms, Reorder: emulation.Reorder{Probability: 1, Gap: math.MaxInt32 + 1}}, 1500, "gap ends"},
		{"long line", emulation.Impairments{Rate: 1e11, Delay: time.Hour}, 1500, "more than netem's limit takes"},
		{"longest line", emulation.Impairments{Rate: 9e11, Delay: math.MaxInt64}, 1500, "is longer than"},
		{"long queue", emulation.Impairments{Rate: 1e9, Queue: emulation.Queue{Packets: math.MaxInt64}}, 1500, "more than netem's limit takes"},
		{"longest queue", emulation.Impairments{Rate: 9e11, Queue: emulation.Queue{Time: math.MaxInt64}}, 1500, "more than netem's limit takes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(c.imp, c.mtu)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("Check: %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestNearly(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name string
		imp  emulation.Impairments
		want []emulation.Features
	}{
		{"nothing", emulation.Impairments{}, nil},
		{"exact", emulation.Impairments{Delay: ms, Loss: 0.1, Duplicate: 0.1}, nil},
		{"slots alone", emulation.Impairments{Slot: emulation.Slot{Max: ms}}, nil},
		{"slots and a delay", emulation.Impairments{Delay: ms, Slot: emulation.Slot{Max: ms}}, []emulation.Features{emulation.FeatureSlot | emulation.FeatureDelay}},
		{"rate and what is refused", emulation.Impairments{Rate: 1e6, LoseEvery: 3}, []emulation.Features{emulation.FeatureRate}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []emulation.Features
			for _, n := range Nearly(c.imp) {
				got = append(got, n.Features)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestSteady takes the steps one by one.
func TestSteady(t *testing.T) {
	const ms = time.Millisecond
	steps := func(rates ...emulation.Rate) *emulation.Schedule {
		s := &emulation.Schedule{Columns: emulation.StepRate | emulation.StepLoss}
		for i, r := range rates {
			s.Steps = append(s.Steps, emulation.Step{At: time.Duration(i) * time.Second, Rate: r, Loss: 0.25})
		}
		s.Period = time.Duration(len(rates)) * time.Second
		return s
	}
	imp := emulation.Impairments{Delay: 5 * ms, Queue: emulation.Queue{Time: 80 * ms}, Steps: steps(4e6, 12e6)}
	if err := CheckSteps(imp, 1500); err != nil {
		t.Fatal(err)
	}
	got, err := Steady(imp, imp.Steps.Steps[1])
	want := emulation.Impairments{Rate: 12e6, Delay: 5 * ms, Loss: 0.25, Queue: emulation.Queue{Bytes: 80_000}} // at the mean, 8 Mbit/s
	if err != nil || got != want {
		t.Errorf("Steady: %+v, %v, want %+v", got, err, want)
	}
	if imp.Steps == nil {
		t.Error("the steps that were lent are gone")
	}
	if got, err := Steady(want, emulation.Step{Rate: 1}); err != nil || got != want {
		t.Errorf("without steps: %+v, %v", got, err)
	}
	for name, bad := range map[string]emulation.Impairments{
		"end of an outage":   {Steps: steps(4e6, 0)},
		"starts at 8 bit/s":  {Steps: steps(4e6, 7)},
		"exceeds the delay":  {Jitter: 6 * ms, Steps: &emulation.Schedule{Columns: emulation.StepDelay, Steps: []emulation.Step{{Delay: 5 * ms}}}},
		"loss of every n-th": {LoseEvery: 2, Steps: steps(4e6)},
		"starts at 1s":       {Steps: &emulation.Schedule{Columns: emulation.StepLoss, Steps: []emulation.Step{{At: time.Second}}}},
	} {
		if err := CheckSteps(bad, 1500); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("CheckSteps: %v, want %q in it", err, name)
		}
	}
	if err := CheckSteps(emulation.Impairments{LoseEvery: 2}, 1500); err == nil {
		t.Error("CheckSteps without steps checks nothing")
	}
	if !slices.ContainsFunc(Capabilities(), func(c Capability) bool { return c.Features == emulation.FeatureSteps }) {
		t.Error("nothing is said of steps")
	}
}
