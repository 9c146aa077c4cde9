package uml

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMachine is about machines that do not end well. Outside it looks at how
// each is told; inside it is what misbehaves.
func TestMachine(t *testing.T) {
	if Inside() {
		misbehave(t)
		return
	}
	for _, c := range []struct {
		name string // of the test inside
		want string // part of the error
	}{
		{"fail", "failed inside: TestMachine/fail, TestMachine"},
		{"skip", "skipped inside, where nothing is to be missing: TestMachine/skip"},
		{"die", "status 137"},
		{"power off", "without a word"},
		{"crash", "without a word"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := run(t, Config{Test: "^TestMachine$/^" + strings.ReplaceAll(c.name, " ", "_") + "$", Memory: 128 << 20})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q in it", err, c.want)
			}
		})
	}
	t.Run("no test", func(t *testing.T) {
		_, err := run(t, Config{Test: "^TestNoneSuch$", Memory: 128 << 20})
		if err == nil || !strings.Contains(err.Error(), "no test ran inside") {
			t.Errorf("got error %v", err)
		}
	})
	t.Run("unknown module", func(t *testing.T) {
		_, err := run(t, Config{Test: ".", Modules: []string{"sch_nosuch"}})
		if err == nil || !strings.Contains(err.Error(), "no module sch_nosuch") {
			t.Errorf("got error %v", err)
		}
	})
}

func misbehave(t *testing.T) {
	t.Run("fail", func(t *testing.T) { t.Error("as asked") })
	t.Run("skip", func(t *testing.T) { t.Skip("as asked") })
	t.Run("die", func(t *testing.T) { t.Log(unix.Kill(os.Getpid(), unix.SIGKILL)) })
	t.Run("power off", func(t *testing.T) { t.Log(unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)) })
	t.Run("crash", func(t *testing.T) {
		t.Log(os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0))
		time.Sleep(time.Hour)
	})
	t.Run("hang", func(t *testing.T) { t.Log(unix.Kill(os.Getpid(), unix.SIGSTOP)) })
}

// TestHang stops a machine in which nothing moves any more, and looks for what
// is left of it.
func TestHang(t *testing.T) {
	m, err := prepare(t, Config{Test: "^TestMachine$/^hang$", Memory: 128 << 20, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	m.output = func(string) {}
	if _, err := m.run(ctx); !errors.Is(err, errTimeUp) {
		t.Errorf("got error %v, want %v", err, errTimeUp)
	}
	if left := processes(t, "uml_dir="+m.folder); len(left) != 0 {
		t.Errorf("processes %v are left", left)
	}
	if names, err := filepath.Glob(m.folder + "/machine/*"); err != nil || len(names) != 0 {
		t.Errorf("%v are left (%v)", names, err)
	}
}

// processes returns the ids of those with the word on their command line.
func processes(t *testing.T, word string) (ids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(line), word) {
			ids = append(ids, filepath.Base(filepath.Dir(file)))
		}
	}
	return ids
}

func TestFindKernelSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := findKernel(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install user-mode-linux") {
		t.Errorf("without User-Mode Linux: %v", err)
	}
}
