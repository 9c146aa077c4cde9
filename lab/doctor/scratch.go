package doctor

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// inScratch returns a probe that runs f in a network namespace of its own, on a
// thread that ends with it; the namespace, without a name, ends then too. lo is
// there, and down.
func inScratch(f func() (string, error)) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		type outcome struct {
			detail string
			err    error
		}
		done := make(chan outcome, 1)
		go func() {
			runtime.LockOSThread() // for ever: the thread is never given back
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				done <- outcome{"", fmt.Errorf("make a network namespace: %w (root?)", err)}
				return
			}
			detail, err := f()
			done <- outcome{detail, err}
		}()
		o := <-done
		return o.detail, o.err
	}
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
