package mptcp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/tcp"
)

// New returns the engine "mptcp".
func New() engine.Engine { return custom("mptcp", engine.Capabilities{}) }

// NewTLS returns the engine "mptcp-tls": the same under Go's TLS 1.3.
func NewTLS() engine.Engine { return custom("mptcp-tls", engine.Capabilities{Encrypted: true}) }

func custom(name string, c engine.Capabilities) engine.Engine {
	c.Multipath = true
	c.Congestion = tcp.DefaultCongestion
	c.Probe = probe
	return tcp.Custom(tcp.Kind{
		Name:         name,
		Capabilities: c,
		Ready:        awaitSubflows,
		Tracker:      track,
	})
}

// enabledSysctl is per network namespace.
const enabledSysctl = "/proc/sys/net/mptcp/enabled"

// probe says whether the calling process's namespace has MPTCP.
func probe() error { return probeAt(enabledSysctl) }

func probeAt(path string) error {
	value, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("MPTCP: %w: this kernel was built without CONFIG_MPTCP; it needs Linux 5.6 with it", engine.ErrUnsupported)
	case err != nil:
		return fmt.Errorf("ask whether MPTCP is enabled: %w", err)
	case strings.TrimSpace(string(value)) != "1":
		return fmt.Errorf("MPTCP: %w: it is switched off in this network namespace; sysctl -w net.mptcp.enabled=1", engine.ErrUnsupported)
	}
	return nil
}
