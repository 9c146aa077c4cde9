package proto

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// arrivedFrom deals with a 1-RTT packet from another 4-tuple than the one in use.
// moves says that it is the newest and does more than probe: then the peer has moved
// (RFC 9000, section 9.3).
func (c *Conn) arrivedFrom(now clock.Time, p *path, at tuple, dst wire.ConnID, moves bool) {
	if c.side == wire.Client || !moves || !c.confirmed || p.state == PathClosing {
		return
	}
	// draft-ietf-quic-multipath-21, section 3.1: this MUST be taken for a migration of the
	// path, and all connection IDs MUST be of its path ID: p.peer has no others. RFC 9000 has
	// the rest.
	if p.state == PathValidating {
		// No address of this path is known to be the peer's yet: there is none to go back to,
		// nor to ask.
		c.switchTo(now, p, at)
		p.previous, p.amp = at, p.probedAmp
		p.challenge.start(now, c.challengePeriod(p), c.randomData)
		return
	}
	if p.challenge.running() && at == p.previous {
		c.goBack(now, p) // to where the peer is known to be
		return
	}
	if dst != p.usedID {
		// RFC 9000, section 9.5: a peer that moved on purpose uses another connection ID, and so MUST
		// this side; a rebound NAT changes nothing. Without a spare ID nothing may be sent
		// there (section 9.3).
		if _, ok := p.peer.next(); !ok {
			c.askForIDs(p)
			return
		}
	}
	if !p.challenge.running() {
		p.previous = p.tuple
	}
	c.switchTo(now, p, at)
	p.amp = p.probedAmp
	// Section 9.3: MUST validate the new address; section 9.3.3: and the old one, lest
	// somebody on the side moves the connection away.
	p.challenge.start(now, c.challengePeriod(p), c.randomData)
	p.leaving.start(now, p.pto(), c.randomData)
	c.traceMigration(now, p, "migration_started")
}

// challengePeriod returns the PTO for a path of which nothing is known yet: section
// 8.2.4 recommends the larger of the present one and a new path's.
func (c *Conn) challengePeriod(p *path) time.Duration {
	return max(p.pto(), 3*recovery.DefaultInitialRTT)
}

// heardFrom counts a datagram of the peer from another tuple than the one in use.
func (p *path) heardFrom(at tuple, size wire.ByteCount) {
	if at != p.probed {
		p.probed, p.probedAmp = at, amplification{}
	}
	p.probedAmp.received(size)
}

// credit returns how many bytes may go to a tuple now (RFC 9000, section 8: MUST NOT be
// more than three times what came from an address that is not validated).
func (c *Conn) credit(p *path, at tuple) wire.ByteCount {
	switch {
	case at == p.tuple:
		return p.amp.room()
	case c.side == wire.Client || at == p.previous: // the server's address; one validated before
		return math.MaxInt64
	case at == p.probed:
		return p.probedAmp.room()
	}
	return 0
}

// switchTo uses another 4-tuple from now on. What was learnt of the old path does not
// hold on another address; another port alone is most likely a NAT's (section 9.4).
func (c *Conn) switchTo(now clock.Time, p *path, at tuple) {
	p.moved = p.moved || at.local.Addr() != p.local.Addr() || at.remote.Addr() != p.tuple.remote.Addr()
	p.tuple = at
	if p.moved {
		p.mtu.init(minUDPPayload, c.cfg.MaxUDPPayload, c.cfg.FixedMTU)
		p.mtu.setPeerMax(c.peer.MaxUDPPayload)
		c.mtuChanged(now, p)
	}
}

// Rebind moves one of a client's paths to another local address (RFC 9000, section 9.2): its
// packets leave from there from now on. The path of a connection without multipath is 0. An
// error says why it must not move.
func (c *Conn) Rebind(now clock.Time, id wire.PathID, local netip.AddrPort) error {
	switch {
	case c.err != nil:
		return c.err
	case c.side == wire.Server:
		return errors.New("migrate: only a client can")
	case !c.confirmed:
		// Section 9: a client MUST NOT migrate before.
		return errors.New("migrate: the handshake is not confirmed yet")
	}
	i := slices.IndexFunc(c.open, func(p *path) bool { return p.id == id })
	if i < 0 {
		return fmt.Errorf("migrate: path %d is not open", id)
	}
	p := c.open[i]
	switch {
	case p.state == PathValidating:
		return fmt.Errorf("migrate: path %d is not validated yet", id)
	case c.peer.DisableActiveMigration && p.tuple.remote == c.path0.tuple.remote:
		// Section 18.2: not while the address of the handshake is in use.
		return errors.New("migrate: the server does not allow it")
	case local == p.local:
		return nil
	}
	if _, ok := p.peer.next(); !ok { // of the same path
		// RFC 9000, section 9.5: an ID MUST NOT be used on two paths.
		c.askForIDs(p)
		return fmt.Errorf("migrate: the server has given no spare connection ID for path %d: try again later", id)
	}
	p.previous = p.tuple
	c.switchTo(now, p, tuple{local, p.tuple.remote})
	c.resetPath(now, p)
	p.challenge.start(now, p.pto(), c.randomData)
	c.traceMigration(now, p, "migration_started")
	return nil
}

// resetPath begins congestion control and round-trip times anew (section 9.4: MUST).
func (c *Conn) resetPath(now clock.Time, p *path) {
	if !p.moved {
		return
	}
	p.moved = false
	c.ackFreq.anew = true // draft-ietf-quic-ack-frequency, section 8.4
	c.removeController(p)
	p.det.ResetPath(now, c.newController(now, p))
}

// removeController says that the path's congestion control is used no more.
func (c *Conn) removeController(p *path) { c.congestion.Remove(p.det.Controller()) }

// newController returns congestion control that knows nothing yet of p.
func (c *Conn) newController(now clock.Time, p *path) congest.Controller {
	return c.congestion.New(congest.Config{Datagram: p.mtu.size(), Now: now})
}

func (c *Conn) randomData() (b [8]byte) {
	fill(c.cfg.Random, b[:])
	return b
}

// challengeAnswered takes the data of a PATH_RESPONSE. What answers nothing is
// ignored (section 19.18).
func (c *Conn) challengeAnswered(now clock.Time, data [8]byte) {
	for _, p := range c.open {
		if c.pathAnswered(now, p, data) {
			return
		}
	}
}

// pathAnswered takes the answer if it is to a challenge of p.
func (c *Conn) pathAnswered(now clock.Time, p *path, data [8]byte) bool {
	if p.leaving.response(data) {
		return true
	}
	if !p.challenge.response(data) {
		return false
	}
	p.amp.validate()
	c.proved(now, p.tuple.remote.Addr())
	p.det.AmplificationLifted()
	if _, full := p.challenge.passed(); !full {
		// RFC 9000, section 8.2.1: after a challenge in a small datagram MUST come one of 1200
		// bytes.
		p.challenge.start(now, p.pto(), c.randomData)
	}
	if p.state == PathValidating {
		c.traceMigration(now, p, "probing_successful")
		c.validated(now, p)
		return true
	}
	if p.previous == p.tuple {
		return true // the second validation of a path
	}
	c.resetPath(now, p)
	p.previous = p.tuple
	c.traceMigration(now, p, "migration_complete")
	c.emit(Event{Kind: PathChanged, Path: p.id, Local: p.local, Remote: p.tuple.remote})
	return true
}

// pathTimeout sends challenges again and gives up on those that stay unanswered
// (RFC 9000, section 8.2.4). Without another path to go to it may wait for this one: it is
// asked again, ever less often, until the connection is idle for too long.
func (c *Conn) pathTimeout(now clock.Time, p *path) {
	p.leaving.timeout(now)
	period := p.challenge.period
	if !p.challenge.timeout(now) {
		return
	}
	if p.state == PathValidating {
		// draft-ietf-quic-multipath-21, section 3.1: a path that cannot be validated MUST NOT be
		// used, and MUST be closed explicitly, since its ID is consumed.
		if err := c.lose(now, p, wire.PathUnstableOrPoor, "the only path cannot be validated"); err != nil {
			c.fail(now, err)
		}
		return
	}
	if p.previous == p.tuple || (c.side == wire.Client && p.previous.local != p.local) {
		p.challenge.start(now, 2*period, c.randomData)
		return
	}
	c.goBack(now, p)
}

// goBack returns to the last validated tuple (RFC 9000, section 9.3.2: MUST).
func (c *Conn) goBack(now clock.Time, p *path) {
	c.traceMigration(now, p, "migration_abandoned")
	c.switchTo(now, p, p.previous)
	c.resetPath(now, p)
	p.amp.validate()
	p.det.AmplificationLifted()
	p.challenge.abandon()
	p.leaving.abandon()
	c.traceMigration(now, p, "migration_complete")
}

// appendResponse answers a challenge, on the 4-tuple that it came from (RFC 9000, section
// 8.2.2: MUST).
//
// draft-ietf-quic-multipath-21, section 3.1: it MUST be sent on the path of the
// challenge, with a connection ID of the same path ID.
func (c *Conn) appendResponse(now clock.Time, t *Transmit, p *path) bool {
	for c.canSeal(wire.PacketOneRTT) {
		local, remote, ok := p.owed.next()
		// RFC 9000, section 8.2.2: an answer MUST NOT be delayed, unless by congestion control. That
		// lets probes pass (RFC 9002, section 7), and an answer is the best of them: a peer
		// that wants it first acknowledges nothing on the path, and the window stays full.
		full := p.det.BytesInFlight()+minUDPPayload > p.det.State().Window
		if !ok || (full && p.det.ProbesDue(recovery.SpaceApplication) == 0) {
			return false
		}
		at := tuple{local, remote}
		if c.credit(p, at) >= leastAlone || at == p.tuple {
			return c.appendAlone(now, t, p, at, func(w *builder, _ bool) bool { return p.owed.appendFrame(w) })
		}
		p.owed.pop() // nothing may go there
	}
	return false
}

// appendChallenge sends a challenge that is due, in a datagram of its own.
func (c *Conn) appendChallenge(now clock.Time, t *Transmit, p *path) bool {
	if p.challenge.wantsFrame() && c.appendAlone(now, t, p, p.tuple, p.challenge.appendFrame) {
		return true
	}
	return p.leaving.wantsFrame() && c.appendAlone(now, t, p, p.previous, p.leaving.appendFrame)
}

// leastAlone is enough for a short header, a frame and a tag with room to spare, bytes.
const leastAlone wire.ByteCount = 64

// appendAlone sends a datagram to a 4-tuple with the frame that add appends. It is
// 1200 bytes long (RFC 9000, section 8.2.1: MUST), or as long as the anti-amplification
// limit allows: then full is false.
func (c *Conn) appendAlone(now clock.Time, t *Transmit, p *path, at tuple, add func(w *builder, full bool) bool) bool {
	size := min(minUDPPayload, c.credit(p, at))
	if size < leastAlone || int(size) > cap(t.Buf) {
		return false
	}
	w, ok := c.beginPacket(p, wire.PacketOneRTT, t.Buf, int(size))
	if !ok {
		return false
	}
	// RFC 9000, section 9.2: a frame that is not for probing would say that this side has moved
	// there.
	if s := &p.spaces[recovery.SpaceApplication]; c.multi.on && at == p.tuple && s.acks.pending() {
		s.acks.append(now, &w, ackDelayExponent, true, p.id) // the peer learns the round trip at once
	}
	if !add(&w, size == minUDPPayload) {
		t.Buf = w.abandon()
		return false
	}
	w.pad(int(size))
	b, err := c.endPacket(now, &w)
	t.Buf = b
	if err != nil {
		c.fail(now, err)
		return false
	}
	c.finishTrain(t, p, at, len(t.Buf))
	return true
}
