package emulation

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"
)

// Distribution says how delays scatter around Delay.
type Distribution uint8

// The distributions. Jitter is half the width of the uniform one and the standard
// deviation of the others. No delay falls below zero.
const (
	Uniform   Distribution = iota // in [Delay-Jitter, Delay+Jitter]
	Normal                        // Gauss's
	Pareto                        // Pareto's with shape 3, as netem's table has it
	Empirical                     // JitterTable
	endOfDistributions
)

var distributionNames = [endOfDistributions]string{"uniform", "normal", "pareto", "table"}

// String returns the distribution as it stands in JSON.
func (d Distribution) String() string { return nameOf(distributionNames[:], int(d)) }

// MarshalText writes the distribution's name.
func (d Distribution) MarshalText() ([]byte, error) {
	return textOf(distributionNames[:], int(d), "jitter distribution")
}

// UnmarshalText reads a name that MarshalText writes.
func (d *Distribution) UnmarshalText(text []byte) error {
	i, err := indexOf(distributionNames[:], string(text), "jitter distribution")
	*d = Distribution(i)
	return err
}

// Table is a distribution as samples of equal probability, in netem's form: each
// is an offset from Delay, of which TableScale make one Jitter.
type Table []int16

// The scale and the largest size of a table (NETEM_DIST_SCALE and NETEM_DIST_MAX
// of the kernel's pkt_sched.h).
const (
	TableScale   = 8192
	MaxTableSize = 16384
)

const tableSize = 4096 // of the tables made here; as those that iproute2 ships

// Samples returns the table of a distribution that is computed; nil for the
// others. Values end where 16 bits do, at four times Jitter.
func (d Distribution) Samples() Table {
	var quantile func(u float64) float64
	switch d {
	case Normal:
		quantile = func(u float64) float64 { return math.Sqrt2 * math.Erfinv(2*u-1) }
	case Pareto:
		// With shape 3 the mean is 3/2 and the variance 3/4.
		quantile = func(u float64) float64 { return (1/math.Cbrt(1-u) - 1.5) / math.Sqrt(0.75) }
	default:
		return nil
	}
	t := make(Table, tableSize)
	for i := range t {
		v := math.Round(TableScale * quantile((float64(i)+0.5)/tableSize))
		t[i] = int16(min(max(v, math.MinInt16), math.MaxInt16))
	}
	return t
}

// tableOf returns the samples for imp, nil where jitter is uniform.
func tableOf(imp *Impairments) Table {
	if imp.Distribution == Empirical {
		return *imp.JitterTable
	}
	return imp.Distribution.Samples()
}

func (i Impairments) validateJitter() error {
	var errs []error
	if i.Jitter < 0 {
		errs = append(errs, fmt.Errorf("jitter %v is negative", i.Jitter))
	}
	if i.Jitter > i.Delay && !i.stepped(StepDelay) {
		errs = append(errs, fmt.Errorf("jitter %v exceeds the delay %v", i.Jitter, i.Delay))
	}
	if i.Jitter > MaxDelay {
		errs = append(errs, fmt.Errorf("jitter %v is longer than %v", i.Jitter, MaxDelay))
	}
	if i.Distribution >= endOfDistributions {
		errs = append(errs, fmt.Errorf("jitter has no distribution %d", i.Distribution))
	}
	if i.Distribution != Uniform && i.Jitter == 0 {
		errs = append(errs, fmt.Errorf("jitter distribution %v needs a jitter", i.Distribution))
	}
	if (i.Distribution == Empirical) != (i.JitterTable != nil) {
		errs = append(errs, errors.New("jitter distribution table and a jitter table need each other"))
	}
	if i.JitterTable != nil && (len(*i.JitterTable) == 0 || len(*i.JitterTable) > MaxTableSize) {
		errs = append(errs, fmt.Errorf("jitter table has %d values, want 1 to %d", len(*i.JitterTable), MaxTableSize))
	}
	return errors.Join(errs...)
}

// drawDelay returns the delay of one packet around delay. It draws once whatever
// the jitter, as Enqueue does for loss.
func (d *Direction) drawDelay(delay time.Duration) time.Duration {
	u := d.jitter.Uint64()
	if d.table == nil {
		n, _ := bits.Mul64(u, 2*uint64(d.imp.Jitter)+1)
		return max(0, delay-d.imp.Jitter+time.Duration(n))
	}
	i, _ := bits.Mul64(u, uint64(len(d.table)))
	return max(0, delay+d.imp.Jitter*time.Duration(d.table[i])/TableScale)
}
