package tquic

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/pathman"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/sched"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// PathID names a path of a connection. The first one, of the handshake, is 0; no ID is
// used twice.
type PathID uint32

// PathState is how far a path is.
type PathState uint8

// The states of a path.
const (
	// PathUnused: it was never used.
	PathUnused = PathState(proto.PathUnused)
	// PathValidating: its addresses are being proved. No data leaves on it.
	PathValidating = PathState(proto.PathValidating)
	// PathActive: it may carry data.
	PathActive = PathState(proto.PathActive)
	// PathDead: it stopped to acknowledge, and is probed.
	PathDead = PathState(proto.PathDead)
	// PathClosed: it was given up.
	PathClosed = PathState(proto.PathClosing)
)

// String returns the state in one word.
func (s PathState) String() string { return proto.PathState(s).String() }

// PathInfo says what a path is.
type PathInfo struct {
	ID            PathID
	State         PathState
	Local, Remote netip.AddrPort
	Backup        bool // to be used only when no other can be; either side says so
}

// PathPair is two addresses that Config.KeepPaths keeps a path between.
type PathPair struct {
	// Local's port 0 takes any.
	Local, Remote netip.AddrPort
	// Device is the interface to bind to (Linux). Empty: the system's routes decide.
	Device string
	// Backup: to be used only when no other path can be.
	Backup bool
	// Weight is its share for the scheduler "weighted"; 0: none given.
	Weight float64
}

// PathStatus is how a path is to be used.
type PathStatus uint8

// The two ways to use a path.
const (
	PathAvailable PathStatus = iota
	// PathBackup: only when no other can be.
	PathBackup
)

// Congestions returns the names that Config.Congestion takes.
func Congestions() []string { return congest.Names() }

// Schedulers returns the names that Config.Scheduler takes.
func Schedulers() []string { return sched.Names() }

// Multipath reports whether the connection can have several paths: both sides say so
// in the handshake, which must be complete.
func (c *Conn) Multipath() bool { return c.driver.Multipath() }

// Paths returns the paths that the connection has, in the order of their IDs. Those that
// were given up are not among them: Stats has them.
func (c *Conn) Paths() []PathInfo {
	s, _ := c.driver.FullStats()
	var out []PathInfo
	for i := range s.Paths {
		out = append(out, publicPath(&s.Paths[i]).PathInfo)
	}
	return out
}

// OpenPath begins to use another pair of addresses beside those in use. Only a client
// can, once the handshake is confirmed. The path has a socket of its own, unless local
// is the address of one of the endpoint's. Data leaves on it once the server has answered
// from there: Paths tells. Errors: ErrNoMultipath, ErrPathsBlocked.
func (c *Conn) OpenPath(local, remote netip.AddrPort) (PathID, error) {
	id, err := c.openPath(pathman.Pair{Local: local, Remote: remote})
	if err != nil {
		return 0, fmt.Errorf("open a path from %v to %v: %w", local, remote, publicError(err))
	}
	return PathID(id), nil
}

func (c *Conn) openPath(p pathman.Pair) (wire.PathID, error) {
	remote := netip.AddrPortFrom(p.Remote.Addr().Unmap(), p.Remote.Port())
	if !c.driver.Multipath() {
		return 0, proto.ErrNoMultipath
	}
	if slices.Contains(c.endpoint.driver.LocalAddrs(), p.Local) {
		return c.driver.OpenPath(p.Local, remote)
	}
	socket, err := bind(p.Local, p.Device)
	if err != nil {
		return 0, err
	}
	return c.driver.OpenPathOn(socket, remote)
}

// ClosePath gives a path up. What is under way on it is sent again on another one. The
// only path cannot be closed. A path of Config.KeepPaths is not opened again.
func (c *Conn) ClosePath(id PathID) error {
	if err := c.driver.ClosePath(wire.PathID(id), wire.ApplicationAbandonPath); err != nil {
		return fmt.Errorf("close path %d: %w", id, publicError(err))
	}
	return nil
}

// MigratePath moves one of a client's paths to another local address: port 0 takes any. The
// path has a socket of its own there, unless local is the address of one of the endpoint's. It
// keeps its ID, and goes on sending at once; congestion control and round-trip times begin
// anew with the address.
func (c *Conn) MigratePath(id PathID, local netip.AddrPort) error {
	if slices.Contains(c.endpoint.driver.LocalAddrs(), local) {
		return publicError(c.driver.Rebind(wire.PathID(id), local))
	}
	socket, err := bind(local, "")
	if err != nil {
		return fmt.Errorf("migrate path %d: %w", id, err)
	}
	return publicError(c.driver.RebindTo(wire.PathID(id), socket))
}

// SetPathStatus says how a path is to be used, to the peer, too.
func (c *Conn) SetPathStatus(id PathID, s PathStatus) error {
	if err := c.driver.SetBackup(wire.PathID(id), s == PathBackup); err != nil {
		return fmt.Errorf("set the status of path %d: %w", id, publicError(err))
	}
	return nil
}

// SetPathWeight gives a path its share of the bytes for the scheduler "weighted", in
// proportion to the others' shares.
func (c *Conn) SetPathWeight(id PathID, weight float64) error {
	if err := c.driver.SetWeight(wire.PathID(id), weight); err != nil {
		return fmt.Errorf("set the weight of path %d: %w", id, publicError(err))
	}
	return nil
}

// keepPaths starts the connection's path manager, if config allows several paths.
func (c *Conn) keepPaths(config Config) {
	if config.Paths < 2 {
		return
	}
	m := pathman.Config{MaxPaths: config.Paths}
	if config.DiscoverPaths {
		_, m.Discover = c.driver.Addresses()
	}
	for _, p := range config.KeepPaths {
		m.Pairs = append(m.Pairs, pathman.Pair(p))
	}
	e := c.endpoint
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	c.managed.Add(1)
	e.tasks.Go(func() {
		defer c.managed.Done()
		c.managePaths(m)
	})
}

func (c *Conn) managePaths(m pathman.Config) {
	select {
	case <-c.driver.Confirmed():
	case <-c.driver.Done():
		return
	}
	if !c.driver.Multipath() {
		return
	}
	// Without a watcher, paths are found dead by their silence.
	watch, err := c.endpoint.watch.Subscribe()
	if err == nil {
		defer watch.Close()
	}
	pathman.New(m, managed{c}).Run(c.driver, watch)
}

// managed is a connection as its path manager sees it.
type managed struct{ c *Conn }

func (m managed) Paths() []pathman.Path {
	var out []pathman.Path
	for _, p := range m.c.driver.Stats().Paths {
		out = append(out, pathman.Path{ID: p.ID, State: p.State, Local: p.Local, Remote: p.Remote})
	}
	return out
}

func (m managed) OpenPath(p pathman.Pair) (wire.PathID, error) { return m.c.openPath(p) }

func (m managed) ClosePath(id wire.PathID, reason wire.ErrorCode) error {
	return m.c.driver.ClosePath(id, reason)
}

func (m managed) Prefer(id wire.PathID, p pathman.Pair) error {
	if p.Weight != 0 {
		if err := m.c.driver.SetWeight(id, p.Weight); err != nil {
			return err
		}
	}
	if !p.Backup {
		return nil
	}
	return m.c.driver.SetBackup(id, true)
}
