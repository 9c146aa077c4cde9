package relay

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestLatenessQuantiles(t *testing.T) {
	var l lateness
	if got := l.summary(); got != (LatenessSummary{}) {
		t.Errorf("empty histogram gives %+v", got)
	}
	for i := range 1000 {
		l.add(time.Duration(i+1) * time.Microsecond)
	}
	s := l.summary()
	if s.Count != 1000 || s.Max != time.Millisecond {
		t.Errorf("count %d, maximum %v; want 1000, 1ms", s.Count, s.Max)
	}
	for _, q := range []struct {
		name      string
		got, want time.Duration
	}{{"p50", s.P50, 500 * time.Microsecond}, {"p99", s.P99, 990 * time.Microsecond}, {"p999", s.P999, 999 * time.Microsecond}} {
		if q.got < q.want || q.got > q.want*9/8 {
			t.Errorf("%s is %v, want %v or up to an eighth more", q.name, q.got, q.want)
		}
	}
}

// Each duration falls into a bucket that ends above it, by an eighth at most.
func TestLatenessBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "ns"))
		b := latenessBucket(d)
		if b < 0 || b >= latenessBuckets {
			t.Fatalf("%v falls into bucket %d of %d", d, b, latenessBuckets)
		}
		if d >= 1<<latenessMaxBits {
			return
		}
		if end := latenessEnd(b); d >= end || d >= 1<<latenessMinBits && end > d+d/8+1 {
			t.Fatalf("%d ns falls into the bucket that ends at %d", d, end)
		}
		if b > 0 && d < latenessEnd(b-1) {
			t.Fatalf("%d ns falls into bucket %d, but bucket %d reaches to %d", d, b, b-1, latenessEnd(b-1))
		}
	})
}

// Below a microsecond and never negative: a departure in time counts as none.
func TestLatenessOfPunctualPackets(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, 1, 1023} {
		if b := latenessBucket(d); b != 0 {
			t.Errorf("%v falls into bucket %d, want 0", d, b)
		}
	}
}

func TestPoolHasALimit(t *testing.T) {
	p := pool{size: poolLimit / poolChunk / 2}
	var taken [][]byte
	for range 2 * poolChunk {
		b := p.take(10)
		if len(b) != 10 {
			t.Fatalf("buffer %d has %d bytes, want 10", len(taken), len(b))
		}
		taken = append(taken, b)
	}
	if b := p.take(10); b != nil {
		t.Error("the pool gave more than its limit")
	}
	p.give(taken[0])
	if b := p.take(p.size); len(b) != p.size {
		t.Errorf("a returned buffer comes back with %d bytes, want %d", len(b), p.size)
	}
}

func TestClockConversion(t *testing.T) {
	now := reading{mono: 1_000_000, real: 5_000_000_000}
	for _, tc := range []struct {
		name     string
		real     int64
		earliest int64
		want     int64
	}{
		{"just now", 5_000_000_000, 0, 1_000_000},
		{"a while ago", 4_999_400_000, 0, 400_000},
		{"before the frame before it", 4_999_400_000, 500_000, 500_000},
		{"wall clock stepped back since", 9_000_000_000, 0, 1_000_000},
		{"wall clock stepped forward since", 1_000_000_000, 700_000, 700_000},
	} {
		if got := now.convert(tc.real, emulation.Time(tc.earliest)); got != emulation.Time(tc.want) {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
}
