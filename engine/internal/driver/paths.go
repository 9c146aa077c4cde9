package driver

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// maxPathEvents bounds the events of paths that nobody takes; the oldest are dropped.
	maxPathEvents = 64
	// maxClosedPaths bounds the closed paths whose counters are kept apart.
	maxClosedPaths = 32
	// socketLinger is how long the socket of a closed path still hears what is under way:
	// three PTOs (draft-ietf-quic-multipath-21, section 3.4) of most paths.
	socketLinger = 3 * time.Second
)

// paths is what a connection's driver knows of its paths. Conn.mu guards it.
type paths struct {
	changed signal        // there are events
	events  []proto.Event // not taken yet
	missed  bool          // some were dropped
	closed  []ClosedPath
	own     []ownSocket
}

// ClosedPath is the last that is known of a path that was closed.
type ClosedPath struct {
	proto.PathStats
	Err error // why
}

// ownSocket is a socket that serves one path alone.
type ownSocket struct {
	path  wire.PathID
	local netip.AddrPort
	// until is when it is closed; clock.Never while the path is open.
	until clock.Time
}

// Multipath reports whether both sides have the extension. It is known once the
// handshake is complete.
func (c *Conn) Multipath() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.Multipath()
}

// OpenPath begins to use another pair of addresses: see proto. local is the address
// of one of the endpoint's sockets.
func (c *Conn) OpenPath(local, remote netip.AddrPort) (wire.PathID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.openPath(local, remote)
}

// OpenPathOn is OpenPath from a socket of its own (give, also when it fails), which is
// closed some time after the path, at the latest with the connection.
func (c *Conn) OpenPathOn(socket *net.UDPConn, remote netip.AddrPort) (wire.PathID, error) {
	local, err := c.e.AddSocket(socket)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id, err := c.openPath(local, remote)
	if err != nil {
		return 0, c.e.without(local, err)
	}
	c.paths.own = append(c.paths.own, ownSocket{id, local, clock.Never})
	return id, nil
}

// openPath: mu is held.
func (c *Conn) openPath(local, remote netip.AddrPort) (wire.PathID, error) {
	if c.err != nil {
		return 0, c.err
	}
	id, err := c.core.OpenPath(c.now(), local, remote)
	if err == nil {
		c.keepSocket(id, local)
	}
	c.changedPaths()
	return id, err
}

// keepSocket has the socket at local, which was about to be closed if it is one of the
// connection's own, serve another path. mu is held.
func (c *Conn) keepSocket(id wire.PathID, local netip.AddrPort) {
	for i := range c.paths.own {
		if o := &c.paths.own[i]; o.local == local {
			o.path, o.until = id, clock.Never
		}
	}
}

// Rebind moves one of a client's paths to another of the endpoint's addresses: see proto.
func (c *Conn) Rebind(id wire.PathID, local netip.AddrPort) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rebind(id, local)
}

// RebindTo is Rebind to a socket that the path has to itself, as with OpenPathOn.
func (c *Conn) RebindTo(id wire.PathID, socket *net.UDPConn) error {
	local, err := c.e.AddSocket(socket)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.rebind(id, local); err != nil {
		return c.e.without(local, err)
	}
	c.paths.own = append(c.paths.own, ownSocket{id, local, clock.Never})
	return nil
}

// rebind: mu is held.
func (c *Conn) rebind(id wire.PathID, local netip.AddrPort) error {
	if err := c.core.Rebind(c.now(), id, local); err != nil {
		c.requestSend() // PATH_CIDS_BLOCKED, perhaps
		return err
	}
	c.leaveSockets(id, local)
	c.keepSocket(id, local)
	c.local, c.remote = c.core.Addresses()
	c.changedPaths()
	return nil
}

// leaveSockets has the sockets that were the path's alone, but for the one at local, closed
// in some time. mu is held.
func (c *Conn) leaveSockets(id wire.PathID, local netip.AddrPort) {
	for i := range c.paths.own {
		if o := &c.paths.own[i]; o.path == id && o.until == clock.Never && o.local != local {
			o.until = c.now().Add(socketLinger)
			c.wakeUp() // to arm its timer
		}
	}
}

// ClosePath abandons a path: see proto.
func (c *Conn) ClosePath(id wire.PathID, reason wire.ErrorCode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.core.ClosePath(c.now(), id, reason)
	c.changedPaths()
	return err
}

// SetBackup says whether a path is to be used only when no other can be.
func (c *Conn) SetBackup(id wire.PathID, backup bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.core.SetBackup(c.now(), id, backup)
	c.changedPaths()
	return err
}

// SetWeight gives a path its share for the scheduler "weighted".
func (c *Conn) SetWeight(id wire.PathID, weight float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.core.SetWeight(id, weight)
	c.changedPaths()
	return err
}

// changedPaths has what a call changed take effect. mu is held.
func (c *Conn) changedPaths() {
	c.drainEvents()
	c.wakeUp()
}

// PathsChanged receives when TakePathEvents has something. One reader.
func (c *Conn) PathsChanged() <-chan struct{} { return c.paths.changed }

// TakePathEvents returns the events of paths since the last call, oldest first. missed:
// nobody took them for so long that some were dropped; Stats says how things are.
func (c *Conn) TakePathEvents() (events []proto.Event, missed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	events, missed = c.paths.events, c.paths.missed
	c.paths.events, c.paths.missed = nil, false
	return events, missed
}

// notePath keeps an event of a path. mu is held.
func (c *Conn) notePath(ev proto.Event) {
	p := &c.paths
	if len(p.events) == maxPathEvents {
		p.events, p.missed = slices.Delete(p.events, 0, 1), true
	}
	p.events = append(p.events, ev)
	p.changed.set()
	c.local, c.remote = c.core.Addresses()
	switch ev.Kind {
	case proto.PathOpened:
		c.keepSocket(ev.Path, ev.Local)
	case proto.PathClosed:
		c.notePathClosed(ev)
	}
}

func (c *Conn) notePathClosed(ev proto.Event) {
	p := &c.paths
	now := c.core.Stats().Paths
	c.refreshClosed(now)
	last := proto.PathStats{ID: ev.Path, Local: ev.Local, Remote: ev.Remote}
	if q := findPath(now, ev.Path); q != nil {
		last = *q
	}
	p.closed = append(p.closed, ClosedPath{last, ev.Err})
	if len(p.closed) > maxClosedPaths {
		foldOldest(&p.closed)
	}
	c.leaveSockets(ev.Path, netip.AddrPort{})
}

// refreshClosed takes over what closed paths counted since, while the core knows them.
// mu is held.
func (c *Conn) refreshClosed(now []proto.PathStats) {
	for i := range c.paths.closed {
		p := &c.paths.closed[i]
		if q := findPath(now, p.ID); q != nil {
			p.PathStats = *q
		}
	}
}

func findPath(paths []proto.PathStats, id wire.PathID) *proto.PathStats {
	for i := range paths {
		if paths[i].ID == id {
			return &paths[i]
		}
	}
	return nil
}

// foldOldest adds the oldest closed path's counters to the next one of the same local
// address, or else to the next one.
func foldOldest(closed *[]ClosedPath) {
	old, rest := (*closed)[0], (*closed)[1:]
	into := max(0, slices.IndexFunc(rest, func(p ClosedPath) bool { return p.Local.Addr() == old.Local.Addr() }))
	p := &rest[into].PathStats
	p.SentPackets += old.SentPackets
	p.ReceivedPackets += old.ReceivedPackets
	p.LostPackets += old.LostPackets
	p.SentBytes += old.SentBytes
	p.ReceivedBytes += old.ReceivedBytes
	p.ReinjectedBytes += old.ReinjectedBytes
	p.Picks += old.Picks
	p.Failures += old.Failures
	*closed = slices.Delete(*closed, 0, 1)
}

// leave closes the sockets that have lingered long enough, and returns when the next
// one has. mu is held.
func (c *Conn) leave() clock.Time {
	if len(c.paths.own) == 0 {
		return clock.Never
	}
	now, next := c.now(), clock.Never
	c.paths.own = slices.DeleteFunc(c.paths.own, func(o ownSocket) bool {
		if now < o.until {
			next = min(next, o.until)
			return false
		}
		_ = c.e.RemoveSocket(o.local) // gone with the endpoint, or the last: it stays
		return true
	})
	return next
}

// leaveAll closes the sockets that only this connection used. mu is held.
func (c *Conn) leaveAll() {
	for _, o := range c.paths.own {
		_ = c.e.RemoveSocket(o.local) // gone with the endpoint, or the last: it stays
	}
	c.paths.own = nil
}
