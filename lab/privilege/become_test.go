package privilege

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain makes the test binary somebody else, who says who they are.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "become" {
		u := User{UID: 65534, GID: 65534, Groups: []int{100, 4}}
		if err := u.Become(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		status, err := os.ReadFile("/proc/self/status")
		fmt.Println(err, string(status))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The real thing, by the kernel's word.
func TestBecome(t *testing.T) {
	out, err := exec.Command("/proc/self/exe", "become").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65534\t65534\t65534\t65534\n", "Groups:\t4 100 \n", "CapEff:\t0000000000000000\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the process's status lacks %q:\n%s", want, out)
		}
	}
}

func TestNobodyBecomesRoot(t *testing.T) {
	for _, u := range []User{{}, {UID: -1, GID: 5}, {UID: 5, GID: -1}} {
		if err := u.Become(); err == nil || !strings.Contains(err.Error(), "nobody to become") {
			t.Errorf("Become(%+v) = %v, want a refusal", u, err)
		}
	}
}

func TestCheckStatus(t *testing.T) {
	const good = "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t4 27 \nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n"
	user := User{UID: 1000, GID: 1000, Groups: []int{27, 4}}
	tests := []struct {
		name, old, new, want string
	}{
		{"dropped", "", "", ""},
		{"saved uid is root", "1000\nGid", "0\nGid", "Uid is"},
		{"filesystem gid is root", "1000\nGroups", "0\nGroups", "Gid is"},
		{"a group is left", "Groups:\t4 27 ", "Groups:\t0 4 27 ", "Groups is"},
		{"a group is missing", "Groups:\t4 27 ", "Groups:\t4 ", "Groups is"},
		{"a capability is permitted", "CapPrm:\t0000000000000000", "CapPrm:\t0000000000000400", "CapPrm is"},
		{"a capability is effective", "CapEff:\t0000000000000000", "CapEff:\t0000000000000400", "CapEff is"},
		{"a capability is ambient", "CapAmb:\t0000000000000000", "CapAmb:\t0000000000000400", "CapAmb is"},
		{"a line is missing", "Groups:\t4 27 \n", "", "Groups is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := user.checkStatus(strings.Replace(good, tt.old, tt.new, 1))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
