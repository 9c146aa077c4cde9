package uml

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const someModules = `kernel/net/ipv6/ipv6.ko: kernel/lib/crc-ccitt.ko
kernel/lib/crc-ccitt.ko:
kernel/net/llc/llc.ko:
kernel/net/802/stp.ko: kernel/net/llc/llc.ko
kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko kernel/net/ipv6/ipv6.ko kernel/lib/crc-ccitt.ko

# packed ones, as newer distributions have them
kernel/drivers/net/veth.ko.xz:
kernel/a.ko: kernel/b.ko
kernel/b.ko: kernel/a.ko
kernel/c.ko: kernel/gone.ko
`

func TestOrder(t *testing.T) {
	deps, err := parseDependencies(someModules)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		names []string
		want  string // files, or part of the error
	}{
		{"none", nil, ""},
		{"needs nothing", []string{"veth"}, "kernel/drivers/net/veth.ko.xz"},
		{"needs before needing", []string{"bridge"}, "kernel/net/llc/llc.ko kernel/net/802/stp.ko kernel/lib/crc-ccitt.ko kernel/net/ipv6/ipv6.ko kernel/net/bridge/bridge.ko"},
		{"each once", []string{"stp", "llc", "stp"}, "kernel/net/llc/llc.ko kernel/net/802/stp.ko"},
		{"hyphen or underscore", []string{"crc-ccitt", "crc_ccitt"}, "kernel/lib/crc-ccitt.ko"},
		{"unknown", []string{"sch_nosuch"}, "no module sch_nosuch"},
		{"unknown need", []string{"c"}, "no module gone, needed by c"},
		{"a circle ends", []string{"a"}, "kernel/b.ko kernel/a.ko"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, err := deps.order(c.names)
			got := strings.Join(files, " ")
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestModulePaths(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"modules.dep":     someModules,
		"modules.builtin": "kernel/fs/hostfs/hostfs.ko\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := modulePaths(folder, []string{"hostfs", "stp"})
	want := []string{filepath.Join(folder, "kernel/net/llc/llc.ko"), filepath.Join(folder, "kernel/net/802/stp.ko")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := modulePaths(t.TempDir(), nil); err == nil {
		t.Error("a folder without modules.dep: no error")
	}
}

func TestParseDependenciesFails(t *testing.T) {
	_, err := parseDependencies("kernel/a.ko:\nno colon\n")
	if err == nil || !strings.Contains(err.Error(), "modules.dep:2") {
		t.Errorf("got %v, want the line in it", err)
	}
}

func FuzzParseDependencies(f *testing.F) {
	f.Add(someModules)
	f.Add("a.ko: a.ko\n")
	f.Add("no colon")
	f.Fuzz(func(t *testing.T, text string) {
		deps, err := parseDependencies(text)
		if err != nil {
			return
		}
		for name := range deps.files {
			files, err := deps.order([]string{name})
			if err == nil && (len(files) == 0 || files[len(files)-1] != deps.files[name]) {
				t.Errorf("%q: %q does not end with %q", name, files, deps.files[name])
			}
		}
	})
}
