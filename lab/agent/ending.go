package agent

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Failure says why an agent did not do what it was asked, and how its process
// stood then.
type Failure struct {
	Node   string
	Doing  string // the operation
	State  string // "exit status 1", "signal: killed", "stopped (T)", "running" ...
	Stderr string // the end of what it wrote to standard error, may be empty
	Cause  error
}

func (f *Failure) Error() string {
	text := fmt.Sprintf("agent on %s: %s: %v [%s]", f.Node, f.Doing, f.Cause, f.State)
	if f.Stderr != "" {
		text += "; its last words: " + f.Stderr
	}
	return text
}

func (f *Failure) Unwrap() error { return f.Cause }

// failure describes the child as it stands now.
func (p *Process) failure(o op, cause error) error {
	return &Failure{
		Node:   p.node,
		Doing:  string(o),
		State:  p.state(),
		Stderr: strings.TrimSpace(p.tail.String()),
		Cause:  cause,
	}
}

// state returns the exit state of a child that was reaped, else what the kernel
// says of it.
func (p *Process) state() string {
	select {
	case <-p.onExit:
		return p.cmd.ProcessState.String()
	default:
	}
	// Not reaped yet, or only just: the pid is still the child's for all that
	// matters to a message.
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return "ending"
	}
	return processState(string(data))
}

// processState names the state in the text of /proc/<pid>/stat (proc(5)): the
// letter after the command's name, which is in parentheses and may hold any.
func processState(stat string) string {
	i := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[i+1:])
	if i < 0 || len(fields) == 0 {
		return "unknown state"
	}
	switch fields[0] {
	case "R", "S":
		return "running"
	case "D":
		return "stuck in the kernel (D)"
	case "T":
		return "stopped (T): SIGCONT would go on"
	case "t":
		return "held by a debugger (t)"
	case "Z", "X":
		return "ending"
	}
	return "state " + fields[0]
}

// abort records why the conversation is over and ends the child. The first
// reason wins.
func (p *Process) abort(cause error) {
	p.mu.Lock()
	if p.cause == nil {
		p.cause = cause
	}
	p.mu.Unlock()
	p.signal(syscall.SIGKILL)
}

// signal reaches the child by its pidfd where the kernel has them, which package
// os opened when it started the process: a reused pid is never hit. It is
// harmless when the child is gone; whoever cares waits for onExit.
func (p *Process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Bounds of Close.
const (
	termBound = cleanupBound + time.Second // from SIGTERM to SIGKILL
	killBound = 5 * time.Second            // from SIGKILL to giving up
)

// Close ends the child, reaps it and returns when nothing of it is left here:
// end of input and SIGTERM at first, SIGKILL after a bound. A stopped child goes
// the same way. Calls that wait end with an error. It returns an error only when
// the child could not be ended. Idempotent.
func (p *Process) Close() error {
	p.closed.Do(func() {
		p.mu.Lock()
		if p.cause == nil {
			p.cause = errors.New("closed by the lab")
		}
		p.mu.Unlock()
		p.stdin.Close()
		p.signal(syscall.SIGTERM)
		p.signal(syscall.SIGCONT) // a stopped child would only die of SIGKILL
	})
	select {
	case <-p.broken:
		return nil
	case <-time.After(termBound):
	}
	p.signal(syscall.SIGKILL)
	select {
	case <-p.broken:
		return nil
	case <-time.After(killBound):
		return p.failure(opQuit, fmt.Errorf("pid %d is still there %v after SIGKILL", p.cmd.Process.Pid, killBound))
	}
}

// PID returns the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed once the child is gone and reaped.
func (p *Process) Done() <-chan struct{} { return p.broken }
