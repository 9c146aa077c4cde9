package emulation

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// play returns what a player says up to a time, a line a change: "at rate delay loss".
func play(base Impairments, t Timeline, until time.Duration) []string {
	var lines []string
	for p := NewPlayer(base, t); ; {
		at, ok := p.Next()
		if !ok || at > until {
			return lines
		}
		got, imp, ok := p.Step()
		if !ok || got != at {
			return append(lines, fmt.Sprintf("Step came at %v, Next said %v", got, at))
		}
		lines = append(lines, fmt.Sprintf("%v %d %v %.3f", at, imp.Rate, imp.Delay, imp.Loss))
	}
}

func rateOf(r Rate) Patch    { return Patch{Fields: FieldRate, Values: Impairments{Rate: r}} }
func lossOf(p float64) Patch { return Patch{Fields: FieldLoss, Values: Impairments{Loss: p}} }
func delayOf(d time.Duration) Patch {
	return Patch{Fields: FieldDelay, Values: Impairments{Delay: d}}
}

func TestPlayer(t *testing.T) {
	base := Impairments{Rate: 100, Delay: time.Second}
	for _, tt := range []struct {
		name     string
		timeline Timeline
		until    time.Duration
		want     []string
	}{
		{"nothing", nil, time.Hour, nil},
		{"in order of time, whatever the order of the list", Timeline{
			{At: 2 * time.Second, Patch: rateOf(2)}, {At: time.Second, Patch: rateOf(1)},
		}, time.Hour, []string{"1s 1 1s 0.000", "2s 2 1s 0.000"}},
		{"at one instant in the order of the list", Timeline{
			{At: time.Second, Patch: rateOf(2)}, {At: time.Second, Patch: rateOf(1)},
		}, time.Hour, []string{"1s 2 1s 0.000", "1s 1 1s 0.000"}},
		{"again and again, a number of times", Timeline{
			{At: time.Second, Every: 3 * time.Second, Times: 2, Patch: lossOf(1)},
			{At: 2 * time.Second, Every: 3 * time.Second, Times: 2, Patch: lossOf(0)},
		}, time.Hour, []string{"1s 100 1s 1.000", "2s 100 1s 0.000", "4s 100 1s 1.000", "5s 100 1s 0.000"}},
		{
			"without end",
			Timeline{{Every: time.Minute, Patch: rateOf(7)}},
			2 * time.Minute,
			[]string{"0s 7 1s 0.000", "1m0s 7 1s 0.000", "2m0s 7 1s 0.000"},
		},
		{"a ramp ends exactly, with a short last step", Timeline{
			{At: time.Second, Ramp: 25 * time.Millisecond, Patch: rateOf(200).And(delayOf(500 * time.Millisecond))},
		}, time.Hour, []string{
			"1s 100 1s 0.000", "1.01s 140 800ms 0.000", "1.02s 180 600ms 0.000", "1.025s 200 500ms 0.000",
		}},
		{"a change ends the ramp of its field", Timeline{
			{Ramp: 30 * time.Millisecond, Patch: rateOf(400)}, {At: 15 * time.Millisecond, Patch: rateOf(9)},
		}, time.Hour, []string{"0s 100 1s 0.000", "10ms 200 1s 0.000", "15ms 9 1s 0.000"}},
		{"and no other", Timeline{
			{Ramp: 20 * time.Millisecond, Patch: rateOf(300)}, {At: 15 * time.Millisecond, Patch: lossOf(1)},
		}, time.Hour, []string{"0s 100 1s 0.000", "10ms 200 1s 0.000", "15ms 200 1s 1.000", "20ms 300 1s 1.000"}},
		{"a ramp from no limit jumps at its end", Timeline{
			{Patch: rateOf(0)}, {At: time.Second, Ramp: 20 * time.Millisecond, Patch: rateOf(5)},
		}, time.Hour, []string{"0s 0 1s 0.000", "1s 0 1s 0.000", "1.01s 0 1s 0.000", "1.02s 5 1s 0.000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.timeline.Validate(base); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, play(base, tt.timeline, tt.until)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlayerPatch(t *testing.T) {
	p := NewPlayer(Impairments{Rate: 100}, Timeline{
		{Ramp: 20 * time.Millisecond, Patch: rateOf(300)}, {At: time.Second, Patch: lossOf(0.5)},
	})
	p.Step()
	if got, want := p.Patch(rateOf(7).And(lossOf(1))), (Impairments{Rate: 7, Loss: 1}); !got.SameAs(want) {
		t.Errorf("after the patch: %+v, want %+v", got, want)
	}
	at, imp, _ := p.Step()
	if want := (Impairments{Rate: 7, Loss: 0.5}); at != time.Second || !imp.SameAs(want) {
		t.Errorf("next: at %v %+v, want at 1s %+v: the ramp has ended, the timeline goes on", at, imp, want)
	}
}

func TestTimelineValidate(t *testing.T) {
	base := Impairments{Rate: 100, Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond}
	for _, tt := range []struct {
		name, want string
		change     Change
	}{
		{"before the start", "time -1ns", Change{At: -1, Patch: rateOf(1)}},
		{"too late", "time 744h0m0.000000001s", Change{At: MaxTimeline + 1, Patch: rateOf(1)}},
		{"too often", "every 1µs", Change{Every: time.Microsecond, Patch: rateOf(1)}},
		{"a number of times without a time", "3 times", Change{Times: 3, Patch: rateOf(1)}},
		{"nothing", "changes nothing", Change{}},
		{"unknown field", "changes nothing", Change{Patch: Patch{Fields: endOfFields}}},
		{"ramp beyond the next", "ramp 2s", Change{Every: time.Second, Ramp: 2 * time.Second, Patch: rateOf(1)}},
		{"ramp through what has no between", "through queue", Change{Ramp: time.Second, Patch: Patch{Fields: FieldQueue}}},
		{"what the model refuses", "jitter 5ms exceeds the delay 1ms", Change{At: time.Second, Patch: delayOf(time.Millisecond)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Timeline{tt.change}.Validate(base)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestWithExcludes(t *testing.T) {
	trace := &Trace{1, 2}
	steps := &Schedule{Columns: StepRate | StepLoss, Steps: []Step{{Rate: 5, Loss: 1}}}
	lossOnly := &Schedule{Columns: StepLoss, Steps: steps.Steps}
	for _, tt := range []struct {
		name  string
		base  Impairments
		patch Patch
		want  Impairments
	}{
		{"a rate takes a trace's place", Impairments{Capacity: trace}, rateOf(9), Impairments{Rate: 9}},
		{"a trace takes a rate's place", Impairments{Rate: 9}, Patch{FieldCapacity, Impairments{Capacity: trace}}, Impairments{Capacity: trace}},
		{"no trace leaves the rate", Impairments{Rate: 9}, Patch{Fields: FieldCapacity}, Impairments{Rate: 9}},
		{"a rate takes that of a schedule", Impairments{Steps: steps}, rateOf(9), Impairments{Rate: 9, Steps: lossOnly}},
		{"a loss takes the last column", Impairments{Steps: lossOnly}, lossOf(0.5), Impairments{Loss: 0.5}},
		{"a schedule takes what it sets", Impairments{Rate: 9, Loss: 1, Delay: 3}, Patch{FieldSteps, Impairments{Steps: steps}}, Impairments{Delay: 3, Steps: steps}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.base.With(tt.patch); !got.SameAs(tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	if steps.Columns != StepRate|StepLoss {
		t.Error("the schedule that others share has changed")
	}
}

// TestWithSetsEachField holds the list of fields against Impairments: a patch of all
// fields makes anything into its values, and so do patches of one field each.
func TestWithSetsEachField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := drawPatched(t, "from"), drawPatched(t, "to")
		if got := from.With(Patch{AllFields, to}); !got.SameAs(to) {
			t.Fatalf("all fields of %+v over %+v: %+v", to, from, got)
		}
		step := from
		for bit := Fields(1); bit < endOfFields; bit <<= 1 {
			const exclusive = FieldRate | FieldDelay | FieldLoss | FieldCapacity
			if same := from.With(Patch{bit, from}); bit&exclusive == 0 && !same.SameAs(from) {
				t.Fatalf("field %v of %+v over itself: %+v", bit, from, same)
			}
			step = step.With(Patch{bit, to})
		}
		if !step.SameAs(to) {
			t.Fatalf("field by field of %+v over %+v: %+v", to, from, step)
		}
	})
}

// drawPatched draws one field's worth of each kind that does not exclude others.
func drawPatched(t *rapid.T, label string) Impairments {
	imp := Impairments{
		Delay: time.Duration(rapid.IntRange(0, 9).Draw(t, label+" delay")), Loss: rapid.Float64Range(0, 1).Draw(t, label+" loss"),
		Jitter: time.Duration(rapid.IntRange(0, 9).Draw(t, label+" jitter")), MTU: rapid.IntRange(0, 3).Draw(t, label+" mtu"),
		LoseEvery: rapid.IntRange(0, 3).Draw(t, label+" every"), Duplicate: rapid.Float64Range(0, 1).Draw(t, label+" duplicate"),
		Corrupt: rapid.Float64Range(0, 1).Draw(t, label+" corrupt"), Blackhole: rapid.Bool().Draw(t, label+" blackhole"),
		Queue: Queue{Packets: rapid.IntRange(0, 3).Draw(t, label+" queue")}, Reorder: Reorder{Gap: rapid.IntRange(0, 3).Draw(t, label+" reorder")},
		GilbertElliott: GilbertElliott{P: rapid.Float64Range(0, 1).Draw(t, label+" ge")}, FourState: FourState{P13: rapid.Float64Range(0, 1).Draw(t, label+" 4")},
		Slot: Slot{Packets: rapid.IntRange(0, 3).Draw(t, label+" slot")}, TooBig: TooBig(rapid.IntRange(0, 1).Draw(t, label+" too big")),
	}
	if rapid.Bool().Draw(t, label+" traced") {
		imp.Capacity = &Trace{1}
	} else {
		imp.Rate = Rate(rapid.IntRange(0, 9).Draw(t, label+" rate"))
	}
	if rapid.Bool().Draw(t, label+" stepped") {
		imp.Delay, imp.Steps = 0, &Schedule{Columns: StepDelay, Steps: []Step{{Delay: 1}}}
	}
	if rapid.Bool().Draw(t, label+" listed") {
		imp.LosePackets = &PacketList{3}
	}
	return imp
}

func TestFieldsJSON(t *testing.T) {
	for bit := Fields(1); bit < endOfFields; bit <<= 1 {
		want := bit | FieldRate
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Fields
		if err := json.Unmarshal(data, &got); err != nil || got != want {
			t.Errorf("%s comes back as %v (%v), want %v", data, got, err, want)
		}
	}
	var f Fields
	if err := json.Unmarshal([]byte(`["speed"]`), &f); err == nil {
		t.Error(`"speed" is taken for a field`)
	}
}

func TestBlackhole(t *testing.T) {
	d, err := NewDirection(Impairments{}, NewSeed(1, "link", "up"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(at Time) Verdict { return d.Enqueue(at, Packet{Size: 100, IPSize: 86}) }
	if err := d.Set(10, Impairments{Blackhole: true}); err != nil {
		t.Fatal(err)
	}
	if v := send(11); v.Accepted || v.Reason != DropBlackhole {
		t.Errorf("in the black hole: %+v", v)
	}
	if err := d.Set(20, Impairments{}); err != nil {
		t.Fatal(err)
	}
	if v := send(21); !v.Accepted {
		t.Errorf("after it: %+v", v)
	}
	if c := d.Counters(); c.Dropped[DropBlackhole] != 1 || c.DroppedPackets() != 1 {
		t.Errorf("counted %+v", c)
	}
}
