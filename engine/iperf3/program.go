package iperf3

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine"
)

const (
	// retryEvery is the time between two tries of a dialler whose server does not listen
	// yet.
	retryEvery = 20 * time.Millisecond
	// maxOutput bounds what a program may print: a line of JSON for each interval of a
	// stream.
	maxOutput = 16 << 20
	killGrace = 500 * time.Millisecond
)

// ran is a program that has ended well.
type ran struct {
	output []byte
	end    int64 // CLOCK_MONOTONIC, ns
	cpu    time.Duration
	peak   int64 // bytes
}

// arguments returns the program's command line.
func (s *session) arguments(t engine.Transfer) []string {
	args := []string{"--json", "--interval", "0", "--bind", s.path.Local.Addr().String()}
	if !s.dials {
		return append(args, "--server", "--one-off", "--port", port(s.path.Local.Port()))
	}
	args = append(args, "--client", s.path.Remote.Addr().String(), "--port", port(s.path.Remote.Port()),
		"--parallel", strconv.Itoa(t.Streams), "--congestion", s.congestion)
	if !t.Sends {
		args = append(args, "--reverse")
	}
	if t.Bytes > 0 {
		return append(args, "--bytes", strconv.FormatInt(t.Bytes, 10))
	}
	return append(args, "--time", strconv.Itoa(int(t.Duration/time.Second)))
}

func port(p uint16) string { return strconv.Itoa(int(p)) }

// run runs the program; a dialler's again until the server listens.
func (s *session) run(ctx context.Context, t engine.Transfer) (ran, error) {
	deadline := time.Now().Add(connectPatience)
	for {
		r, err := s.runOnce(ctx, t)
		if err == nil || !s.dials || !errors.Is(err, errNotListening) || time.Now().After(deadline) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return ran{}, fmt.Errorf("iperf3: %w", context.Cause(ctx))
		case <-time.After(retryEvery):
		}
	}
}

// errNotListening says that there is no server yet.
var errNotListening = errors.New("the server does not listen")

func (s *session) runOnce(ctx context.Context, t engine.Transfer) (ran, error) {
	cmd := exec.CommandContext(ctx, s.program, s.arguments(t)...)
	var out limited
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = killGrace
	// It goes when the agent goes, whatever ends that.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	end, clockErr := monotonic()
	switch {
	case ctx.Err() != nil:
		return ran{}, fmt.Errorf("iperf3: %w", context.Cause(ctx))
	case err != nil || complaint(out.text) != "": // with --json it complains and exits with 0
		return ran{}, failure(out.text, err)
	case clockErr != nil:
		return ran{}, clockErr
	}
	r := ran{output: out.text, end: end, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.peak = usage.Maxrss << 10
	}
	return r, nil
}

func monotonic() (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("iperf3: read CLOCK_MONOTONIC: %w", err)
	}
	return t.Nano(), nil
}

// limited is a buffer with an end.
type limited struct{ text []byte }

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if len(l.text)+len(p) > maxOutput {
		return 0, fmt.Errorf("iperf3 printed more than %d bytes", maxOutput)
	}
	l.text = append(l.text, p...)
	return len(p), nil
}
