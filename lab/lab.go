package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/tquiclab/tquiclab/lab/netns"
	"github.com/tquiclab/tquiclab/topologies"
)

// Lab is one running lab. It holds nothing open: a Lab that was taken down
// meanwhile gives errors, not harm.
type Lab struct {
	host  Host
	state state
}

// Open returns the lab of that name. An error wraps ErrNotUp when there is none.
func (h Host) Open(name string) (*Lab, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	s, err := h.load(name)
	if err != nil {
		return nil, err
	}
	if s.Phase != phaseUp {
		return nil, fmt.Errorf("%s is %s: %w", name, s.Phase, ErrNotUp)
	}
	return &Lab{host: h, state: s}, nil
}

// Name returns the lab's name.
func (l *Lab) Name() string { return l.state.Mark.Lab }

// Topology returns what the lab was raised from.
func (l *Lab) Topology() topologies.Topology { return l.state.Topology }

// Backend returns who serves the wires: relay, netem or direct.
func (l *Lab) Backend() string { return l.state.Backend }

// Do runs f on a thread inside the node's namespace. Sockets and netlink handles
// opened there work anywhere; nothing that lives long may run in f.
func (l *Lab) Do(node string, f func() error) error {
	ns, err := l.open(node)
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(f)
}

// Start starts the command inside the node's namespace with the lab's mark in
// its environment, so that Down ends it. The caller waits for it. A nil Env
// means the Host's Environment.
func (l *Lab) Start(node string, cmd *exec.Cmd) error {
	if cmd.Env == nil {
		cmd.Env = l.host.Environment
	}
	cmd.Env = withMark(cmd.Env, l.state.Mark)
	// fork(2) copies the calling thread's namespaces.
	return l.Do(node, cmd.Start)
}

// Namespace opens the node's namespace. The caller closes it.
func (l *Lab) Namespace(node string) (*netns.NS, error) { return l.open(node) }

func (l *Lab) open(node string) (*netns.NS, error) {
	for _, n := range l.state.Topology.Nodes {
		if n.Name == node {
			return l.openNamespace(NodeNamespace(l.Name(), node))
		}
	}
	return nil, fmt.Errorf("lab %s has no node %q", l.Name(), node)
}

// openNamespace opens a namespace and checks that it is still the lab's.
func (l *Lab) openNamespace(name string) (*netns.NS, error) {
	ns, err := netns.Open(name)
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w: it may have been taken down; `tquiclab status` says", l.Name(), err)
	}
	text, err := ns.Mark()
	if err == nil && text != l.state.Mark.String() {
		err = fmt.Errorf("lab %s: namespace %s is another's by now", l.Name(), name)
	}
	if err != nil {
		ns.Close()
		return nil, err
	}
	return ns, nil
}

// Release takes the lab down when it was raised with OwnerPID of this process
// and nobody has claimed it since. It reports whether it did.
func (l *Lab) Release(ctx context.Context) (DownResult, bool, error) {
	s, err := l.host.load(l.Name())
	if err != nil || s.Mark != l.state.Mark || s.Owner == nil || s.Owner.PID != os.Getpid() {
		return DownResult{}, false, nil
	}
	result, err := l.host.Down(ctx, l.Name())
	return result, true, err
}
