package handshake

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// keySet names the keys that a received packet is opened with.
type keySet uint8

const (
	currentKeys keySet = iota
	previousKeys
	nextKeys
)

// pathPhase is what a path has seen of the current key phase. It is kept while it
// matters: firstSent until the phase is acknowledged, the others while there are
// previous keys.
type pathPhase struct {
	id        wire.PathID
	firstSent wire.PacketNumber // the lowest sent
	lowest    wire.PacketNumber // received
	highest   wire.PacketNumber // received
}

// onPath returns the path's entry, or nil.
func (o *OneRTT) onPath(id wire.PathID) *pathPhase {
	for i := range o.paths {
		if o.paths[i].id == id {
			return &o.paths[i]
		}
	}
	return nil
}

// newPath returns the path's entry, made when missing.
func (o *OneRTT) newPath(id wire.PathID) *pathPhase {
	if p := o.onPath(id); p != nil {
		return p
	}
	o.paths = append(o.paths, pathPhase{id: id, firstSent: wire.NoPacket, lowest: wire.NoPacket, highest: wire.NoPacket})
	return &o.paths[len(o.paths)-1]
}

// sent notes a packet of the current phase.
func (o *OneRTT) sent(path wire.PathID, pn wire.PacketNumber) {
	if p := o.newPath(path); p.firstSent == wire.NoPacket {
		p.firstSent = pn
	}
}

// received notes a packet of the current phase. The first one starts the time that
// the previous keys have left.
func (o *OneRTT) received(now clock.Time, path wire.PathID, pn wire.PacketNumber) {
	p := o.newPath(path)
	if p.lowest == wire.NoPacket || pn < p.lowest {
		p.lowest = pn
	}
	p.highest = max(p.highest, pn)
	if o.dropAt.IsZero() {
		// RFC 9001, section 6.1: old keys MUST be retained until a packet was opened with
		// the new ones; section 6.5: and SHOULD be for no more than three PTO after that.
		o.dropAt = now.Add(3 * o.pto)
	}
}

// choose returns the keys to open a packet with. A packet in the other phase is
// either older or newer than the current one. Without previous keys it is newer;
// with them, the numbers that its path has seen decide (RFC 9001, section 6.5), and
// on a path that has seen none of this phase it is older. One generation is tried
// and no other, whatever comes of it: a second attempt would show in time that the
// Key Phase bit was wrong (RFC 9001, section 9.5).
func (o *OneRTT) choose(path wire.PathID, pn wire.PacketNumber, phase uint8) keySet {
	if phase == o.Phase() {
		return currentKeys
	}
	if o.prev.aead == nil {
		return nextKeys
	}
	// RFC 9001, section 6.3: while the next keys are not derived the previous ones
	// stand in for them.
	if p := o.onPath(path); o.next.aead != nil && p != nil && p.lowest != wire.NoPacket && pn > p.highest {
		return nextKeys
	}
	return previousKeys
}

// opened follows up a packet that was opened, other than in the plain case of
// current keys and no previous ones.
func (o *OneRTT) opened(now clock.Time, which keySet, path wire.PathID, pn wire.PacketNumber) error {
	switch which {
	case currentKeys:
		o.received(now, path, pn)
	case previousKeys:
		// RFC 9001, section 6.4: old keys on a packet above one with newer keys MUST be
		// a KEY_UPDATE_ERROR.
		if p := o.onPath(path); p != nil && p.lowest != wire.NoPacket && pn > p.lowest {
			return wire.Errorf(wire.KeyUpdateError, "packet %d has older keys than packet %d on path %d", pn, p.lowest, path)
		}
	case nextKeys:
		// RFC 9001, section 6.2: the peer has updated twice without waiting, when nothing
		// has told it that its last update arrived.
		if o.generation > 0 && o.sealed == 0 {
			return wire.Errorf(wire.KeyUpdateError, "keys updated twice without waiting for an acknowledgment")
		}
		// RFC 9001, section 6.2: the send keys MUST be updated in response, before the
		// packet is acknowledged.
		o.promote()
		o.peerUpdates++
		o.received(now, path, pn)
		o.prepareAt = now // not here: it would show in time that keys were updated
	}
	return nil
}
