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

// silence is how long a subflow may time out on unacknowledged data before it counts
// as dead: the same as quic-go-bond gives a path. The kernel's own verdict, stale, is
// not visible from outside.
const silence = time.Second

// silent reports whether the subflow has data out and has heard nothing for too long.
func silent(info *unix.TCPInfo) bool {
	quiet := time.Duration(info.Last_ack_recv) * time.Millisecond
	rtt := time.Duration(info.Rtt) * time.Microsecond
	return info.Unacked > 0 && info.Retransmits > 0 && quiet > max(silence, 4*rtt)
}

// track returns what follows one connection. The kernel forgets a subflow with its
// counters when it closes it: the last that was seen stands for it.
func track() func(*net.TCPConn, []engine.Path) []engine.PathStats {
	var r record
	return func(c *net.TCPConn, paths []engine.Path) []engine.PathStats {
		if r.last == nil {
			r = newRecord(len(paths))
		}
		if flows, err := flowsOf(c); err == nil {
			r.update(flows, paths)
		}
		return r.stats()
	}
}

// record is what was seen of one connection's subflows.
type record struct {
	past []engine.PathStats // of subflows that another one replaced
	last []engine.PathStats // of the newest subflow; Dead is the path's
	had  []bool             // the path has had an established subflow
}

func newRecord(paths int) record {
	return record{
		past: make([]engine.PathStats, paths), last: make([]engine.PathStats, paths), had: make([]bool, paths),
	}
}

// stats returns the figures, one per path.
func (r *record) stats() []engine.PathStats {
	sum := slices.Clone(r.last)
	for i, p := range r.past {
		sum[i].SentPackets += p.SentPackets
		sum[i].LostPackets += p.LostPackets
	}
	return sum
}

// update takes the subflows as they are now.
func (r *record) update(flows []subflow, paths []engine.Path) {
	for _, f := range flows {
		i := pathOf(f, paths)
		if i < 0 || f.info.State == unix.BPF_TCP_CLOSE || f.info.State == unix.BPF_TCP_SYN_SENT {
			continue // the kernel has cleared the figures of a closed one
		}
		now := tcp.FromInfo(&f.info)
		if now.SentPackets < r.last[i].SentPackets {
			r.past[i].SentPackets += r.last[i].SentPackets
			r.past[i].LostPackets += r.last[i].LostPackets
		}
		now.Dead = r.last[i].Dead
		r.last[i], r.had[i] = now, true
	}
	r.judge(flows, paths)
}

// judge says which paths are dead: those that had an established subflow and have
// none, or one that only times out. Once the connection is ending its subflows go
// one after the other, which says nothing about their paths.
func (r *record) judge(flows []subflow, paths []engine.Path) {
	ending := len(flows) == 0 || slices.ContainsFunc(flows, func(f subflow) bool {
		switch f.info.State {
		case unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_SYN_SENT, unix.BPF_TCP_SYN_RECV:
			return false
		}
		return true
	})
	if ending {
		return
	}
	up := established(flows, paths)
	for i := range paths {
		r.last[i].Dead = r.had[i] && !up[i]
	}
	for _, f := range flows {
		if i := pathOf(f, paths); i >= 0 && silent(&f.info) {
			r.last[i].Dead = true
		}
	}
}
