package emulation

import (
	"errors"
	"fmt"
	"iter"
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
	for at, state := range t.States(base) {
		if err := state.Validate(); err != nil {
			return fmt.Errorf("from %v on: %w", at, err)
		}
	}
	return nil
}

// States goes over what each change, on its first turn, leads to from base, with the
// time after the start.
func (t Timeline) States(base Impairments) iter.Seq2[time.Duration, Impairments] {
	first := slices.Clone(t)
	slices.SortStableFunc(first, func(a, b Change) int { return int(a.At - b.At) })
	return func(yield func(time.Duration, Impairments) bool) {
		state := base
		for _, c := range first {
			state = state.With(c.Patch)
			if !yield(c.At, state) {
				return
			}
		}
	}
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
