package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// meter holds the process's counters at one instant.
type meter struct {
	cpu        time.Duration
	mallocs    uint64
	allocBytes uint64
	gcCycles   uint32
}

// readMeter reads the counters. It stops the world for a moment, so it is
// called at the ends of a workload only.
func readMeter() (meter, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return meter{}, fmt.Errorf("read the CPU time: %w", err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return meter{
		cpu:        time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		mallocs:    m.Mallocs,
		allocBytes: m.TotalAlloc,
		gcCycles:   m.NumGC,
	}, nil
}

// since returns what was used between start and m.
func (m meter) since(start meter) (Usage, error) {
	peak, err := peakRSS()
	if err != nil {
		return Usage{}, err
	}
	return Usage{
		CPU:        m.cpu - start.cpu,
		Mallocs:    m.mallocs - start.mallocs,
		AllocBytes: m.allocBytes - start.allocBytes,
		GCCycles:   int64(m.gcCycles - start.gcCycles),
		PeakRSS:    peak,
	}, nil
}

// peakRSS returns the process's largest resident set, in bytes. It comes from
// VmHWM and not from getrusage, whose maximum survives exec and so includes the
// lab's own size.
func peakRSS() (int64, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read the peak RSS: %w", err)
	}
	defer f.Close()
	return parsePeakRSS(f)
}

// parsePeakRSS finds VmHWM in the text of /proc/<pid>/status (proc(5)).
func parsePeakRSS(r io.Reader) (int64, error) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		value, ok := strings.CutPrefix(s.Text(), "VmHWM:")
		if !ok {
			continue
		}
		kib, ok := strings.CutSuffix(strings.TrimSpace(value), " kB")
		n, err := strconv.ParseInt(strings.TrimSpace(kib), 10, 64)
		if !ok || err != nil || n < 0 || n > 1<<52 {
			return 0, fmt.Errorf("read the peak RSS: %q is no number of kB", s.Text())
		}
		return n << 10, nil
	}
	return 0, errors.Join(errors.New("read the peak RSS: no VmHWM line"), s.Err())
}
