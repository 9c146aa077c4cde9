package dial

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// start is when each race of a test begins.
const start = clock.Time(time.Second)

// course is a race under test. Its steps read in the order of what happens.
type course struct {
	t *testing.T
	*Race
}

func newCourse(t *testing.T, paths int) course { return course{t, NewRace(start, paths)} }

// at asks, so long after the start, which attempts begin, and wants those.
func (c course) at(after time.Duration, want ...int) {
	c.t.Helper()
	var got []int
	for {
		path, ok := c.Begin(start.Add(after))
		if !ok {
			break
		}
		got = append(got, path)
	}
	if len(got) != len(want) {
		c.t.Fatalf("after %v paths %v begin, want %v", after, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			c.t.Fatalf("after %v paths %v begin, want %v", after, got, want)
		}
	}
}

// next wants the next attempt to be due so long after the start.
func (c course) next(after time.Duration) {
	c.t.Helper()
	if got, want := c.NextTimeout(), start.Add(after); got != want {
		c.t.Fatalf("the next attempt is due %v after the start, want %v", got.Sub(start), after)
	}
}

// noMore wants no attempt to come.
func (c course) noMore() {
	c.t.Helper()
	if c.NextTimeout() != clock.Never {
		c.t.Fatalf("an attempt is due %v after the start, want none", c.NextTimeout().Sub(start))
	}
}

func TestAttemptsAreStaggered(t *testing.T) {
	c := newCourse(t, 3)
	c.next(0)
	c.at(0, 0)
	c.next(Stagger)
	c.at(Stagger - 1)
	c.at(Stagger, 1)
	c.at(3*Stagger, 2) // late: the time counts from when it really began
	c.noMore()
	if c.Lost() || c.Running() != 3 {
		t.Errorf("lost %v with %d attempts under way", c.Lost(), c.Running())
	}
}

func TestTheNextOneFollowsAFailureAtOnce(t *testing.T) {
	c := newCourse(t, 3)
	c.at(0, 0)
	c.Fail(start.Add(time.Millisecond))
	c.at(time.Millisecond, 1)
	c.next(time.Millisecond + Stagger)
	c.Fail(start.Add(2 * time.Millisecond))
	c.at(2*time.Millisecond, 2)
	if c.Lost() {
		t.Error("lost while one is under way")
	}
	c.Fail(start.Add(time.Second))
	c.at(time.Second)
	if !c.Lost() {
		t.Error("not lost, with nothing under way and no path left")
	}
}

func TestTheFirstCompleteOneWins(t *testing.T) {
	c := newCourse(t, 3)
	c.at(0, 0)
	c.at(Stagger, 1)
	if !c.Complete() {
		t.Error("the first one did not win")
	}
	c.noMore()
	c.at(time.Hour)
	if c.Complete() {
		t.Error("a second one won")
	}
	if c.Running() != 0 {
		t.Errorf("%d attempts under way", c.Running())
	}
}

func TestAStoppedRaceBeginsNothing(t *testing.T) {
	c := newCourse(t, 2)
	c.at(0, 0)
	c.Stop()
	c.at(time.Hour)
	if c.Lost() {
		t.Error("lost while one is under way")
	}
	c.Fail(start.Add(time.Hour))
	c.at(time.Hour)
	if !c.Lost() {
		t.Error("not lost")
	}
	if c.Complete() {
		t.Error("won although it was stopped")
	}
}
