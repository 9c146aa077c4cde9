package handshake

import (
	"errors"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// ErrUpdateTooEarly says that the keys may not be updated yet: see OneRTT.CanUpdate.
var ErrUpdateTooEarly = errors.New("handshake: key update too early")

// Confirmed says that the handshake is confirmed (RFC 9001, section 4.1.2).
func (o *OneRTT) Confirmed() { o.confirmed = true }

// SetPTO tells the probe timeout: with multipath the largest of all paths
// (draft-ietf-quic-multipath-21, section 2.5).
func (o *OneRTT) SetPTO(d time.Duration) { o.pto = d }

// Acked says that the peer acknowledged a 1-RTT packet. It is called after Open of
// the packet that says so.
func (o *OneRTT) Acked(path wire.PathID, pn wire.PacketNumber) {
	if o.acked {
		return
	}
	if p := o.onPath(path); p != nil && p.firstSent != wire.NoPacket && pn >= p.firstSent {
		o.acked, o.ackedAt = true, o.now
	}
}

// NeedsUpdate reports whether the current keys have done half of what they may: the
// owner should call Update as soon as CanUpdate allows.
func (o *OneRTT) NeedsUpdate() bool { return o.sealed >= o.suite.confidentiality/2 }

// CanUpdate reports whether Update would succeed.
func (o *OneRTT) CanUpdate(now clock.Time) bool {
	// RFC 9001, section 6.1: an update MUST NOT be initiated before the handshake is
	// confirmed, nor before a packet of the current phase was acknowledged.
	if !o.confirmed || !o.acked || o.cur.aead == nil {
		return false
	}
	// RFC 9001, section 6.5: three PTO SHOULD pass after the acknowledgment that
	// confirmed the last update; the multipath draft's section 2.5: of the largest PTO.
	return o.generation == 0 || now >= o.ackedAt.Add(3*o.pto)
}

// Update moves both directions to the next key phase, on this side's initiative. It
// returns ErrUpdateTooEarly when CanUpdate is false.
func (o *OneRTT) Update(now clock.Time) error {
	if !o.CanUpdate(now) {
		return ErrUpdateTooEarly
	}
	if o.next.aead == nil {
		if err := o.prepare(); err != nil {
			return err
		}
	}
	o.promote()
	o.ownUpdates++
	return o.prepare()
}

// Timeout returns when HandleTimeout is to be called, or clock.Never. After an
// update by the peer that is at once: keys are derived outside of Open.
func (o *OneRTT) Timeout() clock.Time {
	return min(o.dropAt.OrNever(), o.prepareAt.OrNever())
}

// HandleTimeout derives the next keys and drops the previous ones, whichever is due.
func (o *OneRTT) HandleTimeout(now clock.Time) {
	if !o.prepareAt.IsZero() && now >= o.prepareAt {
		if err := o.prepare(); err != nil {
			panic("handshake: " + err.Error()) // it went well for the first phase
		}
	}
	if !o.dropAt.IsZero() && now >= o.dropAt {
		// RFC 9001, section 6.5: old keys SHOULD be discarded after that time.
		o.prev, o.dropAt = packetKeys{}, 0
	}
}

// PeerUpdates returns how many key updates the peer began.
func (o *OneRTT) PeerUpdates() int { return o.peerUpdates }

// OwnUpdates returns how many key updates this side began.
func (o *OneRTT) OwnUpdates() int { return o.ownUpdates }

// prepare derives the keys of the next phase.
func (o *OneRTT) prepare() (err error) {
	if o.readSecret, err = o.suite.nextSecret(o.readSecret); err != nil {
		return err
	}
	if o.writeSecret, err = o.suite.nextSecret(o.writeSecret); err != nil {
		return err
	}
	if o.next, err = o.suite.packetKeys(o.readSecret); err != nil {
		return err
	}
	o.prepareAt = 0
	o.nextSend, err = o.suite.packetKeys(o.writeSecret)
	return err
}

// promote makes the next keys the current ones. The former ones stay to open late
// packets with; nothing is sealed with them any more (RFC 9001, section 6.4).
func (o *OneRTT) promote() {
	o.send, o.nextSend = o.nextSend, packetKeys{}
	o.prev, o.cur, o.next = o.cur, o.next, packetKeys{}
	o.generation++
	o.sealed, o.acked, o.ackedAt, o.dropAt = 0, false, 0, 0
	o.paths = o.paths[:0]
}
