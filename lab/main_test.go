package lab

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/emulation/relay"
	"github.com/tquiclab/tquiclab/lab/conductor"
	"github.com/tquiclab/tquiclab/lab/netns"
)

// TestMain makes the test binary stand in for the program: as a relay or conductor,
// and as an `up` that dies at a chosen step. After the tests it looks for
// anything that they left.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "relay":
			exit(relay.Child(context.Background(), os.Stdin, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))))
		case "conduct":
			exit(conductor.Child(context.Background(), os.Stdin, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))))
		case "die":
			dieAtStep(os.Args[2], os.Args[3], os.Args[4])
		}
	}
	code := m.Run()
	if left := leftovers(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "the tests left: %s\n", strings.Join(left, ", "))
		code = 1
	}
	os.Exit(code)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// dieAtStep raises a lab of that name in dir and kills itself like kill -9 does: at
// step n/2, before it runs when n is even and after it when n is odd.
func dieAtStep(dir, name, n string) {
	at, err := strconv.Atoi(n)
	if err != nil {
		panic(err)
	}
	h := testHost(dir)
	plan := NewPlan(eventful(), name, BackendRelay)
	die := func() { _ = unix.Kill(os.Getpid(), unix.SIGKILL); select {} }
	for i := range plan.Steps {
		run := plan.Steps[i].run
		plan.Steps[i].run = func(ctx context.Context, r *raising) error {
			if at == 2*i {
				die()
			}
			if err := run(ctx, r); err != nil {
				return err
			}
			if at == 2*i+1 {
				die()
			}
			return nil
		}
	}
	l, err := h.lockLabs(context.Background())
	if err != nil {
		panic(err)
	}
	defer l.unlock()
	_, err = h.raise(context.Background(), plan, UpConfig{Topology: eventful()})
	panic(fmt.Sprintf("raise returned %v", err))
}

// leftovers returns the namespaces and processes of labs whose state folder lies
// in a test's folder.
func leftovers() []string {
	var left []string
	names, err := netns.Names()
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range names {
		if ns, err := readNamespace(name); err == nil && isTestDir(ns.mark.Dir) {
			left = append(left, "namespace "+name)
		}
	}
	processes, err := markedProcesses(func(m Mark) bool { return isTestDir(m.Dir) })
	if err != nil {
		return append(left, err.Error())
	}
	for _, p := range processes {
		left = append(left, "process "+p.String())
	}
	return left
}

func isTestDir(dir string) bool { return strings.Contains(dir, testDirPrefix()) }
