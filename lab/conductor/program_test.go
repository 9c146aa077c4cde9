package conductor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/topologies"
)

const second = time.Second

func TestProgramGoesInOrder(t *testing.T) {
	type item struct {
		name string
		turn Turn
	}
	p := NewProgram([]item{
		{"late", Turn{At: 5 * second}},
		{"thrice", Turn{At: second, Every: 2 * second, Times: 3}},
		{"same", Turn{At: 3 * second}},
		{"ever", Turn{At: 4 * second, Every: second}},
	}, func(i item) Turn { return i.turn })
	var got []string
	for range 9 {
		at, i, ok := p.Take()
		if !ok {
			t.Fatal("the program ended, though one item has no end")
		}
		got = append(got, fmt.Sprintf("%v %s", at, i.name))
	}
	want := "1s thrice,3s thrice,3s same,4s ever,5s late,5s thrice,5s ever,6s ever,7s ever"
	if text := strings.Join(got, ","); text != want {
		t.Errorf("the program went\n%s, want\n%s", text, want)
	}
	once := NewProgram([]int{1}, func(int) Turn { return Turn{At: second} })
	once.Take()
	if at, ok := once.Next(); ok {
		t.Errorf("Next = %v after the only turn, want none", at)
	}
	if _, _, ok := once.Take(); ok {
		t.Error("Take found something after the only turn")
	}
}

// A program and emulation.Player agree on when a timeline's changes are due.
func TestProgramAgreesWithPlayer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := func(name string, low, high int) time.Duration {
			return time.Duration(rapid.IntRange(low, high).Draw(t, name)) * time.Millisecond
		}
		var timeline emulation.Timeline
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			c := emulation.Change{At: ms("at", 0, 50), Patch: ratePatch(emulation.Rate(rapid.IntRange(1, 100).Draw(t, "rate")))}
			if rapid.Bool().Draw(t, "again") {
				c.Every, c.Times = ms("every", 1, 20), rapid.IntRange(0, 4).Draw(t, "times")
			}
			timeline = append(timeline, c)
		}
		player := emulation.NewPlayer(emulation.Impairments{}, timeline)
		program := NewProgram(timeline, ChangeTurn)
		for range 40 {
			at, state, ok := player.Step()
			due, change, more := program.Take()
			if ok != more || at != due {
				t.Fatalf("player at %v (%v), program at %v (%v)", at, ok, due, more)
			}
			if ok && state.Rate != change.Patch.Values.Rate {
				t.Fatalf("at %v the player is at rate %d, the program's change at %d", at, state.Rate, change.Patch.Values.Rate)
			}
		}
	})
}

func ratePatch(r emulation.Rate) emulation.Patch {
	return emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: r}}
}

// testSpec is a lab with two links: one goes down and up and has a rate that steps
// and ramps, the other is left alone.
func testSpec() Spec {
	return Spec{
		Lab: "x", Seed: 1, Journal: "changes.jsonl",
		Wires: []Wire{
			{
				Link: "lte", Namespace: 1, Ends: [2]string{"a", "b"}, MTU: 1500, Netem: true,
				Up: emulation.Impairments{Rate: 10e6}, Down: emulation.Impairments{Rate: 20e6},
				UpTimeline: emulation.Timeline{
					{At: 1 * second, Patch: ratePatch(5e6)},
					{At: 6 * second, Ramp: 40 * time.Millisecond, Patch: ratePatch(9e6)},
				},
			},
			{Link: "wifi", Namespace: 2, Ends: [2]string{"a", "b"}, MTU: 1500},
		},
		NATs: []NAT{{Node: "cpe", Namespace: 3}},
		Operations: []topologies.Operation{
			{At: 2 * second, Every: 10 * second, Kind: topologies.EventDown, Link: "lte"},
			{At: 3 * second, Every: 10 * second, Kind: topologies.EventUp, Link: "lte"},
			{At: 4 * second, Kind: topologies.EventRebind, Node: "cpe"},
		},
	}
}

func TestScoreMergesWhatIsDue(t *testing.T) {
	s := NewScore(testSpec())
	take := func(until time.Duration) string {
		var all []string
		for _, a := range s.Take(until) {
			if op := a.Operation; op != nil {
				all = append(all, fmt.Sprintf("%v %s %s", a.At, op.Kind, op.Link+op.Node))
				continue
			}
			d := a.Direction
			all = append(all, fmt.Sprintf("%v %s %s %dk (%d)", a.At, d.Link, d.Way, d.Impairments.Rate/1000, len(d.Changes)))
		}
		return strings.Join(all, ", ")
	}
	for _, tt := range []struct {
		until time.Duration
		want  string
		next  time.Duration
	}{
		{second - 1, "", second},
		{second, "1s lte up 5000k (1)", 2 * second},
		{3500 * time.Millisecond, "2s down lte, 3s up lte", 4 * second},
		{4 * second, "4s rebind cpe", 6 * second},
		// The ramp begins: a change, but no other rate yet.
		{6 * second, "6s lte up 5000k (1)", 6010 * time.Millisecond},
		// Two of its steps at once are one action, without a change of their own.
		{6020 * time.Millisecond, "6.01s lte up 7000k (0)", 6030 * time.Millisecond},
		{12 * second, "6.03s lte up 9000k (0), 12s down lte", 13 * second},
		// Of what was slept through, the latest turn of each.
		{33 * second, "32s down lte, 33s up lte", 42 * second},
	} {
		if got := take(tt.until); got != tt.want {
			t.Errorf("until %v: %q, want %q", tt.until, got, tt.want)
		}
		if next, ok := s.Next(); !ok || next != tt.next {
			t.Errorf("after %v Next = %v, %v, want %v", tt.until, next, ok, tt.next)
		}
	}
}

// What was slept through comes in the order of time, whatever it is.
func TestScoreSortsWhatIsLate(t *testing.T) {
	s := NewScore(testSpec())
	s.Take(1 * second)
	var got []time.Duration
	for _, a := range s.Take(7 * second) {
		got = append(got, a.At)
	}
	want := []time.Duration{2 * second, 3 * second, 4 * second, 6 * second} // the last is a ramp, of a direction
	if !slices.Equal(got, want) {
		t.Errorf("due at %v, want %v", got, want)
	}
}

func TestSpecSaysWhatIsWrong(t *testing.T) {
	if err := testSpec().validate(4); err != nil {
		t.Fatalf("a good spec: %v", err)
	}
	for _, tt := range []struct {
		name  string
		spoil func(s *Spec)
		want  string
	}{
		{"a file that is not there", func(s *Spec) { s.Wires[0].Namespace = 9 }, "file 9 of 4"},
		{"one file twice", func(s *Spec) { s.NATs[0].Namespace = 0 }, "already control socket"},
		{"one link twice", func(s *Spec) { s.Wires[1].Link = "lte" }, "two wires"},
		{"no journal", func(s *Spec) { s.Journal = "" }, "no journal"},
		{"a link without a wire", func(s *Spec) { s.Operations[0].Link = "dsl" }, `"dsl" has no wire`},
		{"a node that is no NAT", func(s *Spec) { s.Operations[2].Node = "client" }, `no NAT "client"`},
		{"an unknown operation", func(s *Spec) { s.Operations[0].Kind = "explode" }, "explode"},
		{"a time before the start", func(s *Spec) { s.Operations[0].At = -1 }, "out of range"},
		{"a beat too fast", func(s *Spec) { s.Operations[0].Every = 1 }, "out of range"},
		{"impairments that cannot be", func(s *Spec) { s.Wires[0].Up.Loss = 2 }, "loss"},
		{"a timeline that cannot be", func(s *Spec) { s.Wires[0].UpTimeline[0].Patch = emulation.Patch{} }, "changes nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := testSpec()
			tt.spoil(&s)
			if err := s.validate(4); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("validate = %v, want it to say %q", err, tt.want)
			}
		})
	}
}
