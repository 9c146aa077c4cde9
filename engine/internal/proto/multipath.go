package proto

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// PathState is how far a path is.
type PathState uint8

// The states of a path. One that is over is in no list any more.
const (
	// PathUnused: its ID was never used.
	PathUnused PathState = iota
	// PathValidating: a PATH_CHALLENGE is to be answered before data may leave on it.
	PathValidating
	// PathActive: it may carry data.
	PathActive
	// PathDead: it stopped to acknowledge. It is probed, and active again once it answers.
	PathDead
	// PathClosing: abandoned; kept for what is still under way (three PTOs).
	PathClosing
)

// String returns the state in one word.
func (s PathState) String() string {
	return [...]string{"unused", "validating", "active", "dead", "closing"}[s]
}

// Errors of OpenPath.
var (
	// ErrNoMultipath: one of the two sides does not have the extension.
	ErrNoMultipath = errors.New("the peer has no multipath")
	// ErrPathsBlocked: all the path IDs that the peer allows are used up. PathsAvailable
	// says when there are more.
	ErrPathsBlocked = errors.New("the peer allows no more paths for now")
)

// Multipath reports whether both sides have the multipath extension. It is known once
// the handshake is complete.
func (c *Conn) Multipath() bool { return c.multi.on }

// OpenPath begins to use another pair of addresses beside those in use
// (draft-ietf-quic-multipath-21, section 3.1). Only a client can, once the handshake is
// confirmed. PathValidated says when the path may carry data; PathClosed, when it could
// not be validated.
func (c *Conn) OpenPath(now clock.Time, local, remote netip.AddrPort) (wire.PathID, error) {
	m := &c.multi
	switch {
	case c.err != nil:
		return 0, c.err
	case c.side == wire.Server:
		return 0, errors.New("open a path: only a client can")
	case !c.confirmed:
		return 0, errors.New("open a path: the handshake is not confirmed yet")
	case !m.on:
		return 0, ErrNoMultipath
	}
	at := tuple{local, remote}
	if err := c.mayOpen(at); err != nil {
		return 0, err
	}
	for _, p := range c.paths {
		// draft-ietf-quic-multipath-21, section 3.2.1: IDs SHOULD be used without gaps.
		if p.state != PathUnused || p.id > min(m.localMax, m.peerMax) {
			continue
		}
		// Section 3.1: a connection ID of an unused path ID MUST be used, and both sides must
		// have given one for it.
		if len(p.issued.ids) == 0 || !p.peer.begin() {
			m.starved = true
			c.askForIDs(p)
			return 0, ErrPathsBlocked
		}
		c.start(now, p, at)
		return p.id, nil
	}
	m.starved = true
	m.blocked = m.blocked.ask(uint64(m.peerMax))
	return 0, ErrPathsBlocked
}

// mayOpen returns why no path may be opened between two addresses.
func (c *Conn) mayOpen(at tuple) error {
	if c.peer.DisableActiveMigration && at.remote == c.path0.tuple.remote {
		// Section 2.2: forbidden to the address of the handshake.
		return errors.New("open a path: the server does not allow it to this address")
	}
	return nil
}

// ClosePath abandons a path (section 3.4). reason is one of wire.ApplicationAbandonPath,
// wire.PathResourceLimitReached, wire.PathUnstableOrPoor. What is under way on it is sent
// again on another path at once. It returns an error for a path that is not open, and for
// the only one.
func (c *Conn) ClosePath(now clock.Time, id wire.PathID, reason wire.ErrorCode) error {
	p, err := c.openPath(id)
	if err != nil {
		return fmt.Errorf("close path: %w", err)
	}
	if !c.othersThan(p) {
		return fmt.Errorf("close path %d: there is no other path", id)
	}
	c.abandon(now, p, reason)
	return nil
}

// SetBackup says that a path is to be used only when no other can be, or no longer so,
// and tells the peer (section 3.3).
func (c *Conn) SetBackup(now clock.Time, id wire.PathID, backup bool) error {
	p, err := c.openPath(id)
	if err != nil {
		return fmt.Errorf("set backup: %w", err)
	}
	if p.backup == backup {
		return nil
	}
	p.backup = backup
	// draft-ietf-quic-multipath-21, section 4.3: the numbers of a path's frames MUST increase.
	p.status = statusFrame{state: frameQueued, next: p.status.next + 1}
	return nil
}

// SetWeight gives a path its share for the scheduler "weighted".
func (c *Conn) SetWeight(id wire.PathID, weight float64) error {
	p, err := c.openPath(id)
	switch {
	case err != nil:
		return fmt.Errorf("set weight: %w", err)
	case !(weight > 0):
		return fmt.Errorf("set weight of path %d: %g is not above 0", id, weight)
	}
	p.weight = weight
	return nil
}

// openPath returns the path with that ID if it is open.
func (c *Conn) openPath(id wire.PathID) (*path, error) {
	if c.err != nil {
		return nil, c.err
	}
	if !c.multi.on {
		return nil, ErrNoMultipath
	}
	for _, p := range c.open {
		if p.id == id {
			return p, nil
		}
	}
	return nil, fmt.Errorf("path %d is not open", id)
}
