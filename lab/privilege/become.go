package privilege

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Become makes this process the user, for good, and proves it. What is open stays
// open. Root is nobody to become.
//
// Package syscall makes each of the three calls on all of the process's threads
// (unlike x/sys/unix); leaving uid 0 clears the capabilities of each
// (capabilities(7), "Effect of user ID changes on capabilities").
func (u User) Become() error {
	if u.UID <= 0 || u.GID < 0 {
		return fmt.Errorf("drop root: uid %d, gid %d is nobody to become", u.UID, u.GID)
	}
	if err := syscall.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("drop root: set the groups to %v: %w", u.Groups, err)
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return fmt.Errorf("drop root: become gid %d: %w", u.GID, err)
	}
	if err := syscall.Setresuid(u.UID, u.UID, u.UID); err != nil {
		return fmt.Errorf("drop root: become uid %d: %w", u.UID, err)
	}
	return u.verify()
}

// verify returns an error unless every thread is the user and nobody else, has no
// capability, and cannot become root again.
func (u User) verify() error {
	if err := syscall.Setuid(0); !errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("verify that root is gone: becoming uid 0 again gave %v, want %w", err, syscall.EPERM)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) == 0 {
		return fmt.Errorf("verify that root is gone: no threads under /proc/self/task: %w", err)
	}
	for _, path := range tasks {
		status, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread ended
		}
		if err != nil {
			return fmt.Errorf("verify that root is gone: %w", err)
		}
		if err := u.checkStatus(string(status)); err != nil {
			return fmt.Errorf("verify that root is gone: %s: %w", path, err)
		}
	}
	return nil
}

// checkStatus holds the text of a thread's status file (proc(5)) against the user.
// It returns an error for whatever differs or is absent.
func (u User) checkStatus(status string) error {
	field := map[string]string{}
	for line := range strings.Lines(status) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			field[name] = strings.Join(strings.Fields(value), " ")
		}
	}
	uid, gid := strconv.Itoa(u.UID), strconv.Itoa(u.GID)
	const noCapability = "0000000000000000"
	want := []struct{ name, value string }{
		{"Uid", strings.Join([]string{uid, uid, uid, uid}, " ")},
		{"Gid", strings.Join([]string{gid, gid, gid, gid}, " ")},
		{"Groups", groupsText(u.Groups)},
		{"CapPrm", noCapability},
		{"CapEff", noCapability},
		{"CapAmb", noCapability},
	}
	var errs []error
	for _, w := range want {
		got, ok := field[w.name]
		if !ok || got != w.value {
			errs = append(errs, fmt.Errorf("%s is %q, want %q", w.name, got, w.value))
		}
	}
	return errors.Join(errs...)
}

// groupsText returns groups as the kernel lists them: sorted.
func groupsText(groups []int) string {
	var text []string
	for _, g := range slices.Sorted(slices.Values(groups)) {
		text = append(text, strconv.Itoa(g))
	}
	return strings.Join(text, " ")
}
