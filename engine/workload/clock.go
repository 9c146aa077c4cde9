package workload

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// clock reads CLOCK_MONOTONIC in nanoseconds, the same in every process of the
// machine. It asks the kernel once and then adds Go's own monotonic time, which is
// that clock too and costs no system call.
type clock struct {
	base time.Time
	ns   int64
}

func newClock() (clock, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return clock{}, fmt.Errorf("read CLOCK_MONOTONIC: %w", err)
	}
	return clock{base: time.Now(), ns: ts.Nano()}, nil
}

func (c clock) now() int64 { return c.ns + int64(time.Since(c.base)) }
