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

// Generate returns a trace of a model: equal seeds give equal traces, and a longer
// one begins like a shorter. The trace repeats after duration, which must be whole
// milliseconds.
func Generate(m Model, duration time.Duration, seed uint64) (emulation.Trace, error) {
	if duration < time.Second || duration > MaxDuration || duration%time.Millisecond != 0 {
		return nil, fmt.Errorf("generate %s trace: duration %v: want whole milliseconds from 1s to %v", m, duration, MaxDuration)
	}
	random := rand.New(rand.NewChaCha8(sha256.Sum256(binary.LittleEndian.AppendUint64([]byte("tquiclab trace 1 "+string(m)+" "), seed))))
	var c capacity
	switch m {
	case LTE:
		c = newLTE(random)
	case NR:
		c = newNR(random)
	case Starlink:
		c = newStarlink(random)
	case WiFiFading:
		c = newWiFi(random)
	default:
		return nil, fmt.Errorf("generate trace: no model %q: want one of %s", m, names(Models()))
	}
	return deliver(c, uint32(duration/time.Millisecond)), nil
}

func names(models []Model) string {
	var s []string
	for _, m := range models {
		s = append(s, string(m))
	}
	return strings.Join(s, ", ")
}

// deliver turns a rate into opportunities: one whenever the rate has added up to
// its bytes. One at the end makes the period whole.
func deliver(c capacity, duration uint32) emulation.Trace {
	const bits = float64(8 * emulation.Opportunity)
	var t emulation.Trace
	var credit float64
	for ms := uint32(1); ms <= duration; ms++ {
		credit += c.rate() / 1000
		for ; credit >= bits; credit -= bits {
			t = append(t, ms)
		}
	}
	if n := len(t); n == 0 || t[n-1] != duration {
		t = append(t, duration)
	}
	return slices.Clip(t)
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
