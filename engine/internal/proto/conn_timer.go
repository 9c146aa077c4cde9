package proto

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
)

// NextTimeout returns when HandleTimeout is due, clock.Never when nothing waits.
func (c *Conn) NextTimeout() clock.Time {
	switch c.state {
	case stateClosing, stateDraining:
		return c.closing.until
	case stateDrained:
		return clock.Never
	}
	t := min(
		c.idle.deadline(c.pto()), c.keepAliveDeadline(), c.handshakeBy.OrNever(), c.keys.earlyUntil.OrNever(),
		c.multi.rescue.next.OrNever(), c.multi.missing.OrNever(),
	)
	for _, p := range c.open {
		t = min(t, c.pathDeadline(p))
	}
	speaks := len(c.paths) < 2 || c.speaker() != nil
	for _, p := range c.lingering {
		t = min(t, p.lingerDeadline())
		if speaks {
			t = min(t, p.ackDeadline())
		}
	}
	if c.keys.oneRTT != nil {
		t = min(t, c.keys.oneRTT.Timeout().OrNever())
	}
	return t
}

// pathDeadline returns when something is due on p.
func (c *Conn) pathDeadline(p *path) clock.Time {
	t := min(
		p.det.Timeout().OrNever(), p.challenge.deadline(), p.leaving.deadline(), p.mtu.deadline(),
		p.blockedUntil.OrNever(), c.suspectDeadline(p),
	)
	muted := c.muted(p)
	if p.mute() {
		muted = c.speaker() == nil // it acknowledges for p
	}
	for i := range p.spaces {
		if s := &p.spaces[i]; !s.discarded && !muted {
			t = min(t, s.acks.deadline())
		}
	}
	return t
}

// HandleTimeout does what is due by now. Being called early or for nothing is no
// error.
func (c *Conn) HandleTimeout(now clock.Time) {
	switch c.state {
	case stateClosing, stateDraining:
		if now >= c.closing.until {
			c.drained()
		}
		return
	case stateDrained:
		return
	}
	if now >= c.idle.deadline(c.pto()) {
		c.end(now, &TimeoutError{After: c.idle.timeout}, stateDrained) // RFC 9000, section 10.1: silently
		return
	}
	if now >= c.handshakeBy.OrNever() {
		c.end(now, &TimeoutError{Handshake: true, After: c.cfg.HandshakeTimeout}, stateDrained)
		return
	}
	if now >= c.keepAliveDeadline() {
		c.pingWanted = true
	}
	if k := c.keys.oneRTT; k != nil && now >= k.Timeout().OrNever() {
		k.HandleTimeout(now)
	}
	if now >= c.keys.earlyUntil.OrNever() {
		c.keys.earlyOpen, c.keys.earlyUntil = nil, 0
	}
	for i := 0; i < len(c.open); i++ { // a path that fails leaves the list
		p := c.open[i]
		c.recoveryTimeout(now, p)
		if now >= p.blockedUntil.OrNever() {
			p.blockedUntil = 0
		}
		c.suspectTimeout(now, p)
		p.mtu.timeout(now)
		c.pathTimeout(now, p)
		if i < len(c.open) && c.open[i] != p {
			i--
		}
	}
	c.rescueTimeout(now)
	c.missingTimeout(now)
	c.lingerTimeout(now)
}

// keepAliveDeadline returns when a PING is to be asked for. One that waits already,
// for keys or for room in the window, is enough.
func (c *Conn) keepAliveDeadline() clock.Time {
	if c.pingWanted {
		return clock.Never
	}
	return c.idle.keepAliveDeadline()
}

// recoveryTimeout runs the loss detection timer (RFC 9002, section 6.2).
func (c *Conn) recoveryTimeout(now clock.Time, p *path) {
	if now < p.det.Timeout().OrNever() {
		return
	}
	c.outcome.Reset()
	e := p.det.HandleTimeout(now, &c.outcome)
	if e.PTO {
		c.probeFrames(&p.spaces[e.Space])
		c.suspectMTU(now, p, e.Space)
		c.probed(now, p)
		c.doubtLast(now, p)
		c.traceMetrics(now, p)
		return
	}
	c.settle(now, p, e.Space)
	c.recoveryTimeout(now, p) // what was lost may have hidden a probe timeout
}

// suspectEvery is the least time between two probe timeouts that count as evidence: a
// host that is starved of CPU time for some milliseconds is no black hole.
const suspectEvery = 100 * time.Millisecond

// suspectMTU: a probe timeout with full packets in flight may be a black hole's (RFC
// 8899, section 4.3).
func (c *Conn) suspectMTU(now clock.Time, p *path, sp recovery.Space) {
	if sp == recovery.SpaceApplication && p.large > p.det.LargestAcked(sp) && now >= p.suspectAfter {
		p.suspectAfter = now.Add(suspectEvery)
		p.mtu.packetLost(p.mtu.size(), p.spaces[sp].next-1)
		if p.mtu.settle() {
			c.mtuChanged(now, p)
		}
	}
}

// pto returns the largest probe timeout of all paths, for what lasts some of them
// (draft-ietf-quic-multipath-21, sections 2.5 and 2.6). A path that was never measured
// counts only when none was. Without a path the last one tells.
func (c *Conn) pto() time.Duration {
	if last := c.multi.rescue.last; last != nil {
		return last.pto()
	}
	var measured, most time.Duration
	for _, p := range c.open {
		most = max(most, p.pto())
		if p.det.RTT().HasSample {
			measured = max(measured, p.pto())
		}
	}
	if measured > 0 {
		return measured
	}
	return most
}

// pto returns the path's probe timeout.
func (p *path) pto() time.Duration { return p.det.PTO(recovery.SpaceApplication) }
