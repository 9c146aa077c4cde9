package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// statusFrame is PATH_STATUS_BACKUP or PATH_STATUS_AVAILABLE on its way.
type statusFrame struct {
	state frameState
	next  uint64 // sequence number of the frame after the newest
}

// blockedFrame is PATHS_BLOCKED or PATH_CIDS_BLOCKED on its way: once for each value.
type blockedFrame struct {
	state frameState
	value uint64
}

func (f blockedFrame) ask(value uint64) blockedFrame {
	if f.state != frameNone && f.value == value {
		return f
	}
	return blockedFrame{frameQueued, value}
}

// handleMultipathFrame takes a frame of the extension.
func (c *Conn) handleMultipathFrame(now clock.Time, r *received, t wire.FrameType, b []byte) (int, error) {
	switch t {
	case wire.TypePathAck, wire.TypePathAckECN:
		f, n, err := wire.ParseAck(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handlePathAck(now, r, &f)
	case wire.TypePathAbandon:
		f, n, err := wire.ParsePathAbandon(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handleAbandon(now, f)
	case wire.TypePathStatusBackup, wire.TypePathStatusAvailable:
		f, n, err := wire.ParsePathStatus(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handleStatus(f)
	case wire.TypePathNewConnectionID:
		f, n, err := wire.ParseNewConnectionID(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handlePathNewID(f)
	case wire.TypePathRetireConnectionID:
		f, n, err := wire.ParseRetireConnectionID(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handlePathRetire(f, r.dst)
	}
	return c.handlePathLimit(t, b)
}

// handlePathLimit takes the frames about how many paths there may be.
func (c *Conn) handlePathLimit(t wire.FrameType, b []byte) (int, error) {
	switch t {
	case wire.TypeMaxPathID:
		f, n, err := wire.ParseMaxPathID(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handleMaxPathID(f.Max)
	case wire.TypePathsBlocked:
		f, n, err := wire.ParsePathsBlocked(t, b)
		if err == nil && f.Max > c.multi.localMax {
			// draft-ietf-quic-multipath-21, section 4.7: a maximum above the local one MUST be a
			// PROTOCOL_VIOLATION.
			err = wire.Errorf(wire.ProtocolViolation, "blocked by a limit of %d that was never given", f.Max)
		}
		return n, err
	}
	f, n, err := wire.ParsePathCIDsBlocked(t, b)
	if err != nil {
		return 0, err
	}
	p, err := c.pathOfFrame(f.Path)
	if err == nil && p != nil && f.NextSequence > p.issued.next {
		// draft-ietf-quic-multipath-21, section 4.7: a sequence number above the next one to be
		// issued MUST be a PROTOCOL_VIOLATION.
		err = wire.Errorf(wire.ProtocolViolation, "waits for connection ID %d of path %d, the next is %d", f.NextSequence, f.Path, p.issued.next)
	}
	return n, err
}

// pathOfFrame returns the path that a frame is about; nil: it is over. Then
// draft-ietf-quic-multipath-21, section 4: the frame MUST be ignored; and an ID above the
// announced limit MUST be a PROTOCOL_VIOLATION.
func (c *Conn) pathOfFrame(id wire.PathID) (*path, error) {
	if id > c.multi.localMax {
		return nil, wire.Errorf(wire.ProtocolViolation, "of path %d, the limit is %d", id, c.multi.localMax)
	}
	return c.pathByID(id), nil
}

func (c *Conn) handlePathAck(now clock.Time, r *received, f *wire.Ack) error {
	p, err := c.pathOfFrame(f.Path)
	switch {
	case p == nil || err != nil:
		return err
	case p.det == nil:
		if p.state == PathClosing {
			return nil
		}
		return wire.Errorf(wire.ProtocolViolation, "acknowledges packets of path %d, on which none was sent", f.Path)
	}
	return c.handleAck(now, p, r.kind, f)
}

// handleAbandon takes PATH_ABANDON. draft-ietf-quic-multipath-21, section 3.4: it MUST be
// answered by another one, unless that was sent before.
func (c *Conn) handleAbandon(now clock.Time, f wire.PathAbandon) error {
	p, err := c.pathOfFrame(f.Path)
	if p == nil || err != nil {
		return err
	}
	if p.state == PathClosing {
		// Section 3.4: what is known of the path SHOULD be kept for 3 PTO after the peer said
		// that it leaves it, too. It says so once, whatever it repeats.
		if !p.abandonment.answered {
			p.abandonment.until = max(p.abandonment.until, now.Add(lingerPTOs*c.pto()))
		}
	} else {
		err = c.lose(now, p, wire.ErrorCode(f.Code), "the only path is abandoned")
	}
	p.abandonment.answered = true
	return err
}

// handleStatus takes what the peer would rather have a path used for.
// draft-ietf-quic-multipath-21, section 4.3: a frame that is not newer than the last of the
// same path MUST be ignored.
func (c *Conn) handleStatus(f wire.PathStatus) error {
	p, err := c.pathOfFrame(f.Path)
	if p == nil || err != nil || f.Sequence+1 <= p.peerStatus {
		return err
	}
	p.peerStatus, p.peerBackup = f.Sequence+1, f.Backup
	return nil
}

// handlePathRetire takes RETIRE_CONNECTION_ID, which is of path 0, and
// PATH_RETIRE_CONNECTION_ID, in a packet addressed to dst.
func (c *Conn) handlePathRetire(f wire.RetireConnectionID, dst wire.ConnID) error {
	p, err := c.pathOfFrame(f.Path)
	if p == nil || p.state == PathClosing || err != nil {
		return err
	}
	return p.issued.handleRetire(f.Sequence, dst)
}

// handlePathNewID takes NEW_CONNECTION_ID, which is of path 0, and
// PATH_NEW_CONNECTION_ID.
func (c *Conn) handlePathNewID(f wire.NewConnectionID) error {
	p, err := c.pathOfFrame(f.Path)
	if p == nil || p.state == PathClosing || err != nil {
		return err
	}
	for _, o := range c.paths {
		// Section 3.2.1: unique in the connection, whatever the path.
		if o != p && o.peer.holds(f.ID) {
			return wire.Errorf(wire.ProtocolViolation, "a connection ID of path %d is that of path %d, too", f.Path, o.id)
		}
	}
	if err := p.peer.handleNew(f); err != nil {
		return err
	}
	p.missing = 0
	c.tellAvailable(p)
	return nil
}

// tellAvailable says that OpenPath may succeed now, if it did not before.
func (c *Conn) tellAvailable(p *path) {
	if c.multi.starved && p.state == PathUnused && p.id <= min(c.multi.localMax, c.multi.peerMax) && len(p.peer.spare) > 0 {
		c.multi.starved = false
		c.emit(Event{Kind: PathsAvailable})
	}
}

func (c *Conn) handleMaxPathID(most wire.PathID) error {
	m := &c.multi
	switch {
	case most < c.peer.InitialMaxPathID:
		// draft-ietf-quic-multipath-21, section 4.6: MUST NOT be lower than
		// initial_max_path_id, and MUST be a PROTOCOL_VIOLATION if it is.
		return wire.Errorf(wire.ProtocolViolation, "a limit of %d, the initial one was %d", most, c.peer.InitialMaxPathID)
	case most <= m.peerMax:
		// draft-ietf-quic-multipath-21, section 4.6: one that does not increase the limit MUST
		// be ignored.
		return nil
	}
	m.peerMax = most
	m.blocked = blockedFrame{}
	c.provide()
	for _, p := range c.paths {
		c.tellAvailable(p)
	}
	return nil
}

// wantsPathFrames reports whether appendPathFrames has something to send.
func (c *Conn) wantsPathFrames() bool {
	for _, p := range c.paths {
		if p.state == PathClosing {
			if p.abandonment.frame == frameQueued {
				return true
			}
			continue
		}
		if p.issued.hasFrames() || p.peer.hasFrames() || p.status.state == frameQueued {
			return true
		}
	}
	return c.multi.maxQueued || c.multi.blocked.state == frameQueued || c.multi.cids.state == frameQueued
}

// appendPathFrames appends the frames about paths and their connection IDs; false: not
// all fit. PATH_ABANDON comes first: the peer should stop at once.
func (c *Conn) appendPathFrames(w *builder) bool {
	if !c.multi.on {
		return c.path0.issued.appendFrames(w) && c.path0.peer.appendFrames(w)
	}
	for _, p := range c.lingering {
		if p.abandonment.frame == frameQueued {
			f := wire.PathAbandon{Path: p.id, Code: uint64(p.abandonment.code)}
			if !appendNoted(w, f, wire.TypePathAbandon, frameRef{kind: refPathAbandon, n: uint32(p.id)}) {
				return false
			}
			p.abandonment.frame = frameSent
		}
	}
	for _, p := range c.open {
		if p.status.state == frameQueued {
			f := wire.PathStatus{Path: p.id, Sequence: p.status.next - 1, Backup: p.backup}
			if !appendNoted(w, f, wire.TypePathStatusAvailable, frameRef{kind: refPathStatus, n: uint32(p.id), off: f.Sequence}) {
				return false
			}
			p.status.state = frameSent
		}
	}
	for _, p := range c.paths {
		if p.state == PathClosing {
			continue
		}
		if !p.issued.appendFrames(w) || !p.peer.appendFrames(w) {
			return false
		}
	}
	return c.appendLimits(w)
}

func (c *Conn) appendLimits(w *builder) bool {
	m := &c.multi
	if m.maxQueued {
		f := wire.MaxPathID{Max: m.localMax}
		if !appendNoted(w, f, wire.TypeMaxPathID, frameRef{kind: refMaxPathID, off: uint64(f.Max)}) {
			return false
		}
		m.maxQueued = false
	}
	if m.blocked.state == frameQueued {
		f := wire.PathsBlocked{Max: wire.PathID(m.blocked.value)}
		if !appendNoted(w, f, wire.TypePathsBlocked, frameRef{kind: refPathsBlocked, off: m.blocked.value}) {
			return false
		}
		m.blocked.state = frameSent
	}
	if m.cids.state == frameQueued {
		f := wire.PathCIDsBlocked{Path: m.cidsOf, NextSequence: m.cids.value}
		if !appendNoted(w, f, wire.TypePathCIDsBlocked, frameRef{kind: refPathCIDsBlocked, n: uint32(m.cidsOf), off: m.cids.value}) {
			return false
		}
		m.cids.state = frameSent
	}
	return true
}

// pathFrameAcked notes that the peer has a frame.
func (c *Conn) pathFrameAcked(r frameRef) {
	p := c.pathByID(wire.PathID(r.n))
	switch {
	case p == nil:
	case r.kind == refPathAbandon:
		p.abandonment.frame = frameKnown
	case r.kind == refPathStatus && r.off+1 == p.status.next:
		p.status.state = frameKnown
	}
}

// pathFrameLost has a frame sent again, if it says what still holds.
func (c *Conn) pathFrameLost(r frameRef) {
	p, m := c.pathByID(wire.PathID(r.n)), &c.multi
	switch {
	case r.kind == refMaxPathID:
		m.maxQueued = m.maxQueued || r.off == uint64(m.localMax)
	case r.kind == refPathsBlocked && m.blocked.state == frameSent && m.blocked.value == r.off && m.starved:
		m.blocked.state = frameQueued
	case p == nil:
	case r.kind == refPathCIDsBlocked && m.cids.state == frameSent && m.cids.value == r.off && m.cidsOf == p.id && len(p.peer.spare) == 0:
		m.cids.state = frameQueued
	case r.kind == refPathAbandon && p.abandonment.frame == frameSent:
		p.abandonment.frame = frameQueued
	case r.kind == refPathStatus && r.off+1 == p.status.next && p.status.state == frameSent && p.state != PathClosing:
		// Section 4.3: only the newest status is sent again.
		p.status.state = frameQueued
	}
}

// pathAcks reports whether acknowledgements go as PATH_ACK (section 2.3: SHOULD, once the
// handshake is over).
func (c *Conn) pathAcks(t wire.PacketType) bool { return c.multi.on && t == wire.PacketOneRTT }
