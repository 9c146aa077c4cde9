package lab

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"
)

// DefaultDir is where labs keep their state: a tmpfs, gone with the namespaces
// after a reboot.
const DefaultDir = "/run/tquiclab"

var (
	// ErrPrivileges is wrapped by errors that say that the caller may not make
	// namespaces and links.
	ErrPrivileges = errors.New("this needs root")
	// ErrUnsupported is wrapped by errors that say that this machine cannot do what
	// was asked. Their text says what to do.
	ErrUnsupported = errors.New("not supported here")
	// ErrNotUp is wrapped by errors that say that there is no lab of that name.
	ErrNotUp = errors.New("lab is not up")
	// ErrBusy is wrapped when another process of this program holds what is needed.
	ErrBusy = errors.New("busy")
)

// Host is this machine as labs see it. It is a value: two Hosts with different
// Dirs know nothing of each other's labs.
type Host struct {
	Dir string // state folder; empty means DefaultDir
	// Relay is the command that becomes a relay process: it reads a relay.Spec on
	// its standard input and serves it. Needed for labs that the relay serves.
	Relay []string
	// Conductor is the command that becomes a conductor: it reads a conductor.Spec on its
	// standard input and plays it. Needed for labs with a timeline.
	Conductor []string
	// Environment is what processes of a lab get beside its mark, as os.Environ has
	// it.
	Environment []string
	Log         *slog.Logger // nil discards
}

func (h Host) dir() string {
	if h.Dir == "" {
		return DefaultDir
	}
	return h.Dir
}

func (h Host) log() *slog.Logger {
	if h.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Log
}

// CheckPrivileges says early what would fail late: an error that wraps
// ErrPrivileges when this process may not raise labs. It asks for capabilities,
// not for uid 0: root in a container may lack them.
func CheckPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // version 3 has 64 bits
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW
	if data[0].Effective&need != need {
		return fmt.Errorf("%w (CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW)", ErrPrivileges)
	}
	return nil
}
