package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab"
)

func privileges(context.Context) (string, error) {
	err := lab.CheckPrivileges()
	if errors.Is(err, lab.ErrPrivileges) {
		return "", absentError{err}
	}
	return "", err
}

// sysctlAtLeast returns a probe that wants a setting of the machine to be a number
// and large enough.
func sysctlAtLeast(root fs.FS, name string, least int64) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		text, err := readLine(root, "proc/sys/"+strings.ReplaceAll(name, ".", "/"))
		if err != nil {
			return "", err
		}
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "", fmt.Errorf("%s is %q, not a number", name, text)
		}
		if value < least {
			return "", absent("it is %d, and %d would do", value, least)
		}
		return text, nil
	}
}

// readLine returns what a file of the kernel's says, without its newline. A missing
// one is absent.
func readLine(root fs.FS, path string) (string, error) {
	const most = 1 << 16
	f, err := root.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", absent("there is no /%s", path)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, most)
	n, err := f.Read(buf)
	if err != nil && n == 0 {
		return "", fmt.Errorf("read /%s: %w", path, err)
	}
	return strings.TrimSpace(string(buf[:n])), nil
}

// realtimeShare wants the kernel to let real-time threads run.
func realtimeShare(root fs.FS) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		text, err := readLine(root, "proc/sys/kernel/sched_rt_runtime_us")
		if err != nil {
			return "", err
		}
		share, err := strconv.Atoi(text)
		switch {
		case err != nil:
			return "", fmt.Errorf("kernel.sched_rt_runtime_us is %q, not a number", text)
		case share == 0:
			return "", absent("kernel.sched_rt_runtime_us is 0: no real-time thread may run")
		case share < 0:
			return "without a limit", nil
		}
		return text + " us of its period", nil
	}
}

// clockSource wants a clock that is read without a system call, or nearly.
func clockSource(root fs.FS) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		text, err := readLine(root, "sys/devices/system/clocksource/clocksource0/current_clocksource")
		if err != nil {
			return "", err
		}
		switch text {
		case "hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit":
			return "", absent("the clock is %s, which takes a microsecond and more to read", text)
		}
		return text, nil
	}
}

func timers(context.Context) (string, error) {
	var resolution unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC, &resolution); err != nil {
		return "", os.NewSyscallError("clock_getres", err)
	}
	if ns := resolution.Nano(); ns > 1 {
		return "", absent("timers have a resolution of %d ns", ns)
	}
	return "1 ns", nil
}

// cpus returns a probe that wants two CPUs, within the cgroup's quota.
func cpus(root fs.FS) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		n := float64(runtime.NumCPU())
		text, err := readLine(root, "sys/fs/cgroup/cpu.max")
		if err == nil {
			quota, limited, err := parseQuota(text)
			if err != nil {
				return "", err
			}
			if limited {
				n = min(n, quota)
			}
		} else if !errors.Is(err, ErrAbsent) {
			return "", err
		}
		if n < 2 {
			return "", absent("there are %g CPUs to use", n)
		}
		return strconv.FormatFloat(n, 'g', 3, 64), nil
	}
}

// parseQuota reads cpu.max of a control group: a quota, or max, and the period, in
// us (Documentation/admin-guide/cgroup-v2.rst). The quota is returned in CPUs.
func parseQuota(text string) (cpus float64, limited bool, err error) {
	quota, period, ok := strings.Cut(text, " ")
	p, err := strconv.ParseUint(period, 10, 32)
	if !ok || err != nil || p == 0 {
		return 0, false, fmt.Errorf("cpu.max is %q, not a quota and a period", text)
	}
	if quota == "max" {
		return 0, false, nil
	}
	q, err := strconv.ParseUint(quota, 10, 48)
	if err != nil || q == 0 {
		return 0, false, fmt.Errorf("cpu.max is %q, not a quota and a period", text)
	}
	return float64(q) / float64(p), true, nil
}

// congestionControls names what TCP can be told to use.
func congestionControls(root fs.FS) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		text, err := readLine(root, "proc/sys/net/ipv4/tcp_available_congestion_control")
		if err != nil {
			return "", err
		}
		for _, name := range strings.Fields(text) {
			if name == "bbr" {
				return text, nil
			}
		}
		return "", absent("loaded are %s", text)
	}
}

// tracing wants the kernel's tracepoints to be there for probes.
func tracing(root fs.FS) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		for _, path := range []string{"sys/kernel/tracing", "sys/kernel/debug/tracing"} {
			entries, err := fs.ReadDir(root, path)
			if err == nil && len(entries) > 0 {
				return "/" + path, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
		return "", absent("tracefs is not mounted")
	}
}

func btf(root fs.FS) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		_, err := fs.Stat(root, "sys/kernel/btf/vmlinux")
		if errors.Is(err, fs.ErrNotExist) {
			return "", absent("there is no /sys/kernel/btf/vmlinux")
		}
		return "", err
	}
}
