package relay

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation"
)

// clock is the model's time: CLOCK_MONOTONIC in nanoseconds, as every process of the
// machine reads it.
type clock struct {
	base   time.Time
	offset emulation.Time // of base
}

// newClock ties Go's monotonic readings, which are CLOCK_MONOTONIC from an origin
// that they keep for themselves, to the clock: to a microsecond or better, the
// shortest of some tries.
func newClock() (clock, error) {
	var c clock
	best := time.Duration(-1)
	for range 16 {
		before := time.Now()
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			return clock{}, fmt.Errorf("read the monotonic clock: %w", err)
		}
		if took := time.Since(before); best < 0 || took < best {
			best = took
			c = clock{base: before, offset: emulation.Time(ts.Nano()).Add(-took / 2)}
		}
	}
	return c, nil
}

func (c clock) at(t time.Time) emulation.Time { return c.offset.Add(t.Sub(c.base)) }

func (c clock) now() emulation.Time { return c.at(time.Now()) }

// reading is one look at the clocks. It turns the kernel's arrival times, which
// are on CLOCK_REALTIME, into the model's.
type reading struct {
	mono emulation.Time
	real int64 // CLOCK_REALTIME, ns
}

func (c clock) read() reading {
	now := time.Now() // takes both clocks at the same moment
	return reading{mono: c.at(now), real: now.UnixNano()}
}

// mono turns a time on CLOCK_REALTIME into the model's. The result is not before
// earliest nor after the reading, which bounds what a step of the wall clock
// between the two can do.
func (r reading) convert(realTime int64, earliest emulation.Time) emulation.Time {
	return min(max(r.mono-emulation.Time(r.real-realTime), earliest), r.mono)
}
