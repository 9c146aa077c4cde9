package emulation

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"
	"time"
)

// StepColumns says which impairments a schedule sets; the others keep the values
// that Impairments has.
type StepColumns uint8

// The columns.
const (
	StepRate StepColumns = 1 << iota
	StepDelay
	StepLoss
)

// Step is what holds from a time on.
type Step struct {
	At    time.Duration `json:"at_ns"`
	Rate  Rate          `json:"rate_bps,omitempty"` // zero is an outage, not the absence of a limit
	Delay time.Duration `json:"delay_ns,omitempty"`
	Loss  float64       `json:"loss,omitempty"`
}

// Schedule changes a direction in steps. The first step is at 0.
type Schedule struct {
	Columns StepColumns   `json:"columns"`
	Steps   []Step        `json:"steps"`
	Period  time.Duration `json:"period_ns,omitempty"` // repeats after it; zero: the last step stays
}

// Bounds of a schedule.
const (
	MaxSteps    = 1 << 20
	MaxSchedule = 31 * 24 * time.Hour
)

// Validate returns every reason why s is no schedule, joined, or nil.
func (s *Schedule) Validate() error {
	if len(s.Steps) == 0 || len(s.Steps) > MaxSteps {
		return fmt.Errorf("schedule has %d steps, want 1 to %d", len(s.Steps), MaxSteps)
	}
	var errs []error
	if s.Columns == 0 || s.Columns >= StepLoss<<1 {
		errs = append(errs, errors.New("schedule sets none of rate, delay and loss"))
	}
	if first := s.Steps[0].At; first != 0 {
		errs = append(errs, fmt.Errorf("schedule starts at %v, want 0", first))
	}
	for i, step := range s.Steps {
		if i > 0 && step.At <= s.Steps[i-1].At {
			errs = append(errs, fmt.Errorf("schedule has %v after %v: it must ascend", step.At, s.Steps[i-1].At))
			break
		}
	}
	for _, step := range s.Steps {
		if err := step.validate(); err != nil {
			errs = append(errs, err)
			break
		}
	}
	last := s.Steps[len(s.Steps)-1]
	if s.Period < 0 || s.Period > 0 && s.Period <= last.At || max(s.Period, last.At) > MaxSchedule {
		errs = append(errs, fmt.Errorf("schedule with steps up to %v has the period %v: want a longer one, up to %v", last.At, s.Period, MaxSchedule))
	}
	switch {
	case len(errs) > 0 || s.Columns&StepRate == 0:
	case s.Period == 0 && last.Rate == 0:
		errs = append(errs, errors.New("schedule ends in an outage that never ends"))
	case s.MeanRate() == 0:
		errs = append(errs, errors.New("schedule carries less than 1 bit/s"))
	}
	return errors.Join(errs...)
}

func (s Step) validate() error {
	var errs []error
	if s.Rate < 0 {
		errs = append(errs, fmt.Errorf("step at %v: rate %d bit/s is negative", s.At, s.Rate))
	}
	if s.Delay < 0 || s.Delay > MaxDelay {
		errs = append(errs, fmt.Errorf("step at %v: delay %v is not within 0 and %v", s.At, s.Delay, MaxDelay))
	}
	if !(s.Loss >= 0 && s.Loss <= 1) {
		errs = append(errs, fmt.Errorf("step at %v: loss %v is not a probability", s.At, s.Loss))
	}
	return errors.Join(errs...)
}

func (s *Schedule) equal(o *Schedule) bool {
	return s == o || s != nil && o != nil &&
		s.Columns == o.Columns && s.Period == o.Period && slices.Equal(s.Steps, o.Steps)
}

// MeanRate returns the mean of the rates over the period. Where the schedule does
// not repeat it is that up to the last step or, if that is an outage, the last
// step's. It is 0 where the schedule sets no rate.
func (s *Schedule) MeanRate() Rate {
	if s.Columns&StepRate == 0 || len(s.Steps) == 0 {
		return 0
	}
	length, last := s.Period, s.Steps[len(s.Steps)-1]
	if length == 0 {
		length = last.At
	}
	if length == 0 {
		return last.Rate
	}
	var mean float64
	for i, step := range s.Steps {
		end := length
		if i+1 < len(s.Steps) {
			end = s.Steps[i+1].At
		}
		mean += float64(step.Rate) * (float64(end-step.At) / float64(length))
	}
	if s.Period == 0 && mean < 1 {
		return last.Rate
	}
	return Rate(min(mean, 1<<62))
}

// steps is a schedule that began at a time.
type steps struct {
	*Schedule
	base Time
	last int    // the step found last, a guess for the next search
	work uint64 // in a period, saturating
}

// at returns the step in force at t, and when the next one comes.
func (s *steps) at(t Time) (*Step, Time) {
	offset := max(0, t.Sub(s.base))
	base := s.base
	if s.Period > 0 {
		base = base.Add(offset / s.Period * s.Period)
		offset %= s.Period
	}
	if i := s.last; s.Steps[i].At > offset || i+1 < len(s.Steps) && s.Steps[i+1].At <= offset {
		s.last = sort.Search(len(s.Steps), func(i int) bool { return s.Steps[i].At > offset }) - 1
	}
	step := &s.Steps[s.last]
	switch {
	case s.last+1 < len(s.Steps):
		return step, base.Add(s.Steps[s.last+1].At)
	case s.Period > 0:
		return step, base.Add(s.Period)
	}
	return step, math.MaxInt64
}

// transmit returns when work, in bits times 10^9, is done that starts at t, and the
// fraction of a nanosecond beyond that, as the serialiser has it.
func (s *steps) transmit(t Time, work uint64) (end Time, rest uint64) {
	for first := true; ; {
		step, until := s.at(t)
		rate, left := uint64(step.Rate), uint64(until.Sub(t))
		if whole := work / max(rate, 1); rate > 0 && (whole < left || whole == left && work%rate == 0) {
			return t.Add(time.Duration(work / rate)), work % rate
		}
		work -= rate * left // below work: no overflow
		t = until
		if first && s.Period > 0 {
			first = false
			// Something is left to do, lest an outage delays what is done already.
			whole := max(work, 1) - 1
			t = t.Add(time.Duration(whole/s.work) * s.Period)
			work -= whole / s.work * s.work
		}
	}
}

// workInPeriod returns what a period carries, in bits times 10^9, saturating.
func (s *Schedule) workInPeriod() uint64 {
	var sum uint64
	for i, step := range s.Steps {
		end := s.Period
		if i+1 < len(s.Steps) {
			end = s.Steps[i+1].At
		}
		hi, lo := bits.Mul64(uint64(step.Rate), uint64(end-step.At))
		next, carry := bits.Add64(sum, lo, 0)
		if hi > 0 || carry > 0 {
			return math.MaxUint64
		}
		sum = next
	}
	return sum
}
