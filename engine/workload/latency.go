package workload

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is a distribution of times.
type Latency struct {
	Count int64         `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
	// HDR is all of it: an HdrHistogram, V2 compressed, in base64, whose values are
	// microseconds with three digits. Empty when Count is 0.
	HDR string `json:"hdr,omitempty"`
}

// The histogram's range, in microseconds: what is longer counts as the longest.
const (
	longestLatency = int64(24 * time.Hour / time.Microsecond)
	latencyDigits  = 3
)

// latencies collects times. It is not safe for concurrent use.
type latencies struct{ h *hdrhistogram.Histogram }

func newLatencies() latencies {
	return latencies{hdrhistogram.New(1, longestLatency, latencyDigits)}
}

// add takes a time in nanoseconds up, rounded to microseconds.
func (l latencies) add(ns int64) {
	// A value within the range is always recorded.
	_ = l.h.RecordValue(min(max((ns+500)/1000, 0), longestLatency))
}

func (l latencies) summary() (Latency, error) {
	s := Latency{Count: l.h.TotalCount()}
	if s.Count == 0 {
		return s, nil
	}
	at := func(percentile float64) time.Duration {
		return time.Duration(l.h.ValueAtPercentile(percentile)) * time.Microsecond
	}
	s.P50, s.P90, s.P99, s.P999 = at(50), at(90), at(99), at(99.9)
	s.Max = time.Duration(l.h.Max()) * time.Microsecond
	hdr, err := l.h.EncodeV2()
	if err != nil {
		return s, fmt.Errorf("encode the histogram: %w", err)
	}
	s.HDR = string(hdr)
	return s, nil
}
