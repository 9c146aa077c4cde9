package emulation

import (
	"encoding/json"
	"math/bits"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything has each feature; not all go together.
func everything() Impairments {
	return Impairments{
		Rate: mbit, Delay: ms, Jitter: ms, Loss: 0.1, MTU: 1400, TooBig: TooBigICMP,
		Queue: Queue{
			Time: ms, Discipline: CoDel, Target: ms, Interval: 10 * ms, ECN: true, Mark: Limit{Packets: 3},
		},
		GilbertElliott: GilbertElliott{0.1, 0.2, 0.3, 0.4}, FourState: FourState{0.1, 0.2, 0.3, 0.4, 0.5},
		LoseEvery: 3, LosePackets: &PacketList{1, 2},
		Duplicate: 0.1, Corrupt: 0.2, Reorder: Reorder{0.3, 4},
		Distribution: Empirical, JitterTable: &Table{1, 2}, Slot: Slot{1, 2, 3, 4},
		Capacity: &Trace{1, 2}, Steps: &Schedule{Columns: StepLoss, Steps: []Step{{Loss: 0.1}}},
	}
}

func TestJSONKeepsEverything(t *testing.T) {
	want := everything()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Impairments
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got.SameAs(want) || got.SameAs(Impairments{}) || got == want {
		t.Error("SameAs does not look at the contents")
	}
	got.Steps.Steps[0].Loss = 0.2
	if got.SameAs(want) {
		t.Error("SameAs overlooks another schedule")
	}
	if data, err := json.Marshal(Impairments{}); err != nil || string(data) != "{}" {
		t.Errorf("the zero value is %s (%v), want {}", data, err)
	}
	for _, text := range []string{`{"queue":{"discipline":"red"}}`, `{"jitter_distribution":"gauss"}`, `{"too_big":"shout"}`} {
		if err := json.Unmarshal([]byte(text), &got); err == nil || !strings.Contains(err.Error(), "want one of") {
			t.Errorf("%s: got %v, want it refused", text, err)
		}
	}
	if _, err := json.Marshal(Impairments{TooBig: 9}); err == nil {
		t.Error("a value that there is not was written")
	}
}

func TestFeatures(t *testing.T) {
	if f := (Impairments{}).Features(); f != 0 || f.String() != "none" {
		t.Errorf("the zero value asks for %v", f)
	}
	head := Impairments{Queue: Queue{Discipline: DropHead}, Blackhole: true}
	if got := everything().Features() | head.Features(); got != AllFeatures {
		t.Errorf("missing %v", AllFeatures.Without(got))
	}
	if n := bits.OnesCount32(uint32(AllFeatures)); n != len(featureNames) {
		t.Errorf("%d features have %d names", n, len(featureNames))
	}
	plain := Impairments{Rate: mbit, Delay: ms, Jitter: ms, Loss: 0.1, Queue: Queue{Time: ms}, MTU: 1}
	if got := plain.Features(); got != PlainFeatures {
		t.Errorf("plain impairments ask for %v", got)
	}
	if got := (FeatureCoDel | FeatureSlot | FeatureRate).Without(PlainFeatures).String(); got != "slot, codel" {
		t.Errorf("got %q, want slot, codel", got)
	}
}

func TestValidateNewStages(t *testing.T) {
	late := &Schedule{Columns: StepRate | StepDelay | StepLoss, Steps: []Step{{Rate: 1}}}
	for _, tc := range []struct {
		name string
		imp  Impairments
		want string
	}{
		{"gilbert-elliott", Impairments{GilbertElliott: GilbertElliott{P: 1.5}}, "gilbert-elliott p 1.5 is not a probability"},
		{"four-state sum", Impairments{FourState: FourState{P13: 0.6, P14: 0.6}}, "p13+p14"},
		{"two chains", Impairments{GilbertElliott: GilbertElliott{K: 1}, FourState: FourState{P13: 1}}, "both"},
		{"every", Impairments{LoseEvery: -1}, "lose every -1"},
		{"no list", Impairments{LosePackets: &PacketList{}}, "empty"},
		{"packet 0", Impairments{LosePackets: &PacketList{0}}, "packet 0"},
		{"list order", Impairments{LosePackets: &PacketList{2, 2}}, "ascend"},
		{"duplicate", Impairments{Duplicate: -1}, "duplicate -1"},
		{"corrupt", Impairments{Corrupt: 2}, "corrupt 2"},
		{"reorder", Impairments{Delay: ms, Reorder: Reorder{Probability: 2}}, "reorder 2"},
		{"reorder without delay", Impairments{Reorder: Reorder{Probability: 1}}, "needs a delay"},
		{"gap alone", Impairments{Reorder: Reorder{Gap: 1}}, "needs a probability"},
		{"negative gap", Impairments{Reorder: Reorder{Gap: -1}}, "gap -1"},
		{"distribution alone", Impairments{Distribution: Normal}, "needs a jitter"},
		{"no distribution", Impairments{Delay: ms, Jitter: ms, Distribution: 9}, "no distribution 9"},
		{"table alone", Impairments{JitterTable: &Table{1}}, "need each other"},
		{"no table", Impairments{Delay: ms, Jitter: ms, Distribution: Empirical}, "need each other"},
		{"empty table", Impairments{Delay: ms, Jitter: ms, Distribution: Empirical, JitterTable: &Table{}}, "has 0 values"},
		{"slot order", Impairments{Slot: Slot{Min: 2, Max: 1}}, "slot from"},
		{"slot without time", Impairments{Slot: Slot{Packets: 1}}, "slot from"},
		{"slot packets", Impairments{Slot: Slot{Max: 1, Packets: -1}}, "negative"},
		{"trace and rate", Impairments{Rate: 1, Capacity: &Trace{1}}, "more than one of rate"},
		{"bad trace", Impairments{Capacity: &Trace{}}, "empty"},
		{"steps and rate", Impairments{Rate: 1, Steps: late}, "more than one of rate"},
		{"steps and delay", Impairments{Delay: 1, Steps: late}, "steps of the delay"},
		{"steps and loss", Impairments{Loss: 1, Steps: late}, "steps of the loss"},
		{"bad steps", Impairments{Steps: &Schedule{}}, "0 steps"},
		{"icmp alone", Impairments{TooBig: TooBigICMP}, "needs an mtu"},
		{"no such way", Impairments{TooBig: 7}, "no way 7"},
		{"discipline", Impairments{Rate: 1, Queue: Queue{Discipline: 7}}, "no discipline 7"},
		{"codel without rate", Impairments{Queue: Queue{Discipline: CoDel}}, "needs a rate"},
		{"drop-head without limit", Impairments{Rate: 1, Queue: Queue{Discipline: DropHead}}, "needs a limit"},
		{"target of drop-tail", Impairments{Rate: 1, Queue: Queue{Target: ms}}, "are CoDel's"},
		{"negative interval", Impairments{Rate: 1, Queue: Queue{Discipline: CoDel, Interval: -1}}, "must lie within"},
		{"two marks", Impairments{Rate: 1, Queue: Queue{Mark: Limit{Packets: 1, Bytes: 1}}}, "queue mark has more"},
		{"time without rate", Impairments{Slot: Slot{Max: 1}, Queue: Queue{Time: ms}}, "in time needs a rate"},
	} {
		if _, err := NewDirection(tc.imp, Seed{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

// With every stage at work, too, nothing is allocated for a packet.
func TestAllStagesDoNotAllocate(t *testing.T) {
	trace := make(Trace, 1000)
	for i := range trace {
		trace[i] = uint32(i + 1)
	}
	base := Impairments{
		Delay: 20 * ms, Jitter: ms, Distribution: Normal, MTU: 1400, TooBig: TooBigICMP, Loss: 0.01,
		GilbertElliott: GilbertElliott{0.01, 0.3, 0, 1}, LoseEvery: 100, LosePackets: &PacketList{1, 5000},
		Duplicate: 0.1, Corrupt: 0.1, Reorder: Reorder{0.1, 3}, Slot: Slot{ms, 3 * ms, 10, 0},
	}
	byTrace, bySteps, head := base, base, base
	byTrace.Capacity, byTrace.Queue = &trace, Queue{Packets: 50, Discipline: CoDel, ECN: true, Mark: Limit{Packets: 10}}
	bySteps.Steps = &Schedule{Columns: StepRate, Steps: []Step{{Rate: 10 * mbit}, {At: ms, Rate: mbit}}, Period: 3 * ms}
	bySteps.FourState, bySteps.GilbertElliott = FourState{0.1, 0.5, 0.1, 0.5, 0.1}, GilbertElliott{}
	bySteps.Queue.Bytes = 20_000
	head.Rate, head.Queue = 10*mbit, Queue{Packets: 10, Discipline: DropHead}
	for name, imp := range map[string]Impairments{"trace and CoDel": byTrace, "steps": bySteps, "drop-head": head} {
		d, err := NewDirection(imp, Seed{})
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, frame)
		now, n := Time(0), 0
		step := func() {
			now, n = now.Add(ms/2), n+1
			d.Enqueue(now, Packet{Size: frame, IPSize: 1300 + n%3*60, Data: data, ECN: ECN(n % 4)})
			for _, _, ok := d.Dequeue(now); ok; _, _, ok = d.Dequeue(now) {
			}
			for _, ok := d.Discarded(); ok; _, ok = d.Discarded() {
			}
		}
		for range 5000 {
			step()
		}
		if n := testing.AllocsPerRun(5000, step); n != 0 {
			t.Errorf("%s: %v allocations per packet, want 0", name, n)
		}
	}
}
