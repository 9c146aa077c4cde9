package proto

import (
	"errors"
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
func (c *Conn) Multipath() bool { return false }

// OpenPath begins to use another pair of addresses beside those in use
// (draft-ietf-quic-multipath-21, section 3.1). Only a client can, once the handshake is
// confirmed. PathValidated says when the path may carry data; PathClosed, when it could
// not be validated.
func (c *Conn) OpenPath(now clock.Time, local, remote netip.AddrPort) (wire.PathID, error) {
	return 0, ErrNoMultipath
}

// ClosePath abandons a path (section 3.4). reason is one of wire.ApplicationAbandonPath,
// wire.PathResourceLimitReached, wire.PathUnstableOrPoor. What is under way on it is sent
// again on another path at once. It returns an error for a path that is not open, and for
// the only one.
func (c *Conn) ClosePath(now clock.Time, id wire.PathID, reason wire.ErrorCode) error {
	return ErrNoMultipath
}

// SetBackup says that a path is to be used only when no other can be, or no longer so,
// and tells the peer (section 3.3).
func (c *Conn) SetBackup(now clock.Time, id wire.PathID, backup bool) error { return ErrNoMultipath }

// SetWeight gives a path its share for the scheduler "weighted".
func (c *Conn) SetWeight(id wire.PathID, weight float64) error { return ErrNoMultipath }
