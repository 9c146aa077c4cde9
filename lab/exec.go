package lab

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/lab/privilege"
)

// Command is what Exec runs.
type Command struct {
	Argv []string
	// As is the user that the command runs as; nil means whoever this process is.
	As *privilege.User
	// Env goes on top of the Host's Environment.
	Env []string
}

// Exec replaces this process by a command inside the node's namespace, with a
// /sys that shows the node's interfaces, as ip-netns(8) does. Signals and the exit
// code are the command's own. It returns only when that fails; when As is set, this
// process may have become that user by then.
func (l *Lab) Exec(node string, c Command) error {
	if len(c.Argv) == 0 {
		return errors.New("no command given")
	}
	path, err := exec.LookPath(c.Argv[0])
	if err != nil {
		return fmt.Errorf("find command: %w", err)
	}
	ns, err := l.open(node)
	if err != nil {
		return err
	}
	// The thread is never given back: it becomes the command, or the program ends.
	runtime.LockOSThread()
	if err := unix.Setns(ns.Fd(), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter node %s: %w", node, err)
	}
	if err := showSys(ns.Name()); err != nil {
		return fmt.Errorf("enter node %s: %w", node, err)
	}
	environ := slices.Clone(l.host.Environment)
	if c.As != nil {
		if err := c.As.Become(); err != nil {
			return fmt.Errorf("run %s in node %s: %w", c.Argv[0], node, err)
		}
		environ = c.As.Environment(environ)
	}
	environ = withMark(append(environ, c.Env...), l.state.Mark)
	if err := syscall.Exec(path, c.Argv, environ); err != nil {
		return fmt.Errorf("run %s in node %s: %w", c.Argv[0], node, err)
	}
	return nil
}

// Join makes this process one of the lab's, so that Down ends it with the lab: it
// starts the program at path in its place, with the lab's mark. It returns nil when
// the process is one already.
func (l *Lab) Join(path string, argv []string) error {
	if slices.Contains(l.host.Environment, MarkVariable+"="+l.state.Mark.String()) {
		return nil
	}
	if err := syscall.Exec(path, argv, withMark(l.host.Environment, l.state.Mark)); err != nil {
		return fmt.Errorf("join lab %s: %w", l.Name(), err)
	}
	return nil
}

// showSys gives the calling thread a mount namespace of its own, in which /sys
// belongs to the thread's network namespace. Nothing of it is seen outside.
func showSys(source string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "none", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep mounts apart: %w", err)
	}
	if err := unix.Mount(source, "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	return nil
}
