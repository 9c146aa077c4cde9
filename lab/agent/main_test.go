package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childMode is the argument that makes the test binary a child of that kind.
const childMode = "-agent-test-child="

// TestMain runs the tests, or a child of them. Afterwards no goroutine of the
// package may be left.
func TestMain(m *testing.M) {
	for _, arg := range os.Args[1:] {
		if mode, ok := strings.CutPrefix(arg, childMode); ok {
			os.Exit(runChild(mode))
		}
	}
	code := m.Run()
	if code == 0 {
		if left := leakedGoroutines(); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leakedGoroutines returns the stacks of the goroutines that run this package's
// code, after giving them a while to end.
func leakedGoroutines() string {
	var left []string
	for range 100 {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		left = nil
		for stack := range strings.SplitSeq(string(buf), "\n\n") {
			if strings.Contains(stack, "/lab/agent.") && !strings.Contains(stack, "leakedGoroutines") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return ""
		}
		time.Sleep(50 * time.Millisecond)
	}
	return strings.Join(left, "\n\n")
}

// runChild is the test binary as a child: the real one, or one of the kinds of
// child that a lab must survive.
func runChild(mode string) int {
	helloOnce := func() {
		fmt.Printf(`{"id":1,"result":{"version":%d,"pid":%d}}`+"\n", protocolVersion, os.Getpid())
	}
	awaitCall := func() { // the request after hello
		in := newLineReader(os.Stdin)
		_, _ = in.next()
		_, _ = in.next()
	}
	hang := func() { time.Sleep(time.Minute) }
	switch mode {
	case "agent":
		if err := Main(context.Background(), Config{In: os.Stdin, Out: os.Stdout, Engines: testEngines()}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case "lab": // starts an agent and dies without a word to it
		p, err := Start(context.Background(), "node", childCommand("agent"), (*exec.Cmd).Start)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(p.PID())
		hang()
	case "dies":
		fmt.Fprintln(os.Stderr, "cannot find the bridge")
		return 3
	case "dies-in-call":
		helloOnce()
		awaitCall()
		fmt.Fprintln(os.Stderr, "out of luck")
		return 4
	case "torn":
		fmt.Print(`{"id":1,"resu`)
	case "mute":
		hang()
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		helloOnce()
		hang()
	case "garbage":
		fmt.Println("Welcome to the agent!")
		hang()
	case "other-version":
		fmt.Println(`{"id":1,"result":{"version":999,"pid":1}}`)
		hang()
	case "unasked":
		fmt.Println(`{"id":7,"result":{}}`)
		hang()
	case "endless-line":
		for {
			if _, err := os.Stdout.WriteString(strings.Repeat("a", 4096)); err != nil {
				return 1
			}
		}
	case "floods":
		helloOnce()
		awaitCall()
		for {
			if _, err := fmt.Println(`{"id":2,"event":"progress","result":{"at_ns":1,"bytes":1}}`); err != nil {
				return 1
			}
		}
	case "babbles":
		helloOnce()
		for {
			if _, err := fmt.Fprintln(os.Stderr, strings.Repeat("bla ", 1000)); err != nil {
				return 1
			}
		}
	case "closes-output":
		helloOnce()
		os.Stdout.Close()
		hang()
	default:
		fmt.Fprintf(os.Stderr, "no such child: %q\n", mode)
		return 2
	}
	return 0
}

// childCommand returns the command that runs the test binary as a child.
func childCommand(mode string) *exec.Cmd {
	return exec.Command("/proc/self/exe", childMode+mode)
}
