package runner

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/relay"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/mptcp"
	"github.com/tquiclab/tquiclab/engine/quicgo"
	"github.com/tquiclab/tquiclab/engine/tcp"
	"github.com/tquiclab/tquiclab/engine/tquic"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/lab/conductor"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// TestMain makes the test binary stand in for the program's child processes.
// Afterwards no goroutine of the runner and its parts may be left.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "relay":
			exit(relay.Child(context.Background(), os.Stdin, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))))
		case "conduct":
			exit(conductor.Child(context.Background(), os.Stdin, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))))
		case "agent":
			exit(agent.Main(context.Background(), agent.Config{In: os.Stdin, Out: os.Stdout, Engines: allEngines()}))
		case "agent-that-dies":
			exit(fmt.Errorf("the cable is on fire"))
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

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// leakedGoroutines returns the stacks of the goroutines that run the lab's code,
// after giving them a while to end.
func leakedGoroutines() string {
	var left []string
	for range 100 {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		left = nil
		for stack := range strings.SplitSeq(string(buf), "\n\n") {
			if strings.Contains(stack, "tquiclab/lab") && !strings.Contains(stack, "leakedGoroutines") {
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

func testEngines() engine.Registry { return engine.NewRegistry(testEngineList()...) }

func testEngineList() []engine.Engine {
	return []engine.Engine{quicgo.New(), quicgo.NewBond(), tcp.New()}
}

// allEngines are those of the program.
func allEngines() engine.Registry {
	return engine.NewRegistry(append(testEngineList(), tcp.NewTLS(), mptcp.New(), mptcp.NewTLS(), tquic.NewEngine(), newChoosy())...)
}

// twoPaths is a fast and a slow impaired link between two nodes.
func twoPaths() topologies.Topology {
	end := func(link, end int) []netip.Prefix {
		return []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("10.78.%d.%d/24", link, end)),
			netip.MustParsePrefix(fmt.Sprintf("fd74:7171:%d::%d/64", link, end)),
		}
	}
	queue := emulation.Queue{Time: 100 * time.Millisecond}
	return topologies.Topology{
		Name: "two-paths", Seed: 1,
		Nodes: []topologies.Node{{Name: "client"}, {Name: "server"}},
		Links: []topologies.Link{
			{
				Name: "lte", Endpoints: [2]string{"client", "server"}, MTU: 1400,
				Up:        emulation.Impairments{Rate: 10e6, Delay: 5 * time.Millisecond, Queue: queue},
				Down:      emulation.Impairments{Rate: 20e6, Delay: 5 * time.Millisecond, Queue: queue},
				Addresses: [2][]netip.Prefix{end(0, 1), end(0, 2)},
			},
			{
				Name: "wifi", Endpoints: [2]string{"client", "server"}, MTU: 1500,
				Up:        emulation.Impairments{Rate: 10e6, Delay: 2 * time.Millisecond, Queue: queue},
				Down:      emulation.Impairments{Rate: 40e6, Delay: 2 * time.Millisecond, Queue: queue},
				Addresses: [2][]netip.Prefix{end(1, 1), end(1, 2)},
			},
		},
	}
}

// newLab raises a lab of twoPaths.
func newLab(t *testing.T) *lab.Lab {
	t.Helper()
	return raise(t, twoPaths())
}

// raise raises a topology's lab with a state folder of its own, and takes it down at
// the end.
func raise(t *testing.T, top topologies.Topology) *lab.Lab {
	t.Helper()
	// Not t.TempDir: a unix socket's path must stay under 108 bytes.
	parent, err := os.MkdirTemp("", "tqlr-")
	if err != nil {
		t.Fatal(err)
	}
	h := lab.Host{
		Dir:   filepath.Join(parent, "run"),
		Relay: []string{"/proc/self/exe", "relay"}, Conductor: []string{"/proc/self/exe", "conduct"},
		Environment: []string{"GORACE=atexit_sleep_ms=0"}, // race builds would end a second late each
	}
	t.Cleanup(func() {
		if _, err := h.DownAll(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("take the lab down: %v", err)
		}
		if err := os.RemoveAll(parent); err != nil {
			t.Error(err)
		}
	})
	up, err := h.Up(t.Context(), lab.UpConfig{
		Topology: top,
		Name:     "tqlr" + strings.ToLower(rand.Text()[:6]),
		Backend:  lab.BackendRelay,
	})
	if err != nil {
		t.Fatal(err)
	}
	return up.Lab
}

// testConfig runs half a megabyte from server to client once, over what engines
// says.
func testConfig(t *testing.T, l Lab, engines ...string) Config {
	t.Helper()
	folder, err := results.Create(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	return Config{
		Lab: l, LabName: "test", Topology: twoPaths(), Backend: "relay", Engines: testEngines(),
		Experiment: topologies.Experiment{
			From: "server", To: "client", Engines: engines, Rounds: 1,
			Workload: topologies.Workload{Kind: "bulk", Bytes: 1 << 19, Streams: 1, Connections: 1},
		},
		Seed:   7,
		Folder: folder,
		Steal:  func() (float64, error) { return results.ReadSteal(os.DirFS("/")) },
		Agent:  child("agent"),
	}
}

// child returns a factory of commands that run the test binary as a child.
func child(mode string) func() *exec.Cmd {
	return func() *exec.Cmd { return exec.Command("/proc/self/exe", mode) }
}
