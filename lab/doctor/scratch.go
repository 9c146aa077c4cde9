package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// inScratch returns a probe that runs f in a network namespace of its own, without a
// name, that ends with the probe. lo is there, and down.
func inScratch(f func() (string, error)) func(context.Context) (string, error) {
	return func(context.Context) (detail string, err error) {
		err = onThread(func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("make a network namespace: %w (root?)", err)
			}
			detail, err = f()
			return err
		})
		return detail, err
	}
}

// onThread runs f on a thread that ends with it, whatever f made of the thread. The
// process's first thread would not end: it is passed over.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != os.Getpid() {
			done <- f()
			return // without unlocking
		}
		done <- onThread(f)
		runtime.UnlockOSThread()
	}()
	return <-done
}

// lacking marks an error as ErrAbsent when it is one of the kernel's ways of saying
// that it does not know what it was asked for.
func lacking(err error) error {
	for _, errno := range []unix.Errno{
		unix.ENOENT,          // no qdisc of that kind (sch_api.c)
		unix.EOPNOTSUPP,      // no such kind of link (rtnetlink.c)
		unix.ENOPROTOOPT,     // no such socket option
		unix.EPROTONOSUPPORT, // no such protocol
		unix.EAFNOSUPPORT,    // no such family of addresses
		unix.ENOSYS,          // no such system call
		unix.ESOCKTNOSUPPORT,
	} {
		if errors.Is(err, errno) {
			return absent("the kernel does not know it: %w", err)
		}
	}
	return err
}
