package uml

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestInside is one test on both sides: outside it boots a machine and looks at
// what came of it, inside it looks at what a test finds there.
func TestInside(t *testing.T) {
	if Inside() {
		t.Run("tree", testTree)
		t.Run("host is read-only", testReadOnly)
		t.Run("loopback", testLoopback)
		t.Run("modules", testModules)
		t.Run("programs", testPrograms)
		return
	}
	report := Run(t, Config{Test: "^TestInside$", Modules: []string{"bridge", "veth", "sch_netem", "hostfs"}, Memory: 256 << 20})
	want := []string{
		"TestInside/tree", "TestInside/host_is_read-only", "TestInside/loopback", "TestInside/modules",
		"TestInside/programs", "TestInside",
	}
	if !slices.Equal(report.Passed, want) {
		t.Errorf("passed inside: %q, want %q", report.Passed, want)
	}
}

func testTree(t *testing.T) {
	for _, folder := range []string{"/run", "/tmp", "/dev/shm", os.TempDir()} {
		file := filepath.Join(folder, "written")
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Errorf("write below %s: %v", folder, err)
		}
	}
	for _, file := range []string{"/proc/self/status", "/sys/class/net/lo", "/dev/null", "/dev/urandom", "/dev/pts/ptmx", "/dev/fd/0", "doc.go"} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile("/dev/null", []byte("x"), 0); err != nil {
		t.Error(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(self, "-test.list=TestInside").CombinedOutput(); err != nil || !strings.Contains(string(out), "TestInside") {
		t.Errorf("run the test binary from inside: %v\n%s", err, out)
	}
}

func testReadOnly(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"/", "/etc", "/root", "/var/tmp", ".", filepath.Dir(self)} {
		file := filepath.Join(folder, "must-not-be")
		if err := os.WriteFile(file, nil, 0o600); err == nil {
			os.Remove(file)
			t.Errorf("%s can be written to", folder)
		}
	}
}

func testLoopback(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.DialTimeout("tcp", listener.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func testModules(t *testing.T) {
	for _, name := range []string{"bridge", "stp", "llc", "ipv6", "veth", "sch_netem"} {
		if _, err := os.Stat("/sys/module/" + name); err != nil {
			t.Error(err)
		}
	}
}

func testPrograms(t *testing.T) {
	out, err := exec.Command("/bin/sh", "-c", "echo from a shell; exit 3").CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 || !bytes.Equal(out, []byte("from a shell\n")) {
		t.Errorf("a host program inside: %v, %q", err, out)
	}
}
