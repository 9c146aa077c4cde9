package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// ackEarly packets, and ackRestart of them after a pause, are acknowledged by twos,
	// as RFC 9000, section 13.2.2 recommends, or as init was told: a sender in slow start
	// lives on ACKs.
	ackEarly   = 100
	ackRestart = 10
	ackPair    = 2
	// Later one ACK is for minAckEvery to maxAckEvery packets.
	minAckEvery = 10
	maxAckEvery = 32
)

// ackPolicy is when to acknowledge.
type ackPolicy struct {
	immediate bool
	asked     bool // by the peer's ACK_FREQUENCY
	// threshold is how many ack-eliciting packets an ACK frame waits for: always when
	// asked, else at first.
	threshold  int
	reordering int
	maxDelay   time.Duration
	rtt        time.Duration // smoothed; 0: unknown
}

// ackRate measures how many ack-eliciting packets arrive while an ACK may wait.
type ackRate struct {
	early    int // packets still to be acknowledged by twos
	start    clock.Time
	count    int
	perDelay int
}

// setPolicy follows the peer's newest ACK_FREQUENCY frame: threshold is its
// Ack-Eliciting Threshold, so more packets than that bring an ACK; reordering is its
// Reordering Threshold, 0 for none. The caller has checked the values.
func (a *acks) setPolicy(threshold int, maxDelay time.Duration, reordering int) {
	p := &a.policy
	p.asked, p.threshold, p.maxDelay, p.reordering = true, threshold+1, maxDelay, reordering
}

// setRTT tells the smoothed RTT, by which ACKs are spaced.
func (a *acks) setRTT(d time.Duration) { a.policy.rtt = d }

// countECN counts the mark and reports whether it asks for an ACK at once. RFC
// 9000, section 13.2.1: every CE does. Where ACKs are for more than two packets only
// the first in a row does (draft-ietf-quic-ack-frequency, section 6.3).
func (a *acks) countECN(ecn wire.ECN) bool {
	before := a.lastCE
	a.lastCE = ecn == wire.CE
	switch ecn {
	case wire.ECT0:
		a.ect0++
	case wire.ECT1:
		a.ect1++
	case wire.CE:
		a.ce++
		return !before || a.threshold() <= ackPair
	}
	return false
}

// disordered reports whether the ack-eliciting packet pn, received already, shows
// reordering or loss that the peer should hear of at once.
func (a *acks) disordered(pn wire.PacketNumber) bool {
	switch r := wire.PacketNumber(a.policy.reordering); r {
	case 0:
		return false
	case 1:
		// RFC 9000, section 13.2.1: below another ack-eliciting packet, or above the
		// largest with numbers missing in between.
		return pn < a.eliciting || a.ranges[a.at(pn)].Smallest > max(a.eliciting+1, a.floor)
	default:
		return a.beyond(pn, r)
	}
}

// at returns the index of the range that holds pn, or of the oldest when that one
// was too old to be kept.
func (a *acks) at(pn wire.PacketNumber) int { return min(a.find(pn), len(a.ranges)-1) }

// beyond applies a reordering threshold above 1 (draft-ietf-quic-ack-frequency,
// section 6.2): the peer can take a packet for lost that it could not when it got our
// last ACK, or took pn for lost already.
func (a *acks) beyond(pn, threshold wire.PacketNumber) bool {
	top := max(a.eliciting, pn)
	missing := a.floor
	if a.reported != wire.NoPacket {
		if pn <= a.reported-threshold {
			return true
		}
		missing = max(missing, a.reported-threshold+1)
	}
	if i := a.find(missing); i < len(a.ranges) && a.ranges[i].Largest >= missing {
		missing = a.ranges[i].Largest + 1
	}
	return missing < top && top-missing >= threshold
}

// pace measures the arrival rate with the packet that came now.
func (a *acks) pace(now clock.Time) {
	r := &a.rate
	if r.early > 0 {
		r.early--
	}
	// draft-ietf-quic-ack-frequency, section 6.1: after a round trip without an ACK the
	// sender starts anew and should hear soon.
	if rtt := a.policy.rtt; rtt > 0 && !a.lastAck.IsZero() && a.unacked == 1 && now.Sub(a.lastAck) > rtt {
		*r = ackRate{early: max(r.early, ackRestart), start: now}
	}
	r.count++
	if passed := now.Sub(r.start); passed >= a.delay() && passed > 0 {
		r.perDelay = int(int64(r.count) * int64(a.delay()) / int64(passed))
		r.start, r.count = now, 0
	}
}

// threshold returns how many ack-eliciting packets bring an ACK.
func (a *acks) threshold() int {
	p := &a.policy
	if p.asked || a.rate.early > 0 || p.rtt == 0 {
		return p.threshold
	}
	return min(max(a.rate.perDelay/2, minAckEvery), maxAckEvery)
}

// delay returns how long an ACK may wait. RFC 9000, section 13.2.1: it MUST NOT be
// longer than the max_ack_delay that this side advertised, and not at all for Initial
// and Handshake packets.
func (a *acks) delay() time.Duration {
	p := &a.policy
	switch {
	case p.immediate:
		return 0
	case p.asked || p.rtt == 0:
		return p.maxDelay
	}
	return min(p.maxDelay, p.rtt/4)
}

// expedite asks for an ACK without delay: the packet at hand has an IMMEDIATE_ACK
// frame. It may be called before or after receive.
func (a *acks) expedite() { a.urgent = true }

// pending reports whether an ack-eliciting packet waits for its ACK: a packet that
// leaves anyway should carry one.
func (a *acks) pending() bool { return a.unacked > 0 }

// due reports whether an ACK is worth a packet of its own now. RFC 9000, section
// 13.2.1: there MUST NOT be more than one such packet in response to an ack-eliciting
// packet, so append ends it.
func (a *acks) due(now clock.Time) bool { return a.deadline() <= now }

// deadline returns when an ACK is due: Never when nothing waits for one.
func (a *acks) deadline() clock.Time {
	switch {
	case a.unacked == 0:
		return clock.Never
	case a.urgent:
		return a.since
	}
	return a.since.Add(a.delay())
}
