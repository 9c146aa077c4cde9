package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process that has to do with a lab.
type Process struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

func (p Process) String() string { return fmt.Sprintf("%d (%s)", p.PID, p.Command) }

// How long a process may take to end by itself before it is killed, and how
// often that is looked at.
const (
	endGrace = 2 * time.Second
	endPoll  = 5 * time.Millisecond
	// killGrace is how long a killed process may take: the kernel closes its files one
	// after the other, some 20 ms each for a packet socket.
	killGrace = 30 * time.Second
)

// scanProcesses returns the processes for which keep says yes, except this one.
// Processes that vanish meanwhile, and those that the caller may not read, are
// left out.
func scanProcesses(keep func(proc string) bool) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		proc := filepath.Join("/proc", e.Name())
		if keep(proc) {
			found = append(found, Process{PID: pid, Command: commandOf(proc)})
		}
	}
	return found, nil
}

// markedProcesses returns the processes that carry the mark in their environment,
// whichever lab's when accept takes them all.
func markedProcesses(accept func(Mark) bool) ([]Process, error) {
	return scanProcesses(func(proc string) bool {
		mark, ok := processMark(proc)
		return ok && accept(mark)
	})
}

// processMark reads the mark that a process was started with.
func processMark(proc string) (Mark, bool) {
	environ, err := os.ReadFile(filepath.Join(proc, "environ"))
	if err != nil {
		return Mark{}, false
	}
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(variable, []byte(MarkVariable+"=")); ok {
			return parseMark(string(value))
		}
	}
	return Mark{}, false
}

// processesIn returns the processes whose network namespace is one of the given
// inodes.
func processesIn(inodes map[uint64]bool) ([]Process, error) {
	return scanProcesses(func(proc string) bool {
		var st unix.Stat_t
		return unix.Stat(filepath.Join(proc, "ns/net"), &st) == nil && inodes[st.Ino]
	})
}

func commandOf(proc string) string {
	line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
	if err != nil {
		return "?"
	}
	text := strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	if text == "" {
		return "?"
	}
	return text
}

// endProcess ends the process that bears the mark: SIGTERM, and SIGKILL after
// endGrace. The pidfd is opened before the mark is read, so that a pid that was
// reused in between is never hit.
func endProcess(ctx context.Context, pid int, accept func(Mark) bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	if mark, ok := processMark(proc); !ok || !accept(mark) {
		return nil // ended, or another process by now
	}
	for _, try := range []struct {
		ctx    context.Context
		signal unix.Signal
		grace  time.Duration
	}{{ctx, unix.SIGTERM, endGrace}, {context.WithoutCancel(ctx), unix.SIGKILL, killGrace}} {
		err := unix.PidfdSendSignal(fd, try.signal, nil, 0)
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
		if ended(try.ctx, fd, try.grace) {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end: it may be stuck in the kernel; try again", pid)
}

// ended waits until the pidfd's process has ended, for so long at most.
func ended(ctx context.Context, pidfd int, grace time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	deadline := time.Now().Add(grace)
	for time.Now().Before(deadline) {
		n, err := unix.Poll(fds, int(endPoll.Milliseconds()))
		if n > 0 && err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false // no more patience: the caller goes on to SIGKILL
		}
	}
	return false
}

// startTime returns when the process was started, in clock ticks since boot: a
// pid and its start time name one process for as long as the machine is up.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("read start time of process %d: %w", pid, err)
	}
	return parseStartTime(stat)
}

// parseStartTime reads field 22 of proc_pid_stat(5). The command in field 2 may
// hold anything, so that counting starts behind its closing parenthesis.
func parseStartTime(stat []byte) (uint64, error) {
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	if end < 0 || len(fields) < 20 {
		return 0, fmt.Errorf("read start time: %q is not a stat line", stat)
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// processRef names one process for ever.
type processRef struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
}

func refOf(pid int) (processRef, error) {
	start, err := startTime(pid)
	return processRef{PID: pid, Start: start}, err
}

// alive reports whether the process still runs: a zombie does not.
func (r processRef) alive() bool {
	if r.PID == 0 {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(r.PID), "stat"))
	if err != nil {
		return false
	}
	start, err := parseStartTime(stat)
	if err != nil || start != r.Start {
		return false
	}
	state := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])[0]
	return state[0] != 'Z' && state[0] != 'X'
}

// ancestors returns the process and all above it.
func ancestors(pid int) map[int]bool {
	found := map[int]bool{}
	for pid > 0 && !found[pid] {
		found[pid] = true
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			break
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 {
			break
		}
		pid, err = strconv.Atoi(string(fields[1])) // field 4, proc_pid_stat(5)
		if err != nil {
			break
		}
	}
	return found
}
