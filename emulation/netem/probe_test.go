package netem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestProbe holds Probe to the kernel it runs on: where it says yes, all the
// tests that need netem run here too; TestInUserModeLinux and TestTimesInUserModeLinux have a kernel where it
// must say yes.
func TestProbe(t *testing.T) {
	before := footprint(t)
	_, err := Probe()
	if after := footprint(t); !slices.Equal(after, before) {
		t.Errorf("Probe left something behind: %q, before %q", after, before)
	}
	switch {
	case err == nil:
		runKernelTests(t, kernelTests)
		runKernelTests(t, timeTests)
	case !errors.Is(err, ErrNotSupported):
		t.Errorf("Probe could not tell: %v", err)
	case !strings.Contains(err.Error(), "modprobe sch_netem") || !strings.Contains(err.Error(), "CONFIG_NET_SCH_NETEM"):
		t.Errorf("Probe does not say what is missing: %v", err)
	}
}

// TestProbeElsewhere runs Probe on a thread in a namespace of its own, which
// must look the same afterwards.
func TestProbeElsewhere(t *testing.T) {
	r := &rig{t: t, wire: scratch(t)}
	r.must(within(r.wire, func() error {
		here, err := os.Readlink(ownNamespace)
		if err != nil {
			return err
		}
		if _, err := Probe(); err != nil && !errors.Is(err, ErrNotSupported) {
			return err
		}
		if now, err := os.Readlink(ownNamespace); err != nil || now != here {
			return fmt.Errorf("the caller's thread went from %s to %s (%v)", here, now, err)
		}
		return nil
	}))
	links, err := r.handle(r.wire).LinkList()
	r.must(err)
	if len(links) != 1 || links[0].Attrs().Name != "lo" {
		t.Errorf("%d links in the caller's namespace, want lo alone", len(links))
	}
}

// footprint is the network namespaces that this process holds: those of its
// threads, and those of its open files. A namespace without a name lives no
// longer than they do.
func footprint(t *testing.T) []string {
	t.Helper()
	var held []string
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			// Threads and files come and go meanwhile.
			if target, err := os.Readlink(name); err == nil && strings.HasPrefix(target, "net:") {
				held = append(held, target)
			}
		}
	}
	slices.Sort(held)
	return slices.Compact(held)
}

func TestLacking(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"no such qdisc", unix.ENOENT, true},
		{"no such link type", unix.EOPNOTSUPP, true},
		{"not allowed", unix.EPERM, false},
		{"no such device", unix.ENODEV, false},
		{"bad parameter", unix.EINVAL, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := lacking(fmt.Errorf("netlink: %w", c.err), "sch_netem", "CONFIG_NET_SCH_NETEM")
			if got := errors.Is(err, ErrNotSupported); got != c.want {
				t.Errorf("%v is ErrNotSupported: %t, want %t", err, got, c.want)
			}
			if !errors.Is(err, c.err) {
				t.Errorf("%v hides its cause", err)
			}
		})
	}
}
