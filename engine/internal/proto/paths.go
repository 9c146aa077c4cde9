package proto

import (
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// multipath is what a connection knows of the extension (draft-ietf-quic-multipath-21).
type multipath struct {
	on        bool
	localMax  wire.PathID // the largest ID that the peer may use, as it was told
	peerMax   wire.PathID // that we may use
	maxQueued bool        // MAX_PATH_ID is to be sent
	blocked   blockedFrame
	cids      blockedFrame // of path cidsOf
	cidsOf    wire.PathID
	missing   clock.Time // when the first path whose connection IDs are missing is given up; 0: never
	starved   bool       // OpenPath found no ID
	rescue    rescue

	scheduling scheduling
}

// unusedIDs is how many connection IDs the peer gets for a path: one to use and one to
// move to.
const unusedIDs = 2

// startMultipath turns the extension on if both sides have it. RFC 9000's frames about
// connection IDs are of path 0 from then on, too, but these have their own form.
func (c *Conn) startMultipath() {
	if !c.local.HasMultipath || !c.peer.HasMultipath {
		// draft-ietf-quic-multipath-21, section 2: without the parameter of both sides nothing
		// of the extension MUST be used.
		return
	}
	m := &c.multi
	m.on = true
	m.localMax, m.peerMax = c.local.InitialMaxPathID, c.peer.InitialMaxPathID
	c.path0.issued.multi, c.path0.peer.multi = true, true
	c.path0.spaces[recovery.SpaceApplication].multi = true
	c.provide()
}

// provide has the peer get connection IDs for all path IDs that both sides allow, without
// gaps (section 3.2.1), and readies what its own are kept in.
func (c *Conn) provide() {
	m := &c.multi
	next := c.paths[len(c.paths)-1].id + 1
	next = max(next, c.stats.nextPath)
	// Section 3.4: an ID MUST NOT be used again, once its path was abandoned.
	for id := next; id <= m.localMax; id++ {
		p := &path{id: id, large: wire.NoPacket}
		p.issued.initPath(id, c.newID, c.emit)
		p.peer.initPath(id, c.emit)
		c.paths = append(c.paths, p)
		c.stats.nextPath = id + 1
	}
	for _, p := range c.paths {
		// draft-ietf-quic-multipath-21, section 3.2.1: connection IDs MUST NOT be issued for
		// path IDs above the peer's limit.
		if p.id > 0 && p.id <= m.peerMax && p.issued.limit == 0 && p.state != PathClosing {
			p.issued.setPeerLimit(min(c.peer.ActiveConnectionIDLimit, unusedIDs))
		}
	}
}

// pathByID returns the path, nil when it is over or was never known.
func (c *Conn) pathByID(id wire.PathID) *path {
	for _, p := range c.paths {
		if p.id == id {
			return p
		}
	}
	return nil
}

// pathOf returns the path that a connection ID of ours belongs to.
func (c *Conn) pathOf(id wire.ConnID) *path {
	if len(c.paths) == 1 {
		return c.path0
	}
	for _, p := range c.open {
		if p.usedID == id {
			return p
		}
	}
	for _, p := range c.paths {
		if p.issued.has(id) {
			return p
		}
	}
	return c.path0
}

// pathFor returns the path that a datagram's first packet is of.
func (c *Conn) pathFor(data []byte) *path {
	if len(c.paths) == 1 || len(data) < 1+connIDLen || wire.IsLong(data[0]) {
		return c.path0
	}
	return c.pathOf(wire.NewConnID(data[1 : 1+connIDLen]))
}

// isResetToken reports whether the token ends the connection on one of its paths.
func (c *Conn) isResetToken(t wire.ResetToken) bool {
	found := false
	for _, p := range c.open {
		found = p.peer.isResetToken(t) || found
	}
	return found
}

// start begins to use a path between two addresses. Its connection IDs are in use already.
func (c *Conn) start(now clock.Time, p *path, at tuple) {
	p.tuple, p.previous = at, at
	p.mtu.init(minUDPPayload, c.cfg.MaxUDPPayload, c.cfg.FixedMTU)
	p.mtu.setPeerMax(c.peer.MaxUDPPayload)
	p.det = recovery.New(recovery.Config{Side: c.side, Controller: c.newController(now, p), MaxDatagram: p.mtu.size()})
	p.det.HandshakeKeysAvailable()
	p.det.HandshakeConfirmed()
	p.det.SetMaxAckDelay(c.peerAckDelay())
	for sp := range p.spaces {
		s := &p.spaces[sp]
		s.discarded = recovery.Space(sp) != recovery.SpaceApplication
		s.skip = wire.NoPacket
	}
	s := &p.spaces[recovery.SpaceApplication]
	s.multi = true
	s.skip = c.skipAfter(0, skipFirst)
	s.acks.init(false, maxAckDelay, 0)
	c.heed(p)
	p.ecn = c.cfg.ECN
	p.vitals = vitals{heard: now}
	p.state = PathValidating
	c.tracePathState(now, p, p.state.String())
	if c.side == wire.Client {
		p.amp.validate() // a client is not bound by RFC 9000, section 8.1
	}
	i, _ := slices.BinarySearchFunc(c.open, p.id, func(o *path, id wire.PathID) int { return int(int64(o.id) - int64(id)) })
	c.open = slices.Insert(c.open, i, p)
	c.multi.rescue.last = nil
	if c.side == wire.Server {
		c.multi.rescue.next = 0
	}
	if c.knownTuple(p, at) {
		// draft-ietf-quic-multipath-21, section 3.1: the address MUST be validated, by both
		// sides, unless it was before.
		p.amp.validate()
		c.validated(now, p)
		return
	}
	p.challenge.start(now, c.challengePeriod(p), c.randomData)
	c.traceMigration(now, p, "probing_started")
}

// knownTuple reports whether another path has validated the addresses, and is not silent.
func (c *Conn) knownTuple(p *path, at tuple) bool {
	for _, o := range c.open {
		if o != p && o.tuple == at && o.amp.validated() && o.state == PathActive && !o.challenge.running() && o.det.PTOCount() == 0 {
			return true
		}
	}
	return false
}

// peerOpens takes the first packet on an unused path: a client opens it (section 3.1). It
// returns false when the packet must be dropped.
func (c *Conn) peerOpens(now clock.Time, p *path, at tuple, size wire.ByteCount) bool {
	if c.side == wire.Client {
		return false
	}
	if !p.peer.begin() {
		c.missIDs(now, p)
		return false
	}
	c.start(now, p, at)
	p.amp.received(size)
	return true
}

// validated: the path may carry data.
func (c *Conn) validated(now clock.Time, p *path) {
	p.state = PathActive
	p.vitals = vitals{heard: now}
	c.multi.rescue = rescue{}
	c.datagramsFollowMTU()
	c.tracePathState(now, p, PathActive.String())
	c.emit(Event{Kind: PathValidated, Path: p.id, Local: p.local, Remote: p.tuple.remote})
}

// largestRTT returns the largest smoothed round-trip time of the paths in use: what the
// receive windows are sized by.
func (c *Conn) largestRTT() time.Duration {
	var most time.Duration
	for _, p := range c.open {
		if rtt := p.det.RTT(); rtt.HasSample {
			most = max(most, rtt.Smoothed)
		}
	}
	return most
}

// growSendBuffer has the streams accept what all paths carry in twice the largest round
// trip: what one path still owes, the others' data waits for (Barré, Paasch, Bonaventure,
// NETWORKING 2011).
func (c *Conn) growSendBuffer() {
	if len(c.open) < 2 {
		return
	}
	var perSecond float64
	for _, p := range c.open {
		if rtt := p.det.RTT(); rtt.HasSample && rtt.Smoothed > 0 {
			perSecond += float64(p.det.State().Window) / rtt.Smoothed.Seconds()
		}
	}
	want := wire.ByteCount(2 * perSecond * c.largestRTT().Seconds())
	c.streams.sendBuffer = max(c.streams.sendBuffer, uint64(min(want, c.cfg.MaxSendBuffer)))
}

// closingPath returns the path to say the close on. Without an open one it is the last that
// was: its peer, who abandoned it, still listens.
func (c *Conn) closingPath() *path {
	best := c.multi.rescue.last
	for _, p := range c.open {
		if best == nil || c.speech(p) > c.speech(best) || (c.speech(p) == c.speech(best) && p.det.RTT().Smoothed < best.det.RTT().Smoothed) {
			best = p
		}
	}
	return best
}

// speech ranks paths by how likely it is that what is said there is heard.
func (c *Conn) speech(p *path) int {
	switch {
	case c.muted(p):
		return 0
	case p.state == PathActive:
		return 3
	case p.state == PathDead:
		return 2
	}
	return 1
}
