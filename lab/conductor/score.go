package conductor

import (
	"math"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/topologies"
)

// way names one direction of a link.
type way struct {
	Link, Way string
}

// Score is all that a lab's timeline does, in order of time since the start. It is
// pure; whoever plays it asks when something is due (Next) and takes it then (Take).
type Score struct {
	operations *Program[topologies.Operation]
	directions []*scoredDirection // in the spec's order, up before down
}

// scoredDirection is a direction whose impairments the conductor sets.
type scoredDirection struct {
	way
	base   emulation.Impairments
	mtu    int
	player *emulation.Player
	turns  *Program[emulation.Change] // the same timeline: what happens, for the journal
}

// Action is something that is due.
type Action struct {
	At time.Duration // since the start; of several changes at once the first
	// Operation is what to do, unless it is a direction's impairments that change.
	Operation *topologies.Operation
	// LeftOut is how many earlier turns of the operation were due, too: once is enough.
	LeftOut   int
	Direction *DirectionAction
}

// DirectionAction is what a direction's impairments are from now on, and the changes
// that made them so: none where a ramp goes on.
type DirectionAction struct {
	Link, Way   string
	Impairments emulation.Impairments
	Changes     []TakenChange
}

// TakenChange is a change with the instant at which it was due.
type TakenChange struct {
	At time.Duration
	emulation.Change
}

// NewScore returns the spec's score at its start, from the base impairments.
func NewScore(s Spec) *Score {
	score := &Score{operations: NewProgram(s.Operations, func(o topologies.Operation) Turn {
		return Turn{At: o.At, Every: o.Every, Times: o.Times}
	})}
	for _, w := range s.Wires {
		if !w.Netem {
			continue
		}
		for _, d := range []struct {
			name     string
			base     emulation.Impairments
			timeline emulation.Timeline
		}{{"up", w.Up, w.UpTimeline}, {"down", w.Down, w.DownTimeline}} {
			score.directions = append(score.directions, &scoredDirection{
				way: way{w.Link, d.name}, base: d.base, mtu: w.MTU,
				player: emulation.NewPlayer(d.base, d.timeline),
				turns:  NewProgram(d.timeline, ChangeTurn),
			})
		}
	}
	return score
}

// direction returns the part of one direction; nil when the conductor does not set
// its impairments.
func (s *Score) direction(w way) *scoredDirection {
	for _, d := range s.directions {
		if d.way == w {
			return d
		}
	}
	return nil
}

// Next returns when the next thing happens; false when nothing will any more.
func (s *Score) Next() (time.Duration, bool) {
	next := time.Duration(math.MaxInt64)
	if at, ok := s.operations.Next(); ok {
		next = at
	}
	for _, d := range s.directions {
		if at, ok := d.player.Next(); ok {
			next = min(next, at)
		}
	}
	return next, next < math.MaxInt64
}

// Take returns what is due until then, in order; at one instant directions come
// before operations. All changes of one direction are one action with what they come
// to, and of each operation on a link or a NAT only its latest turn is left: whoever
// cannot keep up must not fall ever further behind.
func (s *Score) Take(until time.Duration) []Action {
	var due []Action
	for _, d := range s.directions {
		if a, ok := d.take(until); ok {
			due = append(due, a)
		}
	}
	due = append(due, s.takeOperations(until)...)
	slices.SortStableFunc(due, func(a, b Action) int { return int(a.At - b.At) })
	return due
}

func (s *Score) takeOperations(until time.Duration) []Action {
	var due []Action
	for {
		at, ok := s.operations.Next()
		if !ok || at > until {
			return due
		}
		_, op, _ := s.operations.Take()
		a := Action{At: at, Operation: &op}
		same := func(b Action) bool {
			return b.Operation.Kind == op.Kind && b.Operation.Link == op.Link && b.Operation.Node == op.Node
		}
		if i := slices.IndexFunc(due, same); i >= 0 {
			a.LeftOut = due[i].LeftOut + 1
			due = slices.Delete(due, i, i+1)
		}
		due = append(due, a)
	}
}

func (d *scoredDirection) take(until time.Duration) (Action, bool) {
	first, ok := d.player.Next()
	if !ok || first > until {
		return Action{}, false
	}
	for at, ok := first, true; ok && at <= until; at, ok = d.player.Next() {
		d.player.Step()
	}
	action := &DirectionAction{Link: d.Link, Way: d.Way, Impairments: d.player.Impairments()}
	for at, ok := d.turns.Next(); ok && at <= until; at, ok = d.turns.Next() {
		_, change, _ := d.turns.Take()
		action.Changes = append(action.Changes, TakenChange{At: at, Change: change})
	}
	return Action{At: first, Direction: action}, true
}
