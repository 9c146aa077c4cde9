package emulation

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Change is one entry of a direction's timeline.
type Change struct {
	At    time.Duration `json:"at_ns"`              // from the start
	Every time.Duration `json:"every_ns,omitempty"` // again and again after At; zero: once
	Times int           `json:"times,omitempty"`    // how often in all, with Every; zero: without end
	Patch Patch         `json:"patch"`
	// Ramp spreads the change over a time: rate, delay, jitter and loss go in steps of
	// RampStep, in a straight line, from what is in force when it begins to Patch's.
	Ramp time.Duration `json:"ramp_ns,omitempty"`
}

// Timeline is what happens to one direction in the course of time, in any order;
// of two changes at one instant the later in the list is the later in effect.
type Timeline []Change

// Bounds of a timeline.
const (
	MaxChanges = 1 << 16
	RampStep   = 10 * time.Millisecond
	MinEvery   = time.Millisecond
	// MaxTimeline is far below where the sum of two times overflows.
	MaxTimeline = 31 * 24 * time.Hour
)

// RampFields are those that a ramp can go through.
const RampFields = FieldRate | FieldDelay | FieldJitter | FieldLoss

// Validate returns every reason why t cannot be played on a direction that starts as
// base, joined, or nil. Combinations that come about only in the course of time are
// found, too, for as long as each change has had its first turn.
func (t Timeline) Validate(base Impairments) error {
	if len(t) > MaxChanges {
		return fmt.Errorf("timeline has %d changes, more than %d", len(t), MaxChanges)
	}
	var errs []error
	for n, c := range t {
		if err := c.validate(); err != nil {
			errs = append(errs, fmt.Errorf("change %d at %v: %w", n+1, c.At, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	first := slices.Clone(t)
	slices.SortStableFunc(first, func(a, b Change) int { return int(a.At - b.At) })
	state := base
	for _, c := range first {
		state = state.With(c.Patch)
		if err := state.Validate(); err != nil {
			return fmt.Errorf("from %v on: %w", c.At, err)
		}
	}
	return nil
}

func (c Change) validate() error {
	var errs []error
	if c.At < 0 || c.At > MaxTimeline {
		errs = append(errs, fmt.Errorf("time %v is not within 0 and %v", c.At, MaxTimeline))
	}
	if c.Every != 0 && (c.Every < MinEvery || c.Every > MaxTimeline) {
		errs = append(errs, fmt.Errorf("every %v is not within %v and %v", c.Every, MinEvery, MaxTimeline))
	}
	if c.Times < 0 || c.Times != 0 && c.Every == 0 {
		errs = append(errs, fmt.Errorf("%d times needs a time between them", c.Times))
	}
	if c.Patch.IsZero() || c.Patch.Fields&^AllFields != 0 {
		errs = append(errs, errors.New("it changes nothing"))
	}
	if c.Ramp < 0 || c.Ramp > MaxTimeline || c.Every != 0 && c.Ramp > c.Every {
		errs = append(errs, fmt.Errorf("ramp %v is not within 0 and the time to the next", c.Ramp))
	}
	if other := c.Patch.Fields &^ RampFields; c.Ramp != 0 && other != 0 {
		errs = append(errs, fmt.Errorf("a ramp cannot go through %v: only through %v", other, RampFields))
	}
	return errors.Join(errs...)
}

// Player goes through a timeline. Its owner asks when the next change comes (Next),
// takes it then (Step), and gives what is in force from that instant on to the
// direction. It is not safe for concurrent use.
type Player struct {
	state   Impairments
	changes []playing
	ramps   []ramp
}

// playing is a change with its next turn.
type playing struct {
	Change
	at   time.Duration // math.MaxInt64: no more
	done int
}

// ramp is a change on its way.
type ramp struct {
	change     int // its index
	from, to   Impairments
	fields     Fields
	begin, end time.Duration
	at         time.Duration // of the next step
}

// NewPlayer returns a player at the start of t on a direction that starts as base.
// The timeline must be valid, and is kept and not changed.
func NewPlayer(base Impairments, t Timeline) *Player {
	p := &Player{state: base, changes: make([]playing, len(t))}
	for i, c := range t {
		p.changes[i] = playing{Change: c, at: c.At}
	}
	return p
}

// Impairments returns what is in force.
func (p *Player) Impairments() Impairments { return p.state }

// Patch changes what is in force from outside the timeline. It stays until the
// timeline sets the same field; a ramp through that field ends.
func (p *Player) Patch(c Patch) Impairments {
	p.endRamps(c.Fields, -1)
	p.state = p.state.With(c)
	return p.state
}

// Next returns when, after the start, the next change or step of a ramp takes effect;
// false when nothing is left.
func (p *Player) Next() (time.Duration, bool) {
	at, _, _ := p.next()
	return at, at < math.MaxInt64
}

// next returns the next instant and whose it is: a ramp's index or a change's, the
// other -1. At one instant ramps go first: they began earlier.
func (p *Player) next() (at time.Duration, ramp, change int) {
	at, ramp, change = math.MaxInt64, -1, -1
	for i := range p.ramps {
		if r := &p.ramps[i]; r.at < at {
			at, ramp = r.at, i
		}
	}
	for i := range p.changes {
		if c := &p.changes[i]; c.at < at {
			at, ramp, change = c.at, -1, i
		}
	}
	return at, ramp, change
}

// Step takes the next change, and returns since when, after the start, the
// Impairments are in force that it returns; false when nothing is left.
func (p *Player) Step() (time.Duration, Impairments, bool) {
	at, r, c := p.next()
	switch {
	case at == math.MaxInt64:
		return 0, p.state, false
	case r >= 0:
		p.stepRamp(r)
	default:
		p.take(c)
	}
	return at, p.state, true
}

// take carries out a change and plans its next turn.
func (p *Player) take(index int) {
	c := &p.changes[index]
	at := c.at
	c.done++
	c.at = math.MaxInt64
	if c.Every > 0 && (c.Times == 0 || c.done < c.Times) && at <= MaxTimeline {
		c.at = at + c.Every
	}
	p.endRamps(c.Patch.Fields, index)
	if c.Ramp == 0 {
		p.state = p.state.With(c.Patch)
		return
	}
	p.ramps = append(p.ramps, ramp{
		change: index, from: p.state, to: p.state.With(c.Patch), fields: c.Patch.Fields,
		begin: at, end: at + c.Ramp, at: min(at+RampStep, at+c.Ramp),
	})
}

// endRamps ends the ramps of the fields, and those of the change itself.
func (p *Player) endRamps(f Fields, change int) {
	p.ramps = slices.DeleteFunc(p.ramps, func(r ramp) bool { return r.change == change || r.fields&f != 0 })
}

// stepRamp takes a ramp's next step. The last one arrives exactly.
func (p *Player) stepRamp(index int) {
	r := &p.ramps[index]
	part := float64(r.at-r.begin) / float64(r.end-r.begin)
	values := r.to
	if r.at < r.end {
		values.Rate = betweenRates(r.from.MeanRate(), r.to.Rate, part)
		values.Delay = between(r.from.Delay, r.to.Delay, part)
		values.Jitter = between(r.from.Jitter, r.to.Jitter, part)
		values.Loss = r.from.Loss + (r.to.Loss-r.from.Loss)*part
		if values.Jitter == 0 {
			values.Distribution, values.JitterTable = Uniform, nil
		}
	}
	p.state = p.state.With(Patch{Fields: r.fields, Values: values})
	if r.at >= r.end {
		p.ramps = slices.Delete(p.ramps, index, index+1)
		return
	}
	r.at = min(r.at+RampStep, r.end)
}

// betweenRates leaves a rate that has no limit, or is to have none, as it is until
// the end: no straight line leads there.
func betweenRates(from, to Rate, part float64) Rate {
	if from == 0 || to == 0 {
		return from
	}
	return between(from, to, part)
}

func between[N Rate | time.Duration](from, to N, part float64) N {
	return from + N(math.Round(float64(to-from)*part))
}
