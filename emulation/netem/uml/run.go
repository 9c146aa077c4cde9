package uml

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation/netem/uml/internal/boot"
)

// Config is what to run inside, and in how large a machine.
type Config struct {
	Test    string        // -test.run of the calling package's tests; required
	Modules []string      // kernel modules by name; what they need comes with them
	Memory  int64         // of the machine, bytes; 0 means 512 MiB
	Timeout time.Duration // of the machine, from power on to power off; 0 means 2 minutes
	Nice    int           // of the machine on the host, as for tests of its timers; without the right to it, the host's default
	Share   string        // a folder that the tests inside may write to, at the same path; "" means none
}

// The defaults of Config.
const (
	defaultMemory  = 512 << 20
	defaultTimeout = 2 * time.Minute
)

// Inside reports whether this process runs inside User-Mode Linux.
func Inside() bool {
	// The kernel's own word (arch/um/kernel/um_arch.c, show_cpuinfo).
	cpu, err := os.ReadFile("/proc/cpuinfo")
	return err == nil && bytes.Contains(cpu, []byte("User Mode Linux"))
}

// Run boots a machine that runs the tests of the calling package that cfg.Test
// matches, and returns which those were. It fails t unless they all pass and at
// least one did; see the package comment.
func Run(t *testing.T, cfg Config) Report {
	t.Helper()
	if Inside() {
		t.Fatal("already inside User-Mode Linux: a test must look at uml.Inside before it boots another")
	}
	report, err := run(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("inside: %d passed", len(report.Passed))
	return report
}

// run is Run with its failures as an error.
func run(t testing.TB, cfg Config) (Report, error) {
	if cfg.Test == "" {
		return Report{}, fmt.Errorf("uml.Config.Test is empty: say which tests to run inside")
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	m, err := prepare(t, cfg)
	if err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), cfg.Timeout)
	defer cancel()
	if deadline, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, ok := deadline.Deadline(); ok {
			ctx, cancel = context.WithDeadline(ctx, at.Add(-2*grace))
			defer cancel()
		}
	}
	var report Report
	m.output = func(line string) {
		if text, show := report.take(line); show {
			fmt.Fprintf(t.Output(), "    | %s\n", text)
		}
	}
	outcome, err := m.run(ctx)
	if err != nil {
		return report, err
	}
	return report, report.verdict(outcome.Exit)
}

// prepare makes all that a machine needs, in a folder that goes with the test.
func prepare(t testing.TB, cfg Config) (machine, error) {
	kernel, err := findKernel(t.Context())
	if err != nil {
		return machine{}, err
	}
	modules, err := modulePaths(kernel.modules, cfg.Modules)
	if err != nil {
		return machine{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return machine{}, err
	}
	root, err := moduleRoot(t.Context(), dir)
	if err != nil {
		return machine{}, err
	}
	// Not t.TempDir, whose long path does not fit the machine's control socket.
	folder, err := os.MkdirTemp("", "uml-")
	if err != nil {
		return machine{}, err
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	tests, first, err := buildInside(t.Context(), dir, folder)
	if err != nil {
		return machine{}, err
	}
	mounts := []boot.Mount{{Path: root}, {Path: folder}}
	if cfg.Share != "" {
		mounts = append(mounts, boot.Mount{Path: cfg.Share, Write: true})
	}
	return machine{
		kernel: kernel, folder: folder, memory: cfg.Memory, nice: cfg.Nice, first: first,
		order: boot.Order{
			Modules: modules, Mounts: mounts, Dir: dir,
			Argv: []string{
				tests, "-test.v=test2json", "-test.run=" + cfg.Test, "-test.count=1",
				// Before the machine's own, so that a hang shows its stacks.
				fmt.Sprintf("-test.timeout=%s", cfg.Timeout*9/10),
			},
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				"HOME=/tmp", "TMPDIR=/tmp",
			},
		},
	}, nil
}
