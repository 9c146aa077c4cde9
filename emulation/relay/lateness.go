package relay

import (
	"math/bits"
	"time"
)

const (
	latenessSteps   = 8  // buckets per doubling: 9 % from the middle of a bucket at most
	latenessMinBits = 10 // the first bucket ends at 1 us
	latenessMaxBits = 34 // the last one has all above 17 s
	latenessBuckets = 1 + latenessSteps*(latenessMaxBits-latenessMinBits)
)

// lateness is a histogram of durations with buckets that grow with the value.
// The zero value is empty.
type lateness struct {
	buckets [latenessBuckets]uint64
	count   uint64
	max     time.Duration
}

func (l *lateness) add(d time.Duration) {
	l.buckets[latenessBucket(d)]++
	l.count++
	l.max = max(l.max, d)
}

// latenessBucket takes the position of the highest bit and the three bits below.
func latenessBucket(d time.Duration) int {
	if d < 1<<latenessMinBits {
		return 0
	}
	log := bits.Len64(uint64(d)) - 1
	step := int(d>>(log-3)) & (latenessSteps - 1)
	return min(1+(log-latenessMinBits)*latenessSteps+step, latenessBuckets-1)
}

// quantile returns the upper end of the bucket that holds the q-th part, at most
// the maximum; 0 when empty.
func (l *lateness) quantile(q float64) time.Duration {
	rank := uint64(q * float64(l.count))
	var seen uint64
	for i, n := range l.buckets {
		if seen += n; seen > rank {
			return min(latenessEnd(i), l.max)
		}
	}
	return l.max
}

func latenessEnd(bucket int) time.Duration {
	log := latenessMinBits + bucket/latenessSteps
	return time.Duration(latenessSteps+bucket%latenessSteps) << (log - 3)
}

// LatenessSummary says how much later than the model's ideal times a direction's
// packets left. Quantiles are rounded up by at most an eighth.
type LatenessSummary struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
}

func (l *lateness) summary() LatenessSummary {
	return LatenessSummary{
		Count: l.count,
		P50:   l.quantile(0.5),
		P99:   l.quantile(0.99),
		P999:  l.quantile(0.999),
		Max:   l.max,
	}
}
