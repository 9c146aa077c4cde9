package clock

import (
	"math"
	"time"
)

// Time is an instant in nanoseconds since an epoch that the owner chose. The zero
// value means unset, so an owner starts its clock above zero.
type Time int64

// Never is later than every instant.
const Never Time = math.MaxInt64

// Add returns t moved by d. Never stays Never, and a sum that would pass it is Never.
func (t Time) Add(d time.Duration) Time {
	if t == Never || (d > 0 && t > Never-Time(d)) {
		return Never
	}
	return t + Time(d)
}

// Sub returns the duration from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// IsZero reports whether t is unset.
func (t Time) IsZero() bool { return t == 0 }

// OrNever returns t, or Never when t is unset: the form in which deadlines compare.
func (t Time) OrNever() Time {
	if t == 0 {
		return Never
	}
	return t
}
