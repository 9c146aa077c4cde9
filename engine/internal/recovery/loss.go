package recovery

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/congest"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

const (
	// packetThreshold is kPacketThreshold of RFC 9002, section 6.1.1.
	packetThreshold = 3
	// persistentThreshold is kPersistentCongestionThreshold of section 7.6.1.
	persistentThreshold = 3
)

// detectLost finds the packets of a space that count as lost by now, and when the next
// one will (RFC 9002, section 6.1).
func (d *Detector) detectLost(now clock.Time, s *space, out *Result) {
	s.lossTime = 0
	delay := d.rtt.lossDelay()
	var loss congest.Loss
	for n := s.first; n <= s.largestAcked && n < s.next; n++ {
		p := s.at(n)
		if p.fate != outstanding {
			continue
		}
		lostAt := p.Time.Add(delay)
		if s.largestAcked-n < s.threshold(n) && lostAt > now {
			if p.InFlight {
				s.lossTime = lostAt
				break // what was sent later is lost later
			}
			continue
		}
		s.settle(n, lost)
		p.ByTime = s.largestAcked-n < s.threshold(n)
		d.lose(now, s, &p.Sent, &loss, out)
	}
	persistent := d.endLosses(s)
	if loss.Bytes == 0 {
		return
	}
	if persistent {
		loss.Persistent = true
		out.PersistentCongestion = true
		// RFC 9002, section 5.2: SHOULD set min_rtt to the newest sample.
		d.rtt.Min = d.rtt.Latest
	}
	loss.InFlight, loss.Delivered = d.inFlight, d.rate.delivered
	d.controller.OnLoss(now, loss)
}

// threshold returns how many numbers after n must be acknowledged for n to be lost: a
// number left out in between was no packet.
func (s *space) threshold(n wire.PacketNumber) wire.PacketNumber {
	if s.lastSkip > n && s.lastSkip < s.largestAcked {
		return packetThreshold + 1
	}
	return packetThreshold
}

// lose takes in one lost packet.
func (d *Detector) lose(now clock.Time, s *space, p *Sent, loss *congest.Loss, out *Result) {
	d.leave(s, p)
	if !p.InFlight {
		out.Dropped = append(out.Dropped, *p)
		return
	}
	out.Lost = append(out.Lost, *p)
	if !d.counts(p) {
		return
	}
	if p.ECT && d.ecn.markedLost() {
		out.ECNFailed = true
	}
	if p.MTUProbe {
		// RFC 9000, section 14.4: SHOULD NOT trigger a congestion control reaction.
		return
	}
	d.rate.lost += p.Size
	loss.Bytes += p.Size
	loss.Largest, loss.LargestSent = p.Number, p.Time
	if o, ok := d.controller.(congest.PacketLossObserver); ok {
		o.OnPacketLost(now, congest.LostPacket{
			Number: p.Number, Bytes: p.Size, TxInFlight: p.txInFlight, LostSince: d.rate.lost - p.lost,
			Delivered: d.rate.delivered, AppLimited: p.appLimited,
		})
	}
}

// lossRun is a run of ack-eliciting packets of a space, all lost, with none between
// them acknowledged.
type lossRun struct {
	start, end clock.Time // when its first and last packet were sent; start 0: no run
}

// endLosses trims the ring and reports whether persistent congestion is established
// (RFC 9002, section 7.6.2).
func (d *Detector) endLosses(s *space) (persistent bool) {
	// Section 7.6.1: with max_ack_delay in every space.
	limit := persistentThreshold * (d.rtt.timeout() + d.maxAckDelay)
	for !s.empty() {
		p := s.at(s.first)
		switch {
		case p.fate == outstanding:
			return persistent
		case p.fate == acked:
			s.run = lossRun{}
		case p.fate == lost && p.AckEliciting && !p.MTUProbe &&
			!d.firstSample.IsZero() && p.Time > d.firstSample:
			// Section 7.6.2: the two packets MUST be ack-eliciting, and a prior RTT sample, of
			// this path, must have existed when they were sent.
			if s.run.start.IsZero() {
				s.run.start = p.Time
			}
			s.run.end = p.Time
			if s.run.end.Sub(s.run.start) > limit && !d.ackedBetween(s.run) {
				persistent = true
				s.run = lossRun{}
			}
		}
		s.first++
	}
	return persistent
}

// ackedBetween reports whether the newest packet acknowledged of any space was sent
// within the run: across all spaces, none may be.
func (d *Detector) ackedBetween(r lossRun) bool {
	for i := range d.spaces {
		if t := d.spaces[i].newestAcked; t > r.start && t < r.end {
			return true
		}
	}
	return false
}

// trim forgets numbers at the ring's start that never were a packet.
func (s *space) trim() {
	for !s.empty() && s.at(s.first).fate == skipped {
		s.first++
	}
}
