package recovery

import (
	"iter"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// walk is what processing an ACK frame gathers.
type walk struct {
	space     *space
	out       *Result
	bytes     wire.ByteCount // newly acknowledged, in flight on this path
	newest    Sent           // newest packet of those
	any       bool           // newest is set
	eliciting bool           // an ack-eliciting packet was newly acknowledged
	marked    uint64         // packets sent with ECT(0) newly acknowledged
	proof     bool           // one of them was sent on this path
	largest   Sent           // the packet a.Largest, when newly acknowledged
	err       *wire.TransportError
}

// Ack takes in an ACK frame: its ranges, descending, and the rest. It appends to out
// and returns a PROTOCOL_VIOLATION for what was never sent; the connection is over
// then.
func (d *Detector) Ack(now clock.Time, sp Space, a Ack, ranges iter.Seq[wire.Range], out *Result) error {
	s := &d.spaces[sp]
	out.LargestAcked = wire.NoPacket
	prior := d.inFlight
	d.walk = walk{space: s, out: out, largest: Sent{Number: a.Largest}}
	w := &d.walk
	if err := w.neverSent(wire.Range{Smallest: a.Largest, Largest: a.Largest}); err != nil {
		return err
	}
	ranges(d.visit)
	if w.err != nil {
		return w.err
	}
	rises := a.Largest > s.largestAcked
	s.largestAcked = max(s.largestAcked, a.Largest)
	if out.LargestAcked == wire.NoPacket {
		return nil
	}
	d.lastEvent = now
	s.newestAcked = max(s.newestAcked, w.largest.Time)
	if sp == SpaceHandshake {
		d.peerValidated = true // RFC 9002, appendix A.8
	}
	latest := d.sampleRTT(now, sp, a)
	d.rate.delivered += w.bytes

	var ce uint64
	if rises {
		// RFC 9000, section 13.4.2.1: MUST NOT fail validation because of a frame that does
		// not raise the largest acknowledged number.
		var failed bool
		ce, failed = d.ecn.validate(&s.ecn, a, w.marked, w.proof)
		out.ECNFailed = out.ECNFailed || failed
	}
	if ce > 0 && w.any {
		out.CE = true
		// RFC 9002, section 7.3.2: a rise of the ECN-CE count starts a recovery period.
		d.controller.OnLoss(now, congest.Loss{
			Largest: w.newest.Number, LargestSent: w.newest.Time, InFlight: d.inFlight, CE: true,
			Delivered: d.rate.delivered,
		})
	}
	d.detectLost(now, s, out)
	d.reportAcked(now, prior, latest, ce)

	// RFC 9002, section 6.2.1: a client does not reset the backoff before it knows its
	// address to be validated.
	if d.peerValidated {
		d.ptoCount = 0
	}
	s.probes = 0
	return nil
}

// neverSent returns an error when r has numbers of packets that were not sent. RFC
// 9000, section 13.1: SHOULD be treated as PROTOCOL_VIOLATION.
func (w *walk) neverSent(r wire.Range) error {
	s := w.space
	if r.Smallest >= s.base && r.Largest < s.next && (s.lastSkip < r.Smallest || s.lastSkip > r.Largest) {
		return nil
	}
	return wire.Errorf(wire.ProtocolViolation, "packets %d to %d acknowledged, not all of which were sent", r.Smallest, r.Largest)
}

// visitRange settles the packets of a range of d.walk. Its cost is what is newly
// acknowledged in it, however long it is.
func (d *Detector) visitRange(r wire.Range) bool {
	w := &d.walk
	s := w.space
	if err := w.neverSent(r); err != nil {
		w.err = err.(*wire.TransportError)
		return false
	}
	end := max(r.Smallest, s.first)
	for n := r.Largest; n >= end; {
		p := s.at(n)
		// After this range, all numbers down to its end have their fate.
		switch p.fate {
		case outstanding:
			p.fate, p.below = acked, end-1
			d.ack(&p.Sent)
			n--
		case skipped:
			w.err = wire.Errorf(wire.ProtocolViolation, "packet %d acknowledged, which was not sent", n)
			return false
		default:
			n, p.below = p.below, min(p.below, end-1)
		}
	}
	return true
}

// ack takes in one newly acknowledged packet.
func (d *Detector) ack(p *Sent) {
	w := &d.walk
	d.leave(w.space, p)
	w.out.Acked = append(w.out.Acked, *p)
	w.out.LargestAcked = max(w.out.LargestAcked, p.Number)
	w.eliciting = w.eliciting || p.AckEliciting
	if p.ECT {
		w.marked++
		w.proof = w.proof || p.path == d.path
	}
	if p.Number == w.largest.Number {
		w.largest = *p
	}
	if d.counts(p) {
		w.bytes += p.Size
		if !w.any || p.Number > w.newest.Number {
			w.newest, w.any = *p, true
		}
	}
}

// sampleRTT takes an RTT sample from the frame, if it has one, and returns it.
//
// RFC 9002, section 5.1: the largest acknowledged must be newly so, and MUST NOT be a
// sample unless an ack-eliciting packet is newly acknowledged.
func (d *Detector) sampleRTT(now clock.Time, sp Space, a Ack) time.Duration {
	w := &d.walk
	if w.largest.Time.IsZero() || !w.eliciting || w.largest.path != d.path {
		return 0
	}
	delay := a.Delay
	if sp == SpaceInitial {
		delay = 0 // section 5.3: not delayed on purpose
	}
	if d.confirmed {
		// Section 5.3: MUST use the lesser of the delay and max_ack_delay once the handshake
		// is confirmed.
		delay = min(delay, d.maxAckDelay)
	}
	if d.firstSample.IsZero() {
		d.firstSample = now
	}
	d.rtt.update(now.Sub(w.largest.Time), delay)
	w.out.RTTUpdated = true
	return d.rtt.Latest
}

// reportAcked tells the controller.
func (d *Detector) reportAcked(now clock.Time, prior wire.ByteCount, latest time.Duration, ce uint64) {
	w := &d.walk
	if !w.any {
		return
	}
	sample, roundStart := d.rate.sample(now, &w.newest, d.rtt.Min)
	d.controller.OnAck(now, congest.Ack{
		Bytes: w.bytes, Largest: w.newest.Number, LargestSent: w.newest.Time,
		PriorInFlight: prior, InFlight: d.inFlight,
		LatestRTT: latest, MinRTT: d.rtt.Min, SmoothedRTT: d.rtt.Smoothed,
		Round: d.rate.round, RoundStart: roundStart, Delivered: d.rate.delivered,
		Rate: sample, CE: ce, AppLimited: w.newest.appLimited,
	})
	if d.controller.State().SelfLimited {
		d.rate.limit(d.inFlight)
	}
}
