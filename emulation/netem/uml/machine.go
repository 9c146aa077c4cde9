package uml

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation/netem/uml/internal/boot"
)

// grace is what a machine gets between being asked to stop and being killed.
const grace = 3 * time.Second

// errTimeUp is the cause of a machine that was stopped from outside.
var errTimeUp = errors.New("the time is up")

// kernel is an installed User-Mode Linux.
type kernel struct {
	path    string // the program
	modules string // the folder of its modules
}

// findKernel returns the User-Mode Linux of this machine.
func findKernel(ctx context.Context) (kernel, error) {
	const install = "install User-Mode Linux: apt-get install user-mode-linux"
	path, err := exec.LookPath("linux.uml")
	if err != nil {
		return kernel{}, fmt.Errorf("%w (%s)", err, install)
	}
	version, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return kernel{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	modules := filepath.Join("/usr/lib/uml/modules", strings.TrimSpace(string(version)))
	if _, err := os.Stat(modules); err != nil {
		return kernel{}, fmt.Errorf("find its modules: %w (%s)", err, install)
	}
	return kernel{path, modules}, nil
}

// machine is what to boot.
type machine struct {
	kernel kernel
	folder string // private to this machine, short enough for a socket's path
	memory int64  // bytes
	nice   int    // its priority on the host
	first  string // the first process
	order  boot.Order
	output func(line string) // takes each line that the command prints
}

// run boots the machine and returns how its command ended. When ctx is done it
// stops the machine and returns what it has, with errTimeUp. Boot messages go
// into the error, if there is one.
func (m machine) run(ctx context.Context) (boot.Outcome, error) {
	cmd, console, err := m.command()
	if err != nil {
		return boot.Outcome{}, err
	}
	output, outputEnd, err := os.Pipe()
	if err != nil {
		return boot.Outcome{}, err
	}
	defer output.Close()
	outcome, outcomeEnd, err := os.Pipe()
	if err != nil {
		outputEnd.Close()
		return boot.Outcome{}, err
	}
	defer outcome.Close()
	cmd.ExtraFiles = []*os.File{outputEnd, outcomeEnd} // 3 and 4 in there

	// Pdeathsig is about the thread that started the process, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	outputEnd.Close()
	outcomeEnd.Close()
	if err != nil {
		return boot.Outcome{}, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	if m.nice != 0 {
		renice(cmd.Process.Pid, m.nice)
	}

	var result []byte
	var readers sync.WaitGroup
	readers.Go(func() { eachLine(output, m.output) })
	readers.Go(func() { result, _ = io.ReadAll(outcome) })
	ended := waitFor(ctx, cmd)
	readers.Wait()

	var got boot.Outcome
	problem := ended
	if err := json.Unmarshal(result, &got); err != nil && ended == nil {
		problem = errors.New("the machine stopped without a word")
	} else if got.Problem != "" {
		problem = errors.New(got.Problem)
	}
	if problem != nil {
		return got, fmt.Errorf("user-mode linux: %w; its console said:\n%s", problem, console)
	}
	return got, nil
}

// renice sets the priority of a machine that has just started: what it has not started
// yet inherits it. A session has a priority of its own where the host's kernel groups
// by session (sched(7), autogroup). Who may not has a slower machine.
func renice(pid, nice int) {
	_ = unix.Setpriority(unix.PRIO_PGRP, pid, nice)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), fmt.Append(nil, nice), 0)
}

// command returns the kernel's command line, and where its console will go.
func (m machine) command() (*exec.Cmd, *bytes.Buffer, error) {
	data, err := json.Marshal(m.order)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the order: %w", err)
	}
	order := filepath.Join(m.folder, "order.json")
	if err := os.WriteFile(order, data, 0o600); err != nil {
		return nil, nil, err
	}
	memory, err := memoryFolder(m.memory, "/dev/shm", m.folder)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(m.kernel.path,
		fmt.Sprintf("mem=%dK", m.memory>>10),
		"root=/dev/root", "rootfstype=hostfs", "ro",
		"uml_dir="+m.folder+"/", "umid=machine",
		"con=null", "con0=null,fd:1", "ssl=null", "ssl0=null,fd:3", "ssl1=null,fd:4",
		"quiet", "panic=-1", "noreboot", "init="+m.first, "--", order)
	cmd.Env = []string{"TMPDIR=" + memory, "HOME=" + m.folder}
	// A session of its own: no terminal, and one group to end it by. The machine
	// tidies up on SIGTERM, which it gets if this process dies.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGTERM}
	console := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.WaitDelay = grace
	return cmd, console, nil
}

// waitFor waits until the machine has stopped, stopping it when ctx is done.
func waitFor(ctx context.Context, cmd *exec.Cmd) error {
	pid := cmd.Process.Pid
	stopped := make(chan struct{})
	var stopper sync.WaitGroup
	stopper.Go(func() {
		select {
		case <-stopped:
			return
		case <-ctx.Done():
		}
		unix.Kill(pid, unix.SIGTERM)
		select {
		case <-stopped:
		case <-time.After(grace):
			unix.Kill(-pid, unix.SIGKILL)
		}
	})
	for {
		// Not reaped yet: until Wait below the process id, and with it the
		// group's, cannot become another's.
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	close(stopped)
	stopper.Wait()
	// The processes of the inside are children of the machine, stopped and
	// waiting for it. It ends them when it stops, unless it crashed.
	unix.Kill(-pid, unix.SIGKILL)
	// Its exit status says little: the kernel's, not the command's.
	_ = cmd.Wait()
	if ctx.Err() != nil {
		return errTimeUp
	}
	return nil
}

// eachLine calls take for each line of r, however long, until r ends.
func eachLine(r io.Reader, take func(string)) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			take(strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			return
		}
	}
}
