package results

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
)

// Machine is the box a run ran on. A fact that could not be read is zero or
// missing.
type Machine struct {
	Kernel      string            `json:"kernel"` // as uname -srv
	Arch        string            `json:"arch"`   // as Go names it
	CPUModel    string            `json:"cpu_model"`
	CPUs        int               `json:"cpus"` // on line
	MemoryBytes int64             `json:"memory_bytes"`
	Clocksource string            `json:"clocksource"`
	Governor    string            `json:"governor,omitempty"` // of CPU 0; absent where the machine has none
	Sysctls     map[string]string `json:"sysctls"`            // of the namespace that read them
}

// RelevantSysctls returns the names of the settings that change what transports
// measure.
func RelevantSysctls() []string {
	return []string{
		"net.core.default_qdisc", "net.core.netdev_max_backlog",
		"net.core.rmem_default", "net.core.rmem_max", "net.core.wmem_default", "net.core.wmem_max",
		"net.ipv4.tcp_available_congestion_control", "net.ipv4.tcp_congestion_control",
		"net.ipv4.tcp_ecn", "net.ipv4.tcp_mtu_probing", "net.ipv4.tcp_no_metrics_save",
		"net.ipv4.tcp_rmem", "net.ipv4.tcp_sack", "net.ipv4.tcp_slow_start_after_idle",
		"net.ipv4.tcp_timestamps", "net.ipv4.tcp_wmem", "net.ipv4.udp_mem",
		"net.mptcp.enabled", "net.mptcp.pm_type", "net.mptcp.scheduler", "net.mptcp.stale_loss_cnt",
	}
}

// ReadMachine collects the facts from the kernel's files under root, which is
// os.DirFS("/") outside tests. What cannot be read is left out and told in the
// error; the rest of the Machine is good all the same.
func ReadMachine(root fs.FS) (Machine, error) {
	m := Machine{Arch: runtime.GOARCH}
	var errs []error
	read := func(path string, parse func([]byte) error) {
		data, err := fs.ReadFile(root, path)
		if err == nil {
			err = parse(data)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read machine fact /%s: %w", path, err))
		}
	}
	text := func(into *string) func([]byte) error {
		return func(data []byte) error {
			*into = strings.TrimSpace(string(data))
			return nil
		}
	}
	var system, release, version string
	read("proc/sys/kernel/ostype", text(&system))
	read("proc/sys/kernel/osrelease", text(&release))
	read("proc/sys/kernel/version", text(&version))
	m.Kernel = strings.TrimSpace(system + " " + release + " " + version)
	read("proc/cpuinfo", func(data []byte) error {
		cpu, err := parseCPUInfo(data)
		m.CPUModel, m.CPUs = cpu.model, cpu.count
		return err
	})
	read("proc/meminfo", func(data []byte) (err error) {
		m.MemoryBytes, err = parseMemTotal(data)
		return err
	})
	read("sys/devices/system/clocksource/clocksource0/current_clocksource", text(&m.Clocksource))
	// Most virtual machines have no frequency scaling: its absence is no error.
	if data, err := fs.ReadFile(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"); err == nil {
		m.Governor = strings.TrimSpace(string(data))
	}
	sysctls, err := ReadSysctls(root, RelevantSysctls())
	m.Sysctls = sysctls
	return m, errors.Join(append(errs, err)...)
}

// ReadSysctls returns the values of the named settings in the network namespace
// of the caller. A name that this kernel does not have is left out.
func ReadSysctls(root fs.FS, names []string) (map[string]string, error) {
	values := map[string]string{}
	var errs []error
	for _, name := range names {
		data, err := fs.ReadFile(root, "proc/sys/"+strings.ReplaceAll(name, ".", "/"))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			errs = append(errs, fmt.Errorf("read sysctl %s: %w", name, err))
		default:
			values[name] = strings.Join(strings.Fields(string(data)), " ")
		}
	}
	return values, errors.Join(errs...)
}

// ReadSteal returns the CPU time in seconds that the host took away from this
// machine since boot, over all CPUs. Differences are what counts.
func ReadSteal(root fs.FS) (float64, error) {
	data, err := fs.ReadFile(root, "proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read steal time: %w", err)
	}
	steal, err := parseSteal(data)
	if err != nil {
		return 0, fmt.Errorf("/proc/stat: %w", err)
	}
	return steal, nil
}
