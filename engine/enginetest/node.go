package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// nodeArgument makes a test's binary a node. It is the only argument then.
const nodeArgument = "tquiclab-enginetest-node"

// Main runs the package's tests, or serves as a node of one of them. engines are
// those that the nodes know.
func Main(m *testing.M, engines ...engine.Engine) {
	if len(os.Args) != 2 || os.Args[1] != nodeArgument {
		os.Exit(m.Run())
	}
	if err := serveNode(os.Stdin, os.Stdout, engine.NewRegistry(engines...)); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// order is what a test tells a node: one of the first three fields.
type order struct {
	Run    []string `json:"run,omitempty"` // a command in the node's namespace
	Listen *setup   `json:"listen,omitempty"`
	Bulk   *bulk    `json:"bulk,omitempty"`
}

// setup makes an engine listen and serve one transfer.
type setup struct {
	Engine      string        `json:"engine"`
	Paths       []engine.Path `json:"paths"`
	Credentials credentials   `json:"credentials"`
	Sessions    int           `json:"sessions"`
	Congestion  string        `json:"congestion"`
}

// bulk makes an engine dial and run one transfer.
type bulk struct {
	setup
	Workload workload.Bulk `json:"workload"`
	Role     workload.Role `json:"role"`
}

// reply is what a node answers: one per order, and one more after a listener's
// transfer.
type reply struct {
	Output string          `json:"output,omitempty"`
	Paths  []engine.Path   `json:"paths,omitempty"`
	Report workload.Report `json:"report"`
	Stats  []engine.Stats  `json:"stats,omitempty"` // when the transfer was over
	Error  string          `json:"error,omitempty"`
}

// nodeTimeout ends a node that a test left hanging.
const nodeTimeout = 3 * time.Minute

// serveNode carries out orders until its input ends.
func serveNode(in io.Reader, out io.Writer, engines engine.Registry) error {
	ctx, cancel := context.WithTimeout(context.Background(), nodeTimeout)
	defer cancel()
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		r, err := o.carryOut(ctx, engines, func(r reply) error { return enc.Encode(r) })
		if err != nil {
			r.Error = err.Error()
		}
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

// carryOut does what the order says. tell sends a reply in between.
func (o order) carryOut(ctx context.Context, engines engine.Registry, tell func(reply) error) (reply, error) {
	switch {
	case len(o.Run) > 0:
		output, err := exec.CommandContext(ctx, o.Run[0], o.Run[1:]...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w: %s", strings.Join(o.Run, " "), err, output)
		}
		return reply{Output: string(output)}, err
	case o.Listen != nil:
		return o.Listen.serve(ctx, engines, tell)
	case o.Bulk != nil:
		return o.Bulk.request(ctx, engines)
	}
	return reply{}, errors.New("an order is empty")
}

func (s setup) serve(ctx context.Context, engines engine.Registry, tell func(reply) error) (r reply, err error) {
	e, err := engines.Lookup(s.Engine)
	if err != nil {
		return r, err
	}
	tls, err := s.Credentials.listener()
	if err != nil {
		return r, err
	}
	l, err := e.Listen(ctx, engine.Config{Paths: s.Paths, TLS: tls, Congestion: s.Congestion})
	if err != nil {
		return r, err
	}
	defer l.Close()
	if err := tell(reply{Paths: l.Paths()}); err != nil {
		return r, err
	}
	var sessions []engine.Session
	for range s.Sessions {
		session, err := l.Accept(ctx)
		if err != nil {
			return r, err
		}
		defer session.Close()
		sessions = append(sessions, session)
	}
	r.Report, err = workload.Serve(ctx, sessions, nil)
	r.Stats = statsOf(sessions)
	return r, err
}

func (b bulk) request(ctx context.Context, engines engine.Registry) (r reply, err error) {
	e, err := engines.Lookup(b.Engine)
	if err != nil {
		return r, err
	}
	tls, err := b.Credentials.dialler()
	if err != nil {
		return r, err
	}
	var sessions []engine.Session
	for range b.Sessions {
		session, err := e.Dial(ctx, engine.Config{Paths: b.Paths, TLS: tls, Congestion: b.Congestion})
		if err != nil {
			return r, err
		}
		defer session.Close()
		sessions = append(sessions, session)
	}
	r.Report, err = b.Workload.Request(ctx, sessions, b.Role, nil)
	r.Stats = statsOf(sessions)
	return r, err
}

func statsOf(sessions []engine.Session) []engine.Stats {
	var stats []engine.Stats
	for _, s := range sessions {
		stats = append(stats, s.Stats())
	}
	return stats
}

// node is a child process in a network namespace of its own.
type node struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	replies *json.Decoder
}

// startNode starts a child whose namespace nobody has a name for: it ends with the
// child, which ends when its input does, at the latest with this process.
func startNode(t testing.TB) *node {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", nodeArgument)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start a node in a network namespace of its own: %v: it needs root", err)
	}
	n := &node{cmd: cmd, orders: in, replies: json.NewDecoder(out)}
	t.Cleanup(func() {
		in.Close()
		timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		_ = cmd.Wait() // its end is all that matters
	})
	return n
}

// order sends an order.
func (n *node) order(t testing.TB, o order) {
	t.Helper()
	if err := json.NewEncoder(n.orders).Encode(o); err != nil {
		t.Fatalf("give a node an order: %v", err)
	}
}

// reply reads the next reply.
func (n *node) reply(t testing.TB) reply {
	t.Helper()
	var r reply
	if err := n.replies.Decode(&r); err != nil {
		t.Fatalf("a node does not answer: %v", err)
	}
	return r
}

// run runs a command in the node's namespace.
func (n *node) run(t testing.TB, command string) string {
	t.Helper()
	n.order(t, order{Run: strings.Fields(command)})
	r := n.reply(t)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	return r.Output
}

// enter runs a command in the node's namespace from outside, while the node is busy.
func (n *node) enter(t testing.TB, command ...string) {
	t.Helper()
	args := append([]string{"-t", strconv.Itoa(n.cmd.Process.Pid), "-n", "--"}, command...)
	if output, err := exec.CommandContext(t.Context(), "nsenter", args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, output)
	}
}
