package link

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tquiclab/tquiclab/lab/netns"
)

// Sysctl is a kernel setting of one namespace, by its dotted name.
type Sysctl struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Optional settings are skipped where the kernel does not have them.
	Optional bool `json:"-"`
}

// NodeSysctls are set in every node's namespace before its links exist.
func NodeSysctls() []Sysctl {
	return []Sysctl{
		// Each trial starts from nothing: the kernel otherwise hands ssthresh and RTT of
		// one connection to the next to the same address.
		{Name: "net.ipv4.tcp_no_metrics_save", Value: "1"},
		// Room for 2 x sum(bandwidth) x RTT of any catalogue bond; autotuning takes what it needs.
		{Name: "net.ipv4.tcp_rmem", Value: "4096 131072 33554432"},
		{Name: "net.ipv4.tcp_wmem", Value: "4096 65536 33554432"},
		// Replies leave by the path that the sender's address names, not by a best route.
		{Name: "net.ipv4.conf.all.rp_filter", Value: "0"},
		{Name: "net.ipv4.conf.default.rp_filter", Value: "0"},
		{Name: "net.ipv4.conf.all.arp_ignore", Value: "1"},
		// ping(8) works for every user, as on most systems: a new namespace lets nobody.
		{Name: "net.ipv4.ping_group_range", Value: "0 2147483647"},
		// No background traffic on the links: no router solicitation, no duplicate detection.
		{Name: "net.ipv6.conf.all.accept_dad", Value: "0", Optional: true},
		{Name: "net.ipv6.conf.default.accept_dad", Value: "0", Optional: true},
		{Name: "net.ipv6.conf.default.dad_transmits", Value: "0", Optional: true},
		{Name: "net.ipv6.conf.default.router_solicitations", Value: "0", Optional: true},
		{Name: "net.ipv6.conf.default.accept_ra", Value: "0", Optional: true},
		// The multicast report that follows a carrier is repeated at a random instant within
		// this many ms (RFC 3810, section 9.11); so late, it disturbs nobody.
		{Name: "net.ipv6.conf.default.mldv1_unsolicited_report_interval", Value: "2000000000", Optional: true},
		{Name: "net.ipv6.conf.default.mldv2_unsolicited_report_interval", Value: "2000000000", Optional: true},
	}
}

// ForwardingSysctls make a node forward packets. Setting them resets other settings
// of the namespace to a router's, so they come before NodeSysctls.
func ForwardingSysctls() []Sysctl {
	return []Sysctl{
		{Name: "net.ipv4.ip_forward", Value: "1"},
		{Name: "net.ipv6.conf.all.forwarding", Value: "1", Optional: true},
	}
}

// WireSysctls are set in every wire's namespace before its links exist: a wire
// speaks no protocol of its own.
func WireSysctls() []Sysctl {
	return []Sysctl{
		{Name: "net.ipv6.conf.all.disable_ipv6", Value: "1", Optional: true},
		{Name: "net.ipv6.conf.default.disable_ipv6", Value: "1", Optional: true},
	}
}

// SetSysctls sets the settings inside the namespace and reads each back.
func SetSysctls(ns *netns.NS, settings []Sysctl) error {
	err := ns.Do(func() error {
		for _, s := range settings {
			if err := s.set(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("set sysctls in %s: %w", ns.Name(), err)
	}
	return nil
}

// ReadSysctls returns the values of those of the named settings that exist.
func ReadSysctls(ns *netns.NS, names []string) (map[string]string, error) {
	values := map[string]string{}
	err := ns.Do(func() error {
		for _, name := range names {
			value, err := os.ReadFile(sysctlPath(name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			values[name] = strings.Join(strings.Fields(string(value)), " ")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read sysctls in %s: %w", ns.Name(), err)
	}
	return values, nil
}

// set works on the calling thread's namespace: /proc/sys/net is the namespace of
// whoever opens it.
func (s Sysctl) set() error {
	path := sysctlPath(s.Name)
	err := os.WriteFile(path, []byte(s.Value), 0)
	if s.Optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s=%s: %w", s.Name, s.Value, err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read back %s: %w", s.Name, err)
	}
	if got := strings.Join(strings.Fields(string(got)), " "); got != s.Value {
		return fmt.Errorf("%s: asked for %s, the kernel has %s", s.Name, s.Value, got)
	}
	return nil
}

func sysctlPath(name string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
}
