package results

import (
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const (
	cpuinfoAMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel name\t: AMD EPYC\n"
	cpuinfoARM = "processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"
	stat       = "cpu  9436 0 4267 358414 520 0 105 296 0 0\ncpu0 4412 0 1734 180103 63 0 6 143 0 0\nctxt 5\n"
	meminfo    = "MemTotal:       24684096 kB\nMemFree:        24173884 kB\n"
)

func TestParseCPUInfo(t *testing.T) {
	tests := []struct {
		name, in string
		want     cpuFacts
		wantErr  bool
	}{
		{"amd64", cpuinfoAMD, cpuFacts{"AMD EPYC", 2}, false},
		{"arm64", cpuinfoARM, cpuFacts{"implementer 0x41 part 0xd0c", 2}, false},
		{"a CPU without a name", "processor : 0\n", cpuFacts{"", 1}, false},
		{"nothing", "", cpuFacts{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseCPUInfo([]byte(tt.in))
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("got %+v, %v; want %+v, error %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestParseMemTotal(t *testing.T) {
	tests := []struct {
		name, in string
		want     int64
		wantErr  bool
	}{
		{"24 GB", meminfo, 24684096 << 10, false},
		{"nothing", "", 0, true},
		{"no number", "MemTotal: many kB\n", 0, true},
		{"negative", "MemTotal: -1 kB\n", 0, true},
		{"too large for bytes", "MemTotal: 9223372036854775807 kB\n", 0, true},
		{"another unit", "MemTotal: 24 GB\n", 0, true},
		{"no unit", "MemTotal: 24\n", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseMemTotal([]byte(tt.in))
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("got %d, %v; want %d, error %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestParseSteal(t *testing.T) {
	tests := []struct {
		name, in string
		want     float64
		wantErr  bool
	}{
		{"all CPUs, not one of them", stat, 2.96, false},
		{"a kernel that does not count it", "cpu  1 2 3 4\n", 0, true},
		{"no number", "cpu 1 2 3 4 5 6 7 x\n", 0, true},
		{"single CPUs only", "cpu0 1 2 3 4 5 6 7 8\n", 0, true},
		{"nothing", "", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseSteal([]byte(tt.in))
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("got %v, %v; want %v, error %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func FuzzProcfs(f *testing.F) {
	for _, seed := range []string{cpuinfoAMD, cpuinfoARM, stat, meminfo, "cpu", ":", "processor:\nMemTotal: 1 kB\ncpu 1 2 3 4 5 6 7 8"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if cpu, err := parseCPUInfo(data); err == nil && (cpu.count < 1 || strings.ContainsAny(cpu.model, "\n")) {
			t.Errorf("parseCPUInfo: got %+v without an error", cpu)
		}
		if bytes, err := parseMemTotal(data); err == nil && (bytes < 0 || bytes%1024 != 0) {
			t.Errorf("parseMemTotal: got %d without an error", bytes)
		}
		if s, err := parseSteal(data); err == nil && (s < 0 || math.IsNaN(s) || math.IsInf(s, 0)) {
			t.Errorf("parseSteal: got %v without an error", s)
		}
	})
}

func machineFiles() fstest.MapFS {
	files := fstest.MapFS{}
	for path, text := range map[string]string{
		"proc/cpuinfo":               cpuinfoAMD,
		"proc/meminfo":               meminfo,
		"proc/stat":                  stat,
		"proc/sys/kernel/ostype":     "Linux\n",
		"proc/sys/kernel/osrelease":  "6.18.44\n",
		"proc/sys/kernel/version":    "#1 SMP\n",
		"proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
		"sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
	} {
		files[path] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func TestReadMachine(t *testing.T) {
	got, err := ReadMachine(machineFiles())
	must(t, err)
	got.Arch = "" // this test's, not the files'
	want := Machine{
		Kernel: "Linux 6.18.44 #1 SMP", CPUModel: "AMD EPYC", CPUs: 2, MemoryBytes: 24684096 << 10,
		Clocksource: "tsc", Sysctls: map[string]string{"net.ipv4.tcp_rmem": "4096 131072 6291456"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("machine (-want +got):\n%s", diff)
	}
	steal, err := ReadSteal(machineFiles())
	if steal != 2.96 || err != nil {
		t.Errorf("steal: got %v, %v; want 2.96", steal, err)
	}
}

func TestReadMachineTellsWhatIsMissing(t *testing.T) {
	files := machineFiles()
	delete(files, "proc/cpuinfo")
	files["proc/meminfo"] = &fstest.MapFile{Data: []byte("nonsense")}
	got, err := ReadMachine(files)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"/proc/cpuinfo", "/proc/meminfo: no line says MemTotal"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if got.Clocksource != "tsc" || got.CPUs != 0 {
		t.Errorf("got %+v, want the other facts all the same", got)
	}
}

// The parsers read this machine's own files, not only those above.
func TestReadThisMachine(t *testing.T) {
	got, err := ReadMachine(os.DirFS("/"))
	must(t, err)
	if got.CPUs < 1 || got.MemoryBytes < 1<<20 || !strings.HasPrefix(got.Kernel, "Linux ") || got.Sysctls["net.ipv4.tcp_rmem"] == "" {
		t.Errorf("got %+v, want CPUs, memory, kernel and sysctls", got)
	}
	if _, err := ReadSteal(os.DirFS("/")); err != nil {
		t.Error(err)
	}
}
