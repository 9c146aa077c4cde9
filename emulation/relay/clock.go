package relay

import (
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// clock is the model's time: nanoseconds since the relay began, monotonic.
type clock struct{ base time.Time }

func (c clock) at(t time.Time) emulation.Time { return emulation.Time(t.Sub(c.base)) }

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
