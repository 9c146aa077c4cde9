package emulation

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the timeline, a player takes each change's turns in the order of time and,
// at one time, of the list; a clone goes on from where it was made.
func TestPlayerTakesTurnsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			at     time.Duration
			change int
		}
		const until = 60 * ms
		var timeline Timeline
		var want []entry
		for i := range rapid.IntRange(0, 12).Draw(t, "changes") {
			// A loss of its own tells a change from the others.
			c := Change{At: time.Duration(rapid.IntRange(0, 20).Draw(t, "at")) * ms, Patch: lossOf(float64(i) / 16)}
			if rapid.Bool().Draw(t, "repeats") {
				c.Every = time.Duration(rapid.IntRange(1, 10).Draw(t, "every")) * ms
				c.Times = rapid.IntRange(0, 4).Draw(t, "times")
			}
			timeline = append(timeline, c)
			for n, at := 0, c.At; at <= until && (n == 0 || c.Every > 0 && (c.Times == 0 || n < c.Times)); n, at = n+1, at+c.Every {
				want = append(want, entry{at, i})
			}
		}
		slices.SortStableFunc(want, func(a, b entry) int { return int(a.at-b.at)*100 + a.change - b.change })
		player := NewPlayer(Impairments{}, timeline)
		cloneAt := rapid.IntRange(0, 10).Draw(t, "clone at")
		for n, e := range want {
			if n == cloneAt {
				other := player
				player = player.Clone()
				other.Step() // does not move the clone
			}
			if next, ok := player.Next(); !ok || next != e.at {
				t.Fatalf("turn %d: next at %v (%v), want %v", n, next, ok, e.at)
			}
			at, imp, ok := player.Step()
			if !ok || at != e.at || imp.Loss != float64(e.change)/16 {
				t.Fatalf("turn %d: change %v at %v (%v), want %d at %v", n, imp.Loss*16, at, ok, e.change, e.at)
			}
		}
		if next, ok := player.Next(); ok && next <= until {
			t.Fatalf("one turn too many, at %v", next)
		}
	})
}

// BenchmarkRampStep is what a step of a ramp costs, for the player and the direction,
// whatever else is in force and to come.
func BenchmarkRampStep(b *testing.B) {
	long := &Schedule{Columns: StepRate, Steps: []Step{{Rate: mbit}}}
	for i := range 100_000 {
		long.Steps = append(long.Steps, Step{At: time.Duration(i+1) * ms, Rate: Rate(i+1) * 1000})
	}
	for _, bench := range []struct {
		name    string
		imp     Impairments
		changes int
	}{
		{"schedule=none/changes=1", Impairments{Rate: mbit}, 0},
		{"schedule=100000/changes=10000", Impairments{Steps: long, Queue: Queue{Time: ms}}, 9999},
	} {
		b.Run(bench.name, func(b *testing.B) {
			timeline := Timeline{{Every: MaxTimeline, Ramp: MaxTimeline, Patch: delayOf(time.Second)}}
			for range bench.changes {
				timeline = append(timeline, Change{At: MaxTimeline, Patch: lossOf(0)})
			}
			player := NewPlayer(bench.imp, timeline)
			d, err := NewDirection(bench.imp, NewSeed(1, "l", "up"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				at, imp, ok := player.Step()
				if !ok {
					b.Fatal("the ramp has ended")
				}
				if err := d.Set(Time(at), imp); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
