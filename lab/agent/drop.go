package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// drop gives up root for good. The sockets that are open stay open.
//
// Package syscall makes each of the three calls on all of the process's threads
// (unlike x/sys/unix); leaving uid 0 clears the capabilities of each
// (capabilities(7), "Effect of user ID changes on capabilities").
func (c *child) drop(to Credential) error {
	if to.UID <= 0 || to.GID < 0 {
		return fmt.Errorf("drop root: uid %d, gid %d is nobody to become", to.UID, to.GID)
	}
	if c.dropped {
		return errors.New("drop root: done already")
	}
	if err := syscall.Setgroups([]int{}); err != nil {
		return fmt.Errorf("drop root: clear the groups: %w", err)
	}
	if err := syscall.Setresgid(to.GID, to.GID, to.GID); err != nil {
		return fmt.Errorf("drop root: become gid %d: %w", to.GID, err)
	}
	if err := syscall.Setresuid(to.UID, to.UID, to.UID); err != nil {
		return fmt.Errorf("drop root: become uid %d: %w", to.UID, err)
	}
	c.dropped = true
	return verifyDropped(to)
}

// verifyDropped returns an error unless every thread is to and nobody else, has
// no capability, and cannot become root again.
func verifyDropped(to Credential) error {
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
		if err := checkStatus(string(status), to); err != nil {
			return fmt.Errorf("verify that root is gone: %s: %w", path, err)
		}
	}
	return nil
}

// checkStatus holds the text of a thread's status file (proc(5)) against the
// user that it should be. It returns an error for whatever differs or is absent.
func checkStatus(status string, to Credential) error {
	field := map[string]string{}
	for line := range strings.Lines(status) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			field[name] = strings.Join(strings.Fields(value), " ")
		}
	}
	uid, gid := strconv.Itoa(to.UID), strconv.Itoa(to.GID)
	const noCapability = "0000000000000000"
	want := []struct{ name, value string }{
		{"Uid", strings.Join([]string{uid, uid, uid, uid}, " ")},
		{"Gid", strings.Join([]string{gid, gid, gid, gid}, " ")},
		{"Groups", ""},
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
