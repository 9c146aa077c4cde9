package lab

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exec replaces this process by a command inside the node's namespace, with a
// /sys that shows the node's interfaces, as ip-netns(8) does. It returns only
// when that fails.
func (l *Lab) Exec(node string, argv []string) error {
	if len(argv) == 0 {
		return errors.New("no command given")
	}
	path, err := exec.LookPath(argv[0])
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
	if err := syscall.Exec(path, argv, withMark(l.host.Environment, l.state.Mark)); err != nil {
		return fmt.Errorf("run %s in node %s: %w", argv[0], node, err)
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
