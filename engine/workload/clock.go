package workload

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic returns what reads CLOCK_MONOTONIC in nanoseconds, the same in every
// process of the machine. It asks the kernel once and then adds Go's own monotonic
// time, which is that clock too and costs no system call.
func monotonic() (func() int64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return nil, fmt.Errorf("read CLOCK_MONOTONIC: %w", err)
	}
	base := time.Now()
	return func() int64 { return ts.Nano() + int64(time.Since(base)) }, nil
}
