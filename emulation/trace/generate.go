package trace

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Model is a kind of access that Generate makes traces of.
type Model string

// The models.
const (
	LTE        Model = "lte"
	NR         Model = "5g"
	Starlink   Model = "starlink"
	WiFiFading Model = "wifi-fading"
)

// Models returns all models.
func Models() []Model { return []Model{LTE, NR, Starlink, WiFiFading} }

// MaxDuration is the longest trace that Generate makes.
const MaxDuration = 10 * time.Minute

// capacity is a rate that varies: rate returns the one of the next millisecond, in
// bit/s.
type capacity interface{ rate() float64 }

// Settings is what a generator is asked for.
type Settings struct {
	Model    Model
	Duration time.Duration // whole milliseconds, after which the trace repeats
	Seed     uint64
	Mean     emulation.Rate // of the whole; 0: the model's own
}

// Generate returns a trace of a model: equal seeds give equal traces, and a longer
// one begins like a shorter. The trace repeats after duration, which must be whole
// milliseconds.
func Generate(m Model, duration time.Duration, seed uint64) (emulation.Trace, error) {
	return Settings{Model: m, Duration: duration, Seed: seed}.Trace()
}

// Trace returns the trace that s asks for. Equal settings give equal traces.
func (s Settings) Trace() (emulation.Trace, error) {
	rates, err := s.rates()
	if err != nil {
		return nil, err
	}
	return deliver(rates)
}

// Steps returns the rate in steps of a window each, which is its mean over that
// time. It repeats after the duration.
func (s Settings) Steps(window time.Duration) (*emulation.Schedule, error) {
	if window < time.Millisecond || window > s.Duration || window%time.Millisecond != 0 {
		return nil, fmt.Errorf("generate %s steps: window %v: want whole milliseconds up to the duration", s.Model, window)
	}
	rates, err := s.rates()
	if err != nil {
		return nil, err
	}
	schedule := &emulation.Schedule{Columns: emulation.StepRate, Period: s.Duration}
	at := time.Duration(0)
	for part := range slices.Chunk(rates, int(window/time.Millisecond)) {
		step := emulation.Step{At: at, Rate: emulation.Rate(math.Round(mean(part)))}
		at += window
		if n := len(schedule.Steps); n == 0 || schedule.Steps[n-1].Rate != step.Rate {
			schedule.Steps = append(schedule.Steps, step)
		}
	}
	if err := schedule.Validate(); err != nil {
		return nil, fmt.Errorf("generate %s steps: %w", s.Model, err)
	}
	return schedule, nil
}

// rates returns the rate of each millisecond, in bit/s.
func (s Settings) rates() ([]float64, error) {
	if s.Duration < time.Second || s.Duration > MaxDuration || s.Duration%time.Millisecond != 0 {
		return nil, fmt.Errorf("generate %s trace: duration %v: want whole milliseconds from 1s to %v", s.Model, s.Duration, MaxDuration)
	}
	random := rand.New(rand.NewChaCha8(sha256.Sum256(binary.LittleEndian.AppendUint64([]byte("tquiclab trace 1 "+string(s.Model)+" "), s.Seed))))
	var c capacity
	switch s.Model {
	case LTE:
		c = newLTE(random)
	case NR:
		c = newNR(random)
	case Starlink:
		c = newStarlink(random)
	case WiFiFading:
		c = newWiFi(random)
	default:
		return nil, fmt.Errorf("generate trace: no model %q: want one of %s", s.Model, names(Models()))
	}
	rates := make([]float64, s.Duration/time.Millisecond)
	for i := range rates {
		rates[i] = c.rate()
	}
	if s.Mean == 0 {
		return rates, nil
	}
	factor := float64(s.Mean) / mean(rates)
	if s.Mean < 0 || math.IsInf(factor, 0) || math.IsNaN(factor) {
		return nil, fmt.Errorf("generate %s trace: mean %d bit/s: want more than 0, and a trace that is not an outage as a whole", s.Model, s.Mean)
	}
	for i := range rates {
		rates[i] *= factor
	}
	return rates, nil
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func names(models []Model) string {
	var s []string
	for _, m := range models {
		s = append(s, string(m))
	}
	return strings.Join(s, ", ")
}

// deliver turns the rates of milliseconds into opportunities: one whenever the rate
// has added up to its bytes. One at the end makes the period whole.
func deliver(rates []float64) (emulation.Trace, error) {
	const bits = float64(8 * emulation.Opportunity)
	var t emulation.Trace
	var credit float64
	for i, rate := range rates {
		for credit += rate / 1000; credit >= bits; credit -= bits {
			if len(t) == emulation.MaxOpportunities {
				return nil, fmt.Errorf("generate trace: more than %d opportunities: want a shorter duration or a lower mean", len(t))
			}
			t = append(t, uint32(i+1))
		}
	}
	if n, duration := len(t), uint32(len(rates)); n == 0 || t[n-1] != duration {
		t = append(t, duration)
	}
	return slices.Clip(t), nil
}

// drift is the logarithm of a rate as it drifts about: an Ornstein-Uhlenbeck
// process, which is a random walk that is drawn back to its mean. A rate that is
// the exponential of it has a lognormal distribution.
type drift struct {
	random *rand.Rand
	spread float64 // standard deviation in the long run
	keep   float64 // of the deviation, from one millisecond to the next
	kick   float64 // standard deviation of what is added in one
	value  float64
}

// newDrift starts anywhere in its distribution. The memory is the time after which
// a deviation has shrunk to 1/e.
func newDrift(random *rand.Rand, spread float64, memory time.Duration) drift {
	keep := math.Exp(-float64(time.Millisecond) / float64(memory))
	return drift{
		random: random, spread: spread, keep: keep,
		kick:  spread * math.Sqrt(1-keep*keep),
		value: spread * random.NormFloat64(),
	}
}

// next returns the factor of the next millisecond; its median is 1.
func (d *drift) next() float64 {
	d.value = float64(d.keep*d.value) + d.kick*d.random.NormFloat64()
	return math.Exp(d.value)
}

// outages are times without capacity: they begin after exponential gaps and last
// as long as the model says.
type outages struct {
	random *rand.Rand
	gap    float64 // mean, ms
	length func() float64
	until  float64 // the end of this state, ms
	now    float64
	out    bool
}

// next reports whether the next millisecond is out.
func (o *outages) next() bool {
	if o.until == 0 {
		o.until = o.gap * o.random.ExpFloat64()
	}
	for o.now >= o.until {
		if o.out = !o.out; o.out {
			o.until += o.length()
		} else {
			o.until += o.gap * o.random.ExpFloat64()
		}
	}
	o.now++
	return o.out
}
