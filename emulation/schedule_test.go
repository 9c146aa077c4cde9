package emulation

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func rates(period time.Duration, s ...Step) *Schedule {
	return &Schedule{Columns: StepRate, Steps: s, Period: period}
}

func TestStepsOfTheRate(t *testing.T) {
	s := newStory(t, Impairments{Steps: rates(0, Step{Rate: 12 * mbit}, Step{At: 1500 * time.Microsecond, Rate: 6 * mbit}, Step{At: 10 * ms, Rate: 0}, Step{At: 20 * ms, Rate: 12 * mbit})})
	s.d.Start(0)
	for range 6 {
		s.arrive(0, frame)
	}
	s.wantDepart(1 * ms)
	s.wantDepart(2500 * time.Microsecond) // half at each rate
	s.wantDepart(4500 * time.Microsecond)
	s.wantDepart(6500 * time.Microsecond)
	s.wantDepart(8500 * time.Microsecond)
	s.wantDepart(20250 * time.Microsecond) // 1.5 ms before the outage, a quarter after it
	s.arrive(30*ms, frame)
	s.wantDepart(31 * ms)
}

func TestStepsRepeat(t *testing.T) {
	s := newStory(t, Impairments{Steps: rates(10*ms, Step{Rate: 12 * mbit}, Step{At: 1 * ms, Rate: 0})})
	s.d.Start(0)
	for range 3 {
		s.arrive(0, frame)
	}
	s.wantDepart(1 * ms) // to the bit at the beginning of the outage
	s.wantDepart(11 * ms)
	s.wantDepart(21 * ms)
	s.arrive(1005*ms, 0)
	s.wantDepart(1010 * ms) // even nothing waits for an outage to end
	s.arrive(1010*ms, 50*frame)
	s.wantDepart(1501 * ms)
}

// The ends of transmissions are those of exact arithmetic, rounded down, whatever
// the steps.
func TestStepsTransmitExactly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		sched := rates(0)
		at := time.Duration(0)
		for range 1 + random.IntN(5) {
			sched.Steps = append(sched.Steps, Step{At: at, Rate: Rate(random.Int64N(1 << (1 + random.IntN(40))))})
			at += time.Duration(1 + random.Int64N(1<<(1+random.IntN(24))))
		}
		sched.Period = at
		if sched.Validate() != nil {
			continue
		}
		s := steps{Schedule: sched, work: sched.workInPeriod()}
		start, work := Time(random.Int64N(1<<30)), uint64(random.Int64N(1<<40))
		end, rest := s.transmit(start, work)
		if end-start > 1e7*Time(at) {
			continue // too long to add up
		}
		// What lies between is the work less the rest; one nanosecond less is not enough.
		done := s.workBetween(start, end)
		last, _ := s.at(end)
		missing := new(big.Int).Sub(new(big.Int).SetUint64(work), done)
		if missing.Sign() < 0 && missing.CmpAbs(big.NewInt(int64(last.Rate))) >= 0 || missing.IsUint64() && missing.Uint64() != rest {
			t.Fatalf("%+v from %d: %d done at %d with %d beyond; %v is missing", sched, start, work, end, rest, missing)
		}
	}
}

// workBetween adds up what a schedule carries.
func (s *steps) workBetween(t, end Time) *big.Int {
	sum := new(big.Int)
	if periods := int64(end-t) / int64(s.Period); periods > 1 {
		sum.Mul(new(big.Int).SetUint64(s.work), big.NewInt(periods))
		t += Time(periods) * Time(s.Period)
	}
	for t < end {
		step, until := s.at(t)
		until = min(until, end)
		sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(step.Rate)), big.NewInt(int64(until-t))))
		t = until
	}
	return sum
}

func TestStepsOfDelayAndLoss(t *testing.T) {
	s := newStory(t, Impairments{Rate: 12 * mbit, Steps: &Schedule{Columns: StepDelay | StepLoss, Steps: []Step{
		{Delay: 50 * ms},
		{At: 10 * ms, Delay: 5 * ms, Loss: 1},
		{At: 60 * ms, Delay: 5 * ms},
	}}})
	s.arrive(5*ms, frame) // the schedule begins
	s.wantDrop(15*ms, frame, DropLoss)
	s.arrive(65*ms, frame)
	s.wantDepart(56 * ms)
	s.wantDepart(71 * ms)
}

func TestScheduleValidate(t *testing.T) {
	for _, tc := range []struct {
		name  string
		sched Schedule
		want  string
	}{
		{"fine", *rates(2*ms, Step{Rate: 1}, Step{At: ms, Rate: 1}), ""},
		{"empty", Schedule{Columns: StepRate}, "0 steps"},
		{"no column", Schedule{Steps: []Step{{}}}, "sets none"},
		{"unknown column", Schedule{Columns: 8, Steps: []Step{{}}}, "sets none"},
		{"start", *rates(0, Step{At: 1, Rate: 1}), "starts at"},
		{"order", *rates(0, Step{Rate: 1}, Step{At: 2, Rate: 1}, Step{At: 2, Rate: 1}), "must ascend"},
		{"period", *rates(ms, Step{Rate: 1}, Step{At: ms, Rate: 1}), "want a longer one"},
		{"long", *rates(MaxSchedule+1, Step{Rate: 1}), "want a longer one, up to"},
		{"rate", *rates(0, Step{Rate: -1}), "negative"},
		{"delay", Schedule{Columns: StepDelay, Steps: []Step{{Delay: -1}}}, "delay"},
		{"loss", Schedule{Columns: StepLoss, Steps: []Step{{Loss: math.NaN()}}}, "not a probability"},
		{"last outage", *rates(0, Step{Rate: 1}, Step{At: 1}), "never ends"},
		{"all outage", *rates(ms, Step{}), "less than 1 bit/s"},
	} {
		err := tc.sched.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}
