package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation/netem/uml/internal/boot"
)

func main() {
	if os.Getpid() != 1 || len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "umlinit: not the first process of a User-Mode Linux machine")
		os.Exit(2)
	}
	// The kernel may add words of its own (console=tty0) behind the path.
	outcome, err := run(os.Args[1])
	if err != nil {
		outcome.Problem = err.Error()
	}
	if err := report(outcome); err != nil {
		fmt.Fprintln(os.Stderr, "umlinit:", err)
	}
	unix.Sync()
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	// The first process must not end: that is a kernel panic, which stops the
	// machine as well.
	fmt.Fprintln(os.Stderr, "umlinit: power off:", err)
}

// run does what the order at path says.
func run(path string) (boot.Outcome, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return boot.Outcome{}, fmt.Errorf("read the order: %w", err)
	}
	var order boot.Order
	if err := json.Unmarshal(data, &order); err != nil {
		return boot.Outcome{}, fmt.Errorf("read the order %s: %w", path, err)
	}
	if err := errors.Join(mountAll(order.Mounts), loadModules(order.Modules), raiseLoopback()); err != nil {
		return boot.Outcome{}, err
	}
	return runCommand(order)
}

// runCommand runs the order's command, output to the output line, and adopts
// orphans meanwhile.
func runCommand(order boot.Order) (boot.Outcome, error) {
	out, err := os.OpenFile(boot.OutputLine, os.O_WRONLY, 0)
	if err != nil {
		return boot.Outcome{}, fmt.Errorf("open the line for output: %w", err)
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return boot.Outcome{}, err
	}
	defer null.Close()
	child, err := os.StartProcess(order.Argv[0], order.Argv, &os.ProcAttr{
		Dir: order.Dir, Env: order.Env, Files: []*os.File{null, out, out},
	})
	if err != nil {
		return boot.Outcome{}, fmt.Errorf("start %s: %w", order.Argv[0], err)
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return boot.Outcome{}, fmt.Errorf("wait for %s: %w", order.Argv[0], err)
		case pid == child.Pid && status.Signaled():
			return boot.Outcome{Exit: 128 + int(status.Signal())}, drain(out)
		case pid == child.Pid:
			return boot.Outcome{Exit: status.ExitStatus()}, drain(out)
		}
	}
}

// report writes the outcome where the outside reads it.
func report(outcome boot.Outcome) error {
	data, err := json.Marshal(outcome)
	if err != nil {
		return fmt.Errorf("encode the outcome: %w", err)
	}
	line, err := os.OpenFile(boot.OutcomeLine, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open the line for the outcome: %w", err)
	}
	defer line.Close()
	if _, err := line.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write the outcome: %w", err)
	}
	return drain(line)
}

// drain waits until a serial line has passed on all that was written to it:
// what is still in it when the machine stops is lost.
func drain(line *os.File) error {
	if err := unix.IoctlSetInt(int(line.Fd()), unix.TCSBRK, 1); err != nil {
		return fmt.Errorf("drain %s: %w", line.Name(), err)
	}
	return nil
}
