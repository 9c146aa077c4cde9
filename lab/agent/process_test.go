package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine"
)

// startChild starts a child of a kind and closes it at the end.
func startChild(t *testing.T, mode string) *Process {
	t.Helper()
	p, err := Start(t.Context(), "client", childCommand(mode), (*exec.Cmd).Start)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		wantGone(t, p.PID())
	})
	return p
}

// wantGone fails the test when a child was not reaped.
func wantGone(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("signal 0 to the child %d: %v, want %v: it must be gone and reaped", pid, err, syscall.ESRCH)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestChildAnswersUntilItQuits(t *testing.T) {
	p := startChild(t, "agent")
	_, err := p.Listen(t.Context(), Listen{Engine: "nosuch"})
	wantError(t, err, "agent on client", "listen", `unknown engine "nosuch"`)
	wantError(t, p.Accept(t.Context(), 1), "does not listen")
	if err := p.Quit(t.Context()); err != nil {
		t.Fatalf("Quit: %v", err)
	}
	<-p.Done()
	wantError(t, p.Accept(t.Context(), 1), "exit status 0")
}

// A child that fails at the first word must not be left behind by Start.
func TestStartFailsClearly(t *testing.T) {
	tests := []struct {
		mode string
		want []string
	}{
		{"dies", []string{"it died", "exit status 3", "cannot find the bridge"}},
		{"torn", []string{"it died", "exit status 0"}},
		{"garbage", []string{"broke the protocol", "Welcome to the agent!", "signal: killed"}},
		{"unasked", []string{"broke the protocol", "answers request 7"}},
		{"endless-line", []string{"broke the protocol", "a line of more than"}},
		{"other-version", []string{"version 999"}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			cmd := childCommand(tt.mode)
			_, err := Start(t.Context(), "client", cmd, (*exec.Cmd).Start)
			wantError(t, err, append(tt.want, "client")...)
			wantGone(t, cmd.Process.Pid)
		})
	}
}

func TestStartSaysWhyTheCommandDoesNotRun(t *testing.T) {
	_, err := Start(t.Context(), "client", exec.Command("/nonexistent/agent"), (*exec.Cmd).Start)
	wantError(t, err, "start the agent on client", "/nonexistent/agent")
	refused := errors.New("namespace is gone")
	_, err = Start(t.Context(), "client", childCommand("agent"), func(*exec.Cmd) error { return refused })
	if !errors.Is(err, refused) {
		t.Errorf("Start = %v, want it to wrap %v", err, refused)
	}
}

func TestCallsSurviveABadChild(t *testing.T) {
	tests := []struct {
		mode string
		want []string
	}{
		{"dies-in-call", []string{"it died", "exit status 4", "out of luck"}},
		{"floods", []string{"broke the protocol", "flood", "signal: killed"}},
		{"babbles", []string{"flooded its standard error", "signal: killed", "bla bla"}},
		{"closes-output", []string{"closed its output", "signal: killed"}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			p := startChild(t, tt.mode)
			wantError(t, p.Accept(t.Context(), 1), append(tt.want, "accept", "client")...)
		})
	}
}

func TestMuteChildIsGivenUp(t *testing.T) {
	cmd := childCommand("mute")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, "client", cmd, (*exec.Cmd).Start)
	wantError(t, err, "hello", "no answer", "running")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not wrap context.DeadlineExceeded", err)
	}
	wantGone(t, cmd.Process.Pid)
}

// SIGTERM does not end it: Close must go on to SIGKILL.
func TestDeafChildIsKilled(t *testing.T) {
	p := startChild(t, "deaf")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := p.state(); got != "signal: killed" {
		t.Errorf("state after Close = %q, want signal: killed", got)
	}
}

// Requests that nobody reads fill the pipe; the lab must not block in the write.
func TestFullPipeBlocksNobody(t *testing.T) {
	p := startChild(t, "deaf")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	long := Listen{Engine: strings.Repeat("x", maxLine-1000)}
	_, err := p.Listen(ctx, long)
	wantError(t, err, "listen", "does not take the request")
}

func TestStoppedChildIsNamedAndEnded(t *testing.T) {
	p := startChild(t, "agent")
	p.signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := p.Accept(ctx, 1)
	wantError(t, err, "no answer", "stopped (T)")
	wantError(t, p.Accept(t.Context(), 1), "still busy")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	wantGone(t, p.PID())
}

func TestKilledChildEndsTheCall(t *testing.T) {
	p := startChild(t, "deaf")
	got := make(chan error, 1)
	go func() { got <- p.Accept(t.Context(), 1) }()
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-got, "it died", "signal: killed")
	var f *Failure
	if err := p.Accept(t.Context(), 1); !errors.As(err, &f) || f.State != "signal: killed" {
		t.Errorf("a call after the death: %v, want a Failure in state signal: killed", err)
	}
}

// A grandchild that holds the pipes must not keep the lab waiting.
func TestGrandchildHoldsNothingUp(t *testing.T) {
	script := `sleep 60 & echo "pid $!" >&2; exit 5`
	_, err := Start(t.Context(), "client", exec.Command("sh", "-c", script), (*exec.Cmd).Start)
	wantError(t, err, "exit status 5", "pid ")
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no Failure", err)
	}
	var pid int
	if _, err := fmt.Sscanf(f.Stderr, "pid %d", &pid); err != nil {
		t.Fatalf("stderr %q: %v", f.Stderr, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("end the grandchild: %v", err)
	}
}

// When the lab dies by SIGKILL nobody closes the agent; its input's end does.
func TestAgentDiesWithItsLab(t *testing.T) {
	lab := childCommand("lab")
	out, err := lab.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(errors.Join(err, lab.Process.Kill(), lab.Wait()))
	}
	agentPID, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	agent, err := unix.PidfdOpen(agentPID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(agent)
	if err := lab.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = lab.Wait() // "signal: killed"

	// A pidfd becomes readable when its process ends (pidfd_open(2)).
	fds := []unix.PollFd{{Fd: int32(agent), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 20_000)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(fds, 20_000)
	}
	if n != 1 || err != nil {
		t.Errorf("poll the agent: %d, %v: it outlived its lab", n, err)
		_ = unix.PidfdSendSignal(agent, unix.SIGKILL, nil, 0)
	}
}

func TestDropCannotBeUndone(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	cmd := childCommand("agent")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{27, 100}}}
	p, err := Start(t.Context(), "client", cmd, (*exec.Cmd).Start)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Drop(t.Context(), Credential{UID: 0, GID: 0}); err == nil {
		t.Error("dropping to root itself: no error")
	}
	nobody := Credential{UID: 65534, GID: 65533}
	if err := p.Drop(t.Context(), nobody); err != nil {
		t.Fatal(err)
	}
	// The kernel's word, read from outside and for each thread.
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID()))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("threads: %v, %v", tasks, err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", p.PID(), task.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65533\t65533\t65533\t65533\n", "Groups:\t \n", "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("thread %s lacks %q", task.Name(), want)
			}
		}
	}
	wantError(t, p.Drop(t.Context(), nobody), "done already")
}

func TestUnsupportedCrossesThePipe(t *testing.T) {
	var err error = newRemoteError(fmt.Errorf("mptcp: %w: set net.mptcp.enabled", engine.ErrUnsupported))
	line := encodeReply(reply{ID: 1, Error: newRemoteError(err)})
	r, decodeErr := decodeReply(line[:len(line)-1])
	if decodeErr != nil {
		t.Fatal(decodeErr)
	}
	if !errors.Is(r.Error, engine.ErrUnsupported) || !strings.Contains(r.Error.Error(), "net.mptcp.enabled") {
		t.Errorf("got %v, want it to be engine.ErrUnsupported and keep its hint", r.Error)
	}
}
