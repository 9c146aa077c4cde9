package proto

import (
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// maxAckRanges bounds what is remembered of one packet number space (RFC 9000,
	// section 13.2.3): 4 KiB, and an ACK frame of 512 bytes when each gap is short.
	maxAckRanges = 256
	// lateRanges is how many ranges stay known, though not reported any more, once the
	// peer has our ACK of them: a gap between them can still be filled by a late packet.
	lateRanges = 32

	// crowdedAck is from how many ranges on an ACK frame is worth a PING, in one of
	// pingEvery frames.
	crowdedAck = 16
	pingEvery  = 16
)

// acks is what was received in one packet number space and when to say so (RFC
// 9000, section 13.2; draft-ietf-quic-ack-frequency, section 6). init makes it
// ready.
//
// Packets are acknowledged by twos at first. Later, and once the RTT is known, an
// ACK waits for half as many packets as arrive in the time that it may wait, from
// minAckEvery to maxAckEvery; that time is a quarter of the smoothed RTT and never
// more than max_ack_delay. So the count sends the ACK at speed, the timer at a
// trickle, and the sender hears four times a round trip or more. An ACK_FREQUENCY
// frame replaces all of this (setPolicy).
type acks struct {
	// ranges are the received packet numbers from floor on, descending and apart.
	// Whatever lies below floor counts as received.
	ranges []wire.Range
	floor  wire.PacketNumber
	// heard is what the peer knows: ranges up to it need no more mention.
	heard wire.PacketNumber
	// arrival is when the largest packet number was received.
	arrival clock.Time
	// eliciting is the largest ack-eliciting packet's number.
	eliciting wire.PacketNumber

	ect0, ect1, ce uint64
	lastCE         bool // the newest packet was marked CE

	unacked int        // ack-eliciting packets since the last ACK frame
	since   clock.Time // when the first of them came
	urgent  bool       // to be acknowledged without delay

	reported wire.PacketNumber // largest of the last ACK frame
	lastAck  clock.Time        // when it was built; zero: none yet
	frames   int               // built since the peer last had one

	policy ackPolicy
	rate   ackRate
}

// init makes a ready for a packet number space: one whose ack-eliciting packets are
// all acknowledged at once (Initial and Handshake), or one where an ACK waits for
// maxDelay at most and at first for threshold packets; 0: ackPair.
func (a *acks) init(immediate bool, maxDelay time.Duration, threshold int) {
	if threshold <= 0 {
		threshold = ackPair
	}
	*a = acks{
		ranges:    a.ranges[:0],
		heard:     wire.NoPacket,
		eliciting: wire.NoPacket,
		reported:  wire.NoPacket,
		policy:    ackPolicy{immediate: immediate, threshold: threshold, reordering: 1, maxDelay: maxDelay},
		rate:      ackRate{early: ackEarly},
	}
}

// largest returns the largest packet number received, or NoPacket.
func (a *acks) largest() wire.PacketNumber {
	if len(a.ranges) == 0 {
		return wire.NoPacket
	}
	return a.ranges[0].Largest
}

// duplicate reports whether the packet was received before, or is so old that this
// is not known any more.
func (a *acks) duplicate(pn wire.PacketNumber) bool {
	if pn > a.largest() {
		return false
	}
	// RFC 9000, section 12.3: a packet MUST be discarded unless it is certain that none
	// with its number was processed.
	if pn < a.floor {
		return true
	}
	i := a.find(pn)
	return i < len(a.ranges) && a.ranges[i].Largest >= pn
}

// find returns the index of the newest range that begins at pn or below it, the
// only one that may hold pn; len(a.ranges) when none does.
func (a *acks) find(pn wire.PacketNumber) int {
	if len(a.ranges) > 0 && a.ranges[0].Smallest <= pn {
		return 0
	}
	lo, hi := 0, len(a.ranges)
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); a.ranges[mid].Smallest <= pn {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// receive notes a packet that was opened and is no duplicate.
func (a *acks) receive(now clock.Time, pn wire.PacketNumber, eliciting bool, ecn wire.ECN) {
	if pn > a.largest() {
		a.arrival = now
	}
	a.insert(pn)
	a.heard = min(a.heard, pn-1) // late, and news to the peer
	first := a.countECN(ecn)
	// RFC 9000, section 13.2.1: a packet that elicits no ACK MUST NOT cause one, even
	// when there are gaps before it.
	if !eliciting {
		return
	}
	if a.unacked == 0 {
		a.since = now
	}
	a.unacked++
	a.pace(now)
	if a.unacked >= a.threshold() || first || a.disordered(pn) {
		a.urgent = true
	}
	a.eliciting = max(a.eliciting, pn)
}

// insert adds pn to the ranges. Packets in order only move the end of the newest.
func (a *acks) insert(pn wire.PacketNumber) {
	if len(a.ranges) > 0 && pn == a.ranges[0].Largest+1 {
		a.ranges[0].Largest = pn
		return
	}
	i := a.find(pn) // the range below pn; the one above is i-1
	below := i < len(a.ranges) && a.ranges[i].Largest == pn-1
	above := i > 0 && a.ranges[i-1].Smallest == pn+1
	switch {
	case below && above:
		a.ranges[i-1].Smallest = a.ranges[i].Smallest
		a.ranges = slices.Delete(a.ranges, i, i+1)
	case below:
		a.ranges[i].Largest = pn
	case above:
		a.ranges[i-1].Smallest = pn
	default:
		a.ranges = slices.Insert(a.ranges, i, wire.Range{Smallest: pn, Largest: pn})
		a.keep(maxAckRanges)
	}
}

// keep drops the oldest ranges beyond n. RFC 9000, section 13.2.3: a range MUST be
// retained unless no packet of it will be accepted again; floor sees to that.
func (a *acks) keep(n int) {
	if len(a.ranges) > n {
		a.floor = a.ranges[n].Largest + 1
		a.ranges = a.ranges[:n]
	}
}

// append appends an ACK frame, or a PATH_ACK frame for the path, and reports whether
// it did: not when nothing was received or not even the newest range fits. Older
// ranges are left out as room requires. exponent is this side's ack_delay_exponent.
func (a *acks) append(now clock.Time, w *builder, exponent uint8, multipath bool, path wire.PathID) bool {
	if len(a.ranges) == 0 {
		return false
	}
	f := wire.Ack{
		Path: path, Multipath: multipath,
		Largest: a.largest(),
		// RFC 9000, section 13.2.5: from the arrival of the largest packet to now.
		Delay: uint64(max(0, now.Sub(a.arrival)).Microseconds()) >> exponent,
		// RFC 9000, section 13.4.1: counts of the marks that were seen MUST be reported.
		HasECN: a.ect0|a.ect1|a.ce != 0,
		ECT0:   a.ect0, ECT1: a.ect1, CE: a.ce,
	}
	n := a.fitting(f, w.room())
	if n == 0 {
		return false
	}
	w.b = wire.AppendAck(w.b, f, a.ranges[:n])
	w.added(ackType(multipath, f.HasECN))
	w.note(frameRef{kind: refAck, n: uint32(path), off: uint64(f.Largest)})
	a.unacked, a.urgent = 0, false
	a.reported, a.lastAck = f.Largest, now
	a.frames++
	return true
}

// fitting returns how many of the ranges to report fit into room, newest first
// (RFC 9000, section 13.2.3).
func (a *acks) fitting(f wire.Ack, room int) int {
	n := a.unheard()
	if wire.AckLen(f, a.ranges[:n]) <= room {
		return n
	}
	lo := 0 // fits; n does not
	for n-lo > 1 {
		if mid := (lo + n) / 2; wire.AckLen(f, a.ranges[:mid]) <= room {
			lo = mid
		} else {
			n = mid
		}
	}
	return lo
}

// unheard returns how many ranges are to be reported, the newest always.
func (a *acks) unheard() int {
	n := 1
	for n < len(a.ranges) && a.ranges[n].Largest > a.heard {
		n++
	}
	return n
}

func ackType(multipath, ecn bool) wire.FrameType {
	t := wire.TypeAck
	if multipath {
		t = wire.TypePathAck
	}
	if ecn {
		t++ // ACK_ECN follows ACK, in both forms
	}
	return t
}

// acknowledged says that the peer has an ACK frame of ours with that largest packet
// number: what lies at or below it is reported no more (RFC 9000, section 13.2.4).
func (a *acks) acknowledged(largest wire.PacketNumber) {
	a.frames = 0
	if largest <= a.heard || len(a.ranges) == 0 {
		return
	}
	a.heard = largest
	a.keep(a.unheard() + lateRanges)
}

// wantsPing reports whether the next packet with an ACK should carry a PING, so that
// the peer's own ACK lets old ranges be forgotten: when this side sends nothing but
// ACKs and they have grown. RFC 9000, section 13.2.4: not in every such packet.
func (a *acks) wantsPing() bool {
	return len(a.ranges) > crowdedAck && a.frames%pingEvery == pingEvery-1 && a.unheard() > crowdedAck
}
