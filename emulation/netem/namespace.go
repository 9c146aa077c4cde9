package netem

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const ownNamespace = "/proc/thread-self/ns/net"

// elsewhere runs f on a thread that enter has moved to another network
// namespace, and moves the thread back. A thread that cannot go back is given
// up: it ends with its goroutine and is never used again.
func elsewhere(enter, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(ownNamespace)
		if err != nil {
			runtime.UnlockOSThread()
			result <- fmt.Errorf("open the thread's network namespace: %w", err)
			return
		}
		defer home.Close()
		if err = enter(); err == nil {
			err = f()
		}
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			result <- errors.Join(err, fmt.Errorf("go back to the network namespace: %w", back))
			return
		}
		runtime.UnlockOSThread()
		result <- err
	}()
	return <-result
}

// within runs f in the network namespace ns, on a thread of its own.
func within(ns int, f func() error) error {
	return elsewhere(func() error {
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network namespace: %w", err)
		}
		return nil
	}, f)
}

// scratchNamespace makes a network namespace without a name and returns the one
// thing that keeps it alive: closing the file removes it. It contains lo.
func scratchNamespace() (*os.File, error) {
	var ns *os.File
	err := elsewhere(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		return nil
	}, func() (err error) {
		ns, err = os.Open(ownNamespace)
		return err
	})
	if err != nil && ns != nil {
		ns.Close()
	}
	return ns, err
}
