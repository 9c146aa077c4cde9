package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// weighPackets acknowledged on a path, or weighFrames ACK frames, make a measure of how
	// densely its peer acknowledges.
	weighPackets = 256
	weighFrames  = 64
	// One in askShare of the smallest window may come without an ACK, leastAsked to
	// maxAckEvery packets; and for as long as one in askDelayShare of the smallest round
	// trip. With a quarter of the window, goodput over a lossy path of 60 Mbit/s was 2 %
	// less than with an ACK for every other packet.
	askShare      = 8
	leastAsked    = 2
	askDelayShare = 4
	// worthAsking is the factor by which ACKs must become fewer, and askAgain the one by
	// which the paths must change for the peer to be asked again.
	worthAsking = 3
	askAgain    = 2
	// askReordering is the packet threshold of loss detection (RFC 9002, section 6.1.1), as
	// draft-ietf-quic-ack-frequency, section 9, advises.
	askReordering = 3
)

// feedback is how densely a path's packets are acknowledged.
type feedback struct {
	packets, frames int
	perAck          float64 // packets for one ACK frame, lately; 0: not known
	begun           bool    // the first measure, of slow start, is over
}

// weighAcks counts the packets of c.outcome, and decides now and then whether the peer is
// to acknowledge at another rate.
func (c *Conn) weighAcks(p *path) {
	if !c.cfg.AskAcks || !c.asksAcks() || len(c.outcome.Acked) == 0 {
		return
	}
	f := &p.feedback
	f.frames++
	for i := range c.outcome.Acked {
		if c.outcome.Acked[i].AckEliciting {
			f.packets++
		}
	}
	if f.packets < weighPackets && f.frames < weighFrames {
		return
	}
	if f.begun {
		f.perAck = float64(f.packets) / float64(f.frames)
	}
	f.packets, f.frames, f.begun = 0, 0, true
	if s := c.ackFreq.state; s == frameQueued || s == frameSent {
		return
	}
	c.ask()
}

// carrying reports whether the path's window and round trip are to be respected.
func (p *path) carrying() bool {
	return p.state == PathActive && !p.vitals.suspect && p.feedback.perAck > 0 &&
		p.det.RTT().HasSample && p.det.BytesInFlight() > 0
}

// ask has the peer asked for what suits all paths that carry data, if that pays: some ACKs
// a round trip, where one is the least (draft-ietf-quic-ack-frequency, section 8.1).
func (c *Conn) ask() {
	threshold, delay := maxAckEvery, c.peer.MaxAckDelay
	known := false
	for _, p := range c.open {
		if !p.carrying() {
			continue
		}
		known = true
		delay = min(delay, p.det.RTT().Smoothed/askDelayShare)
		threshold = min(threshold, int(p.det.State().Window/p.mtu.size())/askShare)
	}
	threshold = max(threshold, leastAsked)
	a := &c.ackFreq
	if !known || delay < c.peer.MinAckDelay {
		return // the peer cannot be that quick: it knows best
	}
	switch last := a.asked; {
	case a.state == frameNone && !c.askPays(threshold, delay):
		return
	case a.state == frameNone:
	case !a.anew && alike(float64(last.Threshold), float64(threshold)) && alike(float64(a.askedDelay()), float64(delay)):
		return
	}
	// draft-ietf-quic-ack-frequency, section 4: sequence numbers MUST increase
	// monotonically.
	seq := a.asked.Sequence + 1
	if a.state == frameNone {
		seq = 0
	}
	a.anew, a.state = false, frameQueued
	a.asked = wire.AckFrequency{
		Sequence: seq, Threshold: uint64(threshold), MaxAckDelay: uint64(delay / time.Microsecond), Reordering: askReordering,
	}
}

// alike reports whether two values are less than askAgain apart.
func alike(a, b float64) bool { return a < askAgain*b && b < askAgain*a }

// askPays reports whether the peer would send so much fewer ACKs that it is worth asking.
func (c *Conn) askPays(threshold int, delay time.Duration) bool {
	var now, then float64 // ACKs per second
	for _, p := range c.open {
		if !p.carrying() {
			continue
		}
		rate := rateOf(p) / float64(p.mtu.size())
		now += rate / p.feedback.perAck
		then += rate / max(1, min(float64(threshold+1), rate*delay.Seconds()))
	}
	return now >= worthAsking*then
}
