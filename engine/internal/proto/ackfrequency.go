package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// minAckDelay is the least delay of acknowledgements that this side can be asked for: what
// timers keep to. draft-ietf-quic-ack-frequency, section 3: it MUST NOT be greater than
// max_ack_delay.
const minAckDelay = time.Millisecond

const (
	// maxAckDelayLimit is the first value that is no max_ack_delay (RFC 9000, section 18.2).
	maxAckDelayLimit = (1 << 14) * time.Millisecond
	// mostAsked bounds the packets that an ACK waits for, whatever the peer asks: the ranges
	// that come between two ACKs are all said once (draft-ietf-quic-ack-frequency, section
	// 6).
	mostAsked = maxAckRanges / 2
	// mostReordering is a Reordering Threshold as good as any above.
	mostReordering = 1 << 30
)

// ackFrequency is the extension of that name (draft-ietf-quic-ack-frequency): what the peer
// asked of this side's acknowledgements, and this side of the peer's. Both are of all
// paths.
type ackFrequency struct {
	wish    ackWish
	hasWish bool
	newest  uint64 // 1 + the largest sequence number of the peer's frames; 0: none yet

	// asked is the newest frame of ours, or the next one if state is frameQueued. It stays
	// until it is acknowledged: there is one value at most that the peer may or may not have.
	state   frameState
	asked   wire.AckFrequency
	current time.Duration // the peer's max_ack_delay, as far as it is known to have it
	anew    bool          // a path changed: ask again, whatever the difference
}

// ackWish is when a peer wants acknowledgements.
type ackWish struct {
	threshold  int
	maxDelay   time.Duration
	reordering int
}

// handleAckFrequency takes what the peer asks for.
func (c *Conn) handleAckFrequency(f wire.AckFrequency) error {
	const most = uint64(maxAckDelayLimit / time.Microsecond)
	if f.MaxAckDelay >= most || f.MaxAckDelay < uint64(minAckDelay/time.Microsecond) {
		// draft-ietf-quic-ack-frequency, section 4: a Requested Max Ack Delay of 2^14 ms or
		// more, or below the min_ack_delay of this side, MUST be a PROTOCOL_VIOLATION.
		return wire.Errorf(wire.ProtocolViolation, "asks for ACKs within %d us: %d to %d are possible", f.MaxAckDelay, minAckDelay/time.Microsecond, most-1)
	}
	a := &c.ackFreq
	if f.Sequence+1 <= a.newest {
		// draft-ietf-quic-ack-frequency, section 4: a frame whose sequence number is not
		// greater than the largest processed one MUST be ignored.
		return nil
	}
	a.newest, a.hasWish = f.Sequence+1, true
	a.wish = ackWish{
		threshold:  int(min(f.Threshold, mostAsked)),
		maxDelay:   time.Duration(f.MaxAckDelay) * time.Microsecond,
		reordering: int(min(f.Reordering, mostReordering)),
	}
	for _, p := range c.paths {
		if p.det != nil {
			c.heed(p)
		}
	}
	return nil
}

// heed has the path's acknowledgements follow what the peer asked for.
func (c *Conn) heed(p *path) {
	if a := &c.ackFreq; a.hasWish {
		p.spaces[recovery.SpaceApplication].acks.setPolicy(a.wish.threshold, a.wish.maxDelay, a.wish.reordering)
	}
}

// asksAcks reports whether the peer takes ACK_FREQUENCY and IMMEDIATE_ACK. It is not
// remembered of an earlier connection, so neither is in 0-RTT packets.
func (c *Conn) asksAcks() bool { return c.hasPeer && c.peer.HasMinAckDelay && !c.cfg.NoAckFrequency }

// peerAckDelay returns how long the peer may wait with an acknowledgement.
// draft-ietf-quic-ack-frequency, section 7: it MUST be the greater of the value that holds and
// those in flight.
func (c *Conn) peerAckDelay() time.Duration {
	a := &c.ackFreq
	if a.state == frameSent || a.state == frameQueued { // queued again, it may have arrived
		return max(a.current, a.askedDelay())
	}
	return a.current
}

func (a *ackFrequency) askedDelay() time.Duration {
	return time.Duration(a.asked.MaxAckDelay) * time.Microsecond
}

// setAckDelay takes the peer's max_ack_delay and has all paths know.
func (c *Conn) setAckDelay(d time.Duration) {
	c.ackFreq.current = d
	c.ackDelayChanged()
}

func (c *Conn) ackDelayChanged() {
	d := c.peerAckDelay()
	for _, p := range c.paths {
		if p.det != nil {
			p.det.SetMaxAckDelay(d)
		}
	}
}

// appendAckFrequency appends the frame that waits; false: it did not fit.
func (c *Conn) appendAckFrequency(w *builder) bool {
	a := &c.ackFreq
	if a.state != frameQueued {
		return true
	}
	if !appendNoted(w, a.asked, wire.TypeAckFrequency, frameRef{kind: refAckFrequency, off: a.asked.Sequence}) {
		return false
	}
	a.state = frameSent
	c.ackDelayChanged()
	return true
}

// ackFrequencyAcked notes that the peer has a frame.
func (c *Conn) ackFrequencyAcked(seq uint64) {
	a := &c.ackFreq
	if seq == a.asked.Sequence && a.state != frameKnown {
		a.state = frameKnown
		c.setAckDelay(a.askedDelay())
	}
}

// ackFrequencyLost has a frame sent again, if it is the newest and did not arrive.
func (c *Conn) ackFrequencyLost(seq uint64) {
	if a := &c.ackFreq; seq == a.asked.Sequence && a.state == frameSent {
		a.state = frameQueued
	}
}

// appendImmediateAck asks for an acknowledgement without delay, if the peer knows how to.
// The packet elicits one by another frame, too.
func (c *Conn) appendImmediateAck(w *builder) {
	f := wire.ImmediateAck{}
	if w.kind == wire.PacketOneRTT && c.asksAcks() && w.room() > f.Len() {
		w.b = f.Append(w.b)
	}
}
