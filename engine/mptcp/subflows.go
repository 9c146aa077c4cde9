package mptcp

import (
	"context"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/tcp"
)

const (
	// subflowWait is how long a new connection waits for the subflows of its paths.
	subflowWait = time.Second
	subflowPoll = 2 * time.Millisecond
)

// awaitSubflows returns when every path has an established subflow, or after
// subflowWait with those that are up: a bond must start on the paths that it has.
func awaitSubflows(ctx context.Context, c *net.TCPConn, paths []engine.Path) error {
	timeout := time.NewTimer(subflowWait)
	defer timeout.Stop()
	poll := time.NewTicker(subflowPoll)
	defer poll.Stop()
	for {
		flows, err := flowsOf(c)
		if err != nil {
			return nil // a kernel that cannot tell is not waited for
		}
		if up := established(flows, paths); !slices.Contains(up, false) {
			return nil
		}
		select {
		case <-poll.C:
		case <-timeout.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// flowsOf asks for the connection's subflows.
func flowsOf(c *net.TCPConn) (flows []subflow, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := raw.Control(func(fd uintptr) { flows, err = subflows(int(fd)) })
	if cerr != nil {
		return nil, cerr
	}
	return flows, err
}

// established says of each path whether it has an established subflow.
func established(flows []subflow, paths []engine.Path) []bool {
	up := make([]bool, len(paths))
	for _, f := range flows {
		if i := pathOf(f, paths); i >= 0 && f.info.State == unix.BPF_TCP_ESTABLISHED {
			up[i] = true
		}
	}
	return up
}

// pathOf returns which path the subflow runs on, or -1. The local address decides;
// where paths share one, the remote address does.
func pathOf(f subflow, paths []engine.Path) int {
	found := -1
	for i, p := range paths {
		if p.Local.Addr().Unmap() != f.local {
			continue
		}
		if p.Remote.IsValid() && p.Remote.Addr().Unmap() == f.remote {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// staleTimeouts is after how many retransmission timeouts in a row a subflow counts
// as dead: the kernel's own default for calling it stale (net.mptcp.stale_loss_cnt).
const staleTimeouts = 4

// track returns what follows one connection. The kernel forgets a subflow with its
// counters when it closes it: the last that was seen stands for it.
func track() func(*net.TCPConn, []engine.Path) []engine.PathStats {
	var r record
	return func(c *net.TCPConn, paths []engine.Path) []engine.PathStats {
		if flows, err := flowsOf(c); err == nil {
			r.update(flows, paths)
		}
		return r.stats(paths)
	}
}

// record is what was seen of one connection's subflows.
type record struct {
	last []engine.PathStats
	had  []bool // the path has had an established subflow
}

// stats returns the figures, one per path.
func (r *record) stats(paths []engine.Path) []engine.PathStats {
	if r.last == nil {
		r.last, r.had = make([]engine.PathStats, len(paths)), make([]bool, len(paths))
	}
	return slices.Clone(r.last)
}

// update takes the subflows as they are now. While all of them are established, a
// path that had one and has none is dead. Once the connection is ending they go one
// after the other, which says nothing about their paths.
func (r *record) update(flows []subflow, paths []engine.Path) {
	r.stats(paths)
	ending := len(flows) == 0
	for _, f := range flows {
		i := pathOf(f, paths)
		if f.info.State != unix.BPF_TCP_ESTABLISHED {
			ending = ending || f.info.State != unix.BPF_TCP_SYN_SENT && f.info.State != unix.BPF_TCP_SYN_RECV
		}
		if i < 0 || f.info.State == unix.BPF_TCP_SYN_SENT {
			continue
		}
		dead := r.last[i].Dead
		r.last[i], r.had[i] = tcp.FromInfo(&f.info), true
		r.last[i].Dead = dead
	}
	if ending {
		return
	}
	up := established(flows, paths)
	for i := range paths {
		r.last[i].Dead = r.had[i] && !up[i]
	}
	for _, f := range flows {
		if i := pathOf(f, paths); i >= 0 && f.info.Retransmits >= staleTimeouts {
			r.last[i].Dead = true
		}
	}
}
