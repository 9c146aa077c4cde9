package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// handleAck takes an ACK frame: recovery says which packets it settles, and their
// frames are settled here.
func (c *Conn) handleAck(now clock.Time, p *path, kind wire.PacketType, f *wire.Ack) error {
	sp := spaceOf(kind)
	a := recovery.Ack{Largest: f.Largest, HasECN: f.HasECN, ECT0: f.ECT0, ECT1: f.ECT1, CE: f.CE}
	if sp == recovery.SpaceApplication {
		a.Delay = c.ackDelay(f.Delay)
	}
	due := c.ackDue(p)
	c.outcome.Reset()
	if err := p.det.Ack(now, sp, a, f.Ranges(), &c.outcome); err != nil {
		return err
	}
	c.settle(now, p, sp)
	c.heard(now, p, due)
	if sp == recovery.SpaceApplication {
		c.weighAcks(p)
	}
	return nil
}

// ackDelay decodes the delay of an ACK frame (RFC 9000, section 19.3). A value past
// all reason is as good as the peer's maximum, which recovery applies.
func (c *Conn) ackDelay(v uint64) time.Duration {
	const most = uint64(time.Hour / time.Microsecond)
	exponent := c.peer.AckDelayExponent
	if v > most>>exponent {
		return time.Hour
	}
	return time.Duration(v<<exponent) * time.Microsecond
}

// settle deals with the packets in c.outcome: their frames arrived, or are to be sent
// again.
func (c *Conn) settle(now clock.Time, p *path, sp recovery.Space) {
	out := &c.outcome
	for i := range out.Acked {
		c.packetAcked(now, p, sp, &out.Acked[i])
	}
	for i := range out.Lost {
		c.packetLost(now, p, sp, &out.Lost[i])
	}
	p.trim(sp)
	if p.mtu.settle() {
		c.mtuChanged(now, p)
	}
	if out.ECNFailed {
		c.traceECN(now, p, p.det.ECN().String())
	}
	if out.RTTUpdated {
		rtt := p.det.RTT()
		c.streams.setRTT(c.largestRTT())
		c.growSendBuffer()
		p.spaces[recovery.SpaceApplication].acks.setRTT(rtt.Smoothed)
		if c.keys.oneRTT != nil {
			c.keys.oneRTT.SetPTO(c.pto())
		}
	}
	c.traceMetrics(now, p)
	p.blockedUntil = 0
}

// packetAcked settles the frames of a packet that arrived.
func (c *Conn) packetAcked(now clock.Time, p *path, sp recovery.Space, m *recovery.Sent) {
	if sp == recovery.SpaceApplication {
		if c.keys.oneRTT != nil {
			c.keys.oneRTT.Acked(p.id, m.Number)
		}
		if m.MTUProbe {
			if p.mtu.acked(m.Size) {
				c.mtuChanged(now, p)
			}
		} else {
			p.mtu.packetAcked(m.Size)
		}
	}
	s := &p.spaces[sp]
	for i := range uint64(m.Count) {
		r := s.log.at(m.First + i)
		c.refAcked(s, *r)
		*r = frameRef{kind: refDone}
	}
}

// packetLost has the frames of a lost packet sent again.
func (c *Conn) packetLost(now clock.Time, p *path, sp recovery.Space, m *recovery.Sent) {
	p.lostPackets++
	c.traceLost(now, p, sp, m)
	if m.MTUProbe {
		p.mtu.lost(now, m.Size)
	} else if sp == recovery.SpaceApplication {
		p.mtu.packetLost(m.Size, m.Number)
	}
	s := &p.spaces[sp]
	for i := range uint64(m.Count) {
		r := s.log.at(m.First + i)
		if r.copied != copySent {
			c.refLost(s, *r)
		}
		*r = frameRef{kind: refDone}
	}
}

// mtuChanged follows the path's MTU.
func (c *Conn) mtuChanged(now clock.Time, p *path) {
	p.det.SetMaxDatagram(p.mtu.size())
	c.datagramsFollowMTU()
	c.traceMTU(now, p)
}

// trim forgets the references that no packet without fate needs.
func (p *path) trim(sp recovery.Space) {
	s := &p.spaces[sp]
	if oldest, ok := p.det.Oldest(sp); ok {
		s.log.forget(oldest.First)
	} else {
		s.log.forget(s.log.next)
	}
}

// refAcked says to the part of the connection that sent it that a frame arrived.
func (c *Conn) refAcked(s *space, r frameRef) {
	switch r.kind {
	case refCrypto:
		c.cryptoOf(s).acked(r)
	case refAck:
		if s.multi { // it spoke of another path, maybe one that is over
			p := c.pathByID(wire.PathID(r.n))
			if p == nil {
				return
			}
			s = &p.spaces[recovery.SpaceApplication]
		}
		s.acks.acknowledged(wire.PacketNumber(r.off))
	case refNewConnectionID:
		if p := c.pathByID(wire.PathID(r.n)); p != nil {
			p.issued.acked(r)
		}
	case refRetireConnectionID:
		if p := c.pathByID(wire.PathID(r.n)); p != nil {
			p.peer.acked(r)
		}
	case refPathAbandon, refPathStatus, refMaxPathID, refPathsBlocked, refPathCIDsBlocked:
		c.pathFrameAcked(r)
	case refAckFrequency:
		c.ackFrequencyAcked(r.off)
	case refNewToken, refHandshakeDone, refPing, refPathChallenge, refDatagram, refDone:
	default:
		c.streams.acked(r)
	}
}

// refLost has a frame sent again. It is also called for frames that may yet arrive.
func (c *Conn) refLost(s *space, r frameRef) {
	switch r.kind {
	case refCrypto:
		c.cryptoOf(s).lost(r)
	case refNewConnectionID:
		if p := c.pathByID(wire.PathID(r.n)); p != nil {
			p.issued.lost(r)
		}
	case refRetireConnectionID:
		if p := c.pathByID(wire.PathID(r.n)); p != nil {
			p.peer.lost(r)
		}
	case refPathAbandon, refPathStatus, refMaxPathID, refPathsBlocked, refPathCIDsBlocked:
		c.pathFrameLost(r)
	case refHandshakeDone:
		c.doneWanted = true
	case refNewToken:
		c.tokens.lost(r)
	case refAckFrequency:
		c.ackFrequencyLost(r.off)
	case refAck, refPing, refPathChallenge, refDatagram, refDone:
		// Acknowledgements are sent anew, challenges on their own timer, DATAGRAMs not
		// (RFC 9221, section 5.2).
	default:
		c.streams.lost(r)
	}
}

// cryptoOf returns the CRYPTO data of the level of s: 1-RTT has one stream of it, whatever
// path it leaves on.
func (c *Conn) cryptoOf(s *space) *cryptoStream {
	if s.multi {
		return &c.path0.spaces[recovery.SpaceApplication].crypto
	}
	return &s.crypto
}

// probeFrames has the oldest frames in flight sent again with a probe, without
// taking them for lost (RFC 9002, section 6.2.4).
func (c *Conn) probeFrames(s *space) {
	const most = 4 // frames: about two packets' worth
	for i, n := s.log.first, 0; i < s.log.next && n < most; i++ {
		if r := s.log.at(i); r.kind != refDone && r.kind != refAck && r.copied != copySent {
			c.refLost(s, *r)
			n++
		}
	}
}
