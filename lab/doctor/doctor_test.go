package doctor

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write golden files anew")

func says(detail string, err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return detail, err }
}

// fake is a machine with something of everything.
func fake() []Check {
	return []Check{
		{"rights", "root", Required, "namespaces", "no lab comes up", "sudo", says("", nil)},
		{"kernel", "veth", Required, "links", "no lab comes up", "CONFIG_VETH", says("", lacking(unix.EOPNOTSUPP))},
		{"kernel", "pidfd", Required, "ending", "down cannot", "Linux 5.3", says("", os.NewSyscallError("pidfd_open", unix.EPERM))},
		{"kernel", "netem", Useful, "backend netem", "the relay does it", "modprobe sch_netem", says("seeded", nil)},
		{"kernel", "BTF", Useful, "probes", "fewer counts", "Linux 5.4", says("", errors.Join(errors.New("one thing"), errors.New("another")))},
		{"tools", "tshark", Tests, "tests", "tests fail", "apt install tshark", says("", absent("it is not in PATH"))},
		{"tools", "ip", Useful, "looking", "less to see", "apt install iproute2", says("/usr/sbin/ip", nil)},
	}
}

func TestTable(t *testing.T) {
	for name, checks := range map[string][]Check{"mixed": fake(), "well": fake()[:1], "none": nil} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := Write(&b, Run(t.Context(), checks)); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	r := Run(t.Context(), fake())
	want := []Answer{Yes, No, Unknown, Yes, Unknown, No, Yes}
	for i, f := range r.Findings {
		if f.Answer != want[i] || (f.Answer == Yes) != (f.Get == "") || (f.Answer == Yes) != (f.Cost == "") {
			t.Errorf("%s: %+v, want %s, and what to do where it is not yes", f.Name, f, want[i])
		}
	}
	if r.OK || len(r.Missing(Required)) != 2 || len(r.Missing(Useful)) != 1 || len(r.Missing(Tests)) != 1 {
		t.Errorf("OK %v, missing %v, want two required, one useful and one of tests", r.OK, r.Missing(Required))
	}
	if r := Run(t.Context(), fake()[3:]); !r.OK {
		t.Error("nothing required is missing, and it is not OK")
	}
}

// A probe that hangs is given up; the others go on.
func TestHangingProbe(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	release := make(chan struct{})
	defer close(release)
	hang := func(context.Context) (string, error) { <-release; return "", nil }
	r := Run(ctx, []Check{{"g", "hangs", Useful, "f", "c", "g", hang}, {"g", "next", Useful, "f", "c", "g", says("", nil)}})
	if r.Findings[0].Answer != Unknown || len(r.Findings) != 2 {
		t.Errorf("got %+v, want that the first could not be told", r.Findings)
	}
}

func TestLacking(t *testing.T) {
	for err, want := range map[error]bool{
		unix.ENOENT: true, unix.EOPNOTSUPP: true, unix.ENOPROTOOPT: true, unix.EPROTONOSUPPORT: true, unix.EAFNOSUPPORT: true, unix.ENOSYS: true,
		fmt.Errorf("set: %w", unix.ENOPROTOOPT): true,
		unix.EPERM:                              false, unix.EBUSY: false, errors.New("no such file or directory"): false,
	} {
		if got := lacking(err); errors.Is(got, ErrAbsent) != want || !errors.Is(got, err) {
			t.Errorf("lacking(%v) = %v, want absent %v and the cause kept", err, got, want)
		}
	}
	if lacking(nil) != nil {
		t.Error("lacking(nil) is an error")
	}
}

func TestSettings(t *testing.T) {
	root := func(path, text string) fstest.MapFS {
		return fstest.MapFS{path: &fstest.MapFile{Data: []byte(text)}}
	}
	const rmem, clock, share, quota, tcp = "proc/sys/net/core/rmem_max", "sys/devices/system/clocksource/clocksource0/current_clocksource", "proc/sys/kernel/sched_rt_runtime_us", "sys/fs/cgroup/cpu.max", "proc/sys/net/ipv4/tcp_available_congestion_control"
	rmemMax := func(fs fstest.MapFS) func(context.Context) (string, error) {
		return sysctlAtLeast(fs, "net.core.rmem_max", 1000)
	}
	source := func(fs fstest.MapFS) func(context.Context) (string, error) { return clockSource(fs) }
	for _, tt := range []struct {
		name       string
		path, text string
		probe      func(fstest.MapFS) func(context.Context) (string, error)
		want       Answer
		says       string
	}{
		{"large enough", rmem, "1000\n", rmemMax, Yes, "1000"},
		{"too small", rmem, "999\n", rmemMax, No, "it is 999, and 1000 would do"},
		{"no number", rmem, "lots\n", rmemMax, Unknown, `"lots"`},
		{"empty", rmem, "", rmemMax, Unknown, ""},
		{"no such setting", "elsewhere", "1", rmemMax, No, "no /" + rmem},
		{"a good clock", clock, "tsc\n", source, Yes, "tsc"},
		{"a clock of a virtual machine", clock, "kvm-clock\n", source, Yes, "kvm-clock"},
		{"a slow clock", clock, "hpet\n", source, No, "hpet"},
		{"real time", share, "950000\n", func(fs fstest.MapFS) func(context.Context) (string, error) { return realtimeShare(fs) }, Yes, "950000"},
		{"real time for ever", share, "-1\n", func(fs fstest.MapFS) func(context.Context) (string, error) { return realtimeShare(fs) }, Yes, "without"},
		{"no real time", share, "0\n", func(fs fstest.MapFS) func(context.Context) (string, error) { return realtimeShare(fs) }, No, "is 0"},
		{"a small quota", quota, "100000 100000\n", func(fs fstest.MapFS) func(context.Context) (string, error) { return cpus(fs) }, No, "1 CPUs"},
		{"a broken quota", quota, "many\n", func(fs fstest.MapFS) func(context.Context) (string, error) { return cpus(fs) }, Unknown, `"many"`},
		{"BBR", tcp, "reno cubic bbr\n", func(fs fstest.MapFS) func(context.Context) (string, error) { return congestionControls(fs) }, Yes, "bbr"},
		{"another one's name in it", tcp, "reno bbr2\n", func(fs fstest.MapFS) func(context.Context) (string, error) { return congestionControls(fs) }, No, "bbr2"},
		{"tracefs", "sys/kernel/debug/tracing/events/x", "", func(fs fstest.MapFS) func(context.Context) (string, error) { return tracing(fs) }, Yes, "/sys/kernel/debug/tracing"},
		{"no tracefs", "sys/kernel/x", "", func(fs fstest.MapFS) func(context.Context) (string, error) { return tracing(fs) }, No, "not mounted"},
		{"BTF", "sys/kernel/btf/vmlinux", "x", func(fs fstest.MapFS) func(context.Context) (string, error) { return btf(fs) }, Yes, ""},
		{"no BTF", "sys/kernel/x", "x", func(fs fstest.MapFS) func(context.Context) (string, error) { return btf(fs) }, No, "vmlinux"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Check{Probe: tt.probe(root(tt.path, tt.text))}.find(t.Context())
			if f.Answer != tt.want || !strings.Contains(f.Detail, tt.says) {
				t.Errorf("got %s, %q, want %s and %q", f.Answer, f.Detail, tt.want, tt.says)
			}
		})
	}
}

func TestParseQuota(t *testing.T) {
	for text, want := range map[string]struct {
		cpus    float64
		limited bool
		ok      bool
	}{
		"max 100000":          {0, false, true},
		"150000 100000":       {1.5, true, true},
		"0 100000":            {},
		"-1 100000":           {},
		"100000 0":            {},
		"100000":              {},
		"":                    {},
		"max":                 {},
		"1 2 3":               {},
		"99999999999999999 1": {},
	} {
		cpus, limited, err := parseQuota(text)
		if cpus != want.cpus || limited != want.limited || (err == nil) != want.ok {
			t.Errorf("parseQuota(%q) = %v, %v, %v; want %+v", text, cpus, limited, err, want)
		}
	}
}

func FuzzParseQuota(f *testing.F) {
	f.Add("max 100000")
	f.Add("150000 100000")
	f.Fuzz(func(t *testing.T, text string) {
		cpus, limited, err := parseQuota(text)
		if err == nil && limited != (cpus > 0) || cpus < 0 {
			t.Errorf("parseQuota(%q) = %v, %v, %v", text, cpus, limited, err)
		}
	})
}

func TestToolsAndDisk(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name  string
		probe func(context.Context) (string, error)
		want  Answer
	}{
		{"the second of two names", tool("no-such-program-here", "sh"), Yes},
		{"no such program", tool("no-such-program-here"), No},
		{"room", disk(dir, 1), Yes},
		{"room where a folder will be", disk(filepath.Join(dir, "not", "yet"), 1), Yes},
		{"not enough room", disk(dir, 1<<62), No},
	} {
		if f := (Check{Probe: tt.probe}).find(t.Context()); f.Answer != tt.want {
			t.Errorf("%s: %+v, want %s", tt.name, f, tt.want)
		}
	}
}

// Every check says what it is for, what its lack costs and how to get it.
func TestChecksAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Checks(Config{Root: os.DirFS("/"), Runs: "."}) {
		if c.Group == "" || c.Name == "" || c.Need == "" || c.For == "" || c.Cost == "" || c.Get == "" || c.Probe == nil || seen[c.Name] {
			t.Errorf("check %+v lacks something or is there twice", c)
		}
		seen[c.Name] = true
	}
}

// On the machine that runs the tests, which raises labs, all that is required is
// there. The probes leave no namespace: not by name, not by thread, not by file.
func TestThisMachine(t *testing.T) {
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	before, _ := filepath.Glob("/run/netns/*")
	r := Run(t.Context(), Checks(Config{Root: os.DirFS("/"), Runs: "."}))
	for _, f := range r.Findings {
		if f.Need == Required && f.Answer != Yes {
			t.Errorf("%s: %s: %s", f.Name, f.Answer, f.Detail)
		}
	}
	if now, err := os.Readlink("/proc/self/ns/net"); now != home {
		t.Errorf("the process's first thread is in %s, not in %s any more: %v", now, home, err)
	}
	after, _ := filepath.Glob("/run/netns/*")
	for _, name := range after {
		if !slices.Contains(before, name) && strings.Contains(name, "probe") {
			t.Errorf("namespace %s was left", name)
		}
	}
	var left []string
	for range 500 { // threads end on their own time
		if left = foreignNamespaces(t, home); len(left) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("namespaces are held by %v", left)
}

// foreignNamespaces returns the threads and files of this process that hold another
// network namespace.
func foreignNamespaces(t *testing.T, home string) []string {
	t.Helper()
	var held []string
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if to, err := os.Readlink(p); err == nil && strings.HasPrefix(to, "net:") && to != home {
				held = append(held, p)
			}
		}
	}
	return held
}
