package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// maxTrain is the largest train in bytes: what one UDP_SEGMENT send takes over IPv4.
const maxTrain = 65507

// AppendTransmit fills t with the next train of datagrams that the connection wants
// to send now. False means that there is nothing to send, or that it must wait until
// NextTimeout. The owner calls it until it says so.
func (c *Conn) AppendTransmit(now clock.Time, t *Transmit) bool {
	t.Buf, t.Segment = t.Buf[:0], 0
	switch c.state {
	case stateClosing:
		return c.closing.due && c.appendClose(now, t)
	case stateDraining, stateDrained:
		return false
	}
	if c.numbersUsed() {
		// RFC 9000, section 12.3: with no packet number left, MUST close without a word.
		c.end(now, errNumbersUsed, stateDrained)
		return false
	}
	if len(c.open) == 0 {
		return false
	}
	if len(c.open) == 1 {
		p := c.open[0]
		return c.appendOwn(now, t, p) || c.appendTrain(now, t, p, true)
	}
	return c.appendMulti(now, t)
}

// numbersUsed reports whether a path has no packet number left.
func (c *Conn) numbersUsed() bool {
	for _, p := range c.open {
		if p.spaces[recovery.SpaceApplication].next > wire.MaxVarint {
			return true
		}
	}
	return false
}

// appendOwn sends what a path has to say for itself: answers, challenges, and probes of
// its MTU.
func (c *Conn) appendOwn(now clock.Time, t *Transmit, p *path) bool {
	return c.appendResponse(now, t, p) || c.appendChallenge(now, t, p) || c.appendProbe(now, t, p)
}

// permit is what a train may carry.
type permit struct {
	data bool // ack-eliciting packets: the window and the pacer have room
	size int  // of each datagram, bytes
}

// appendTrain builds datagrams for p until one comes out short, the budget is used up
// or the train is full. One decision on the budget is for all of it. Without data only
// acknowledgements and probes leave.
func (c *Conn) appendTrain(now clock.Time, t *Transmit, p *path, data bool) bool {
	size := min(int(p.mtu.size()), cap(t.Buf))
	most := min(cap(t.Buf), max(maxTrain, size), max(t.MaxSegments, 1)*size)
	if !p.amp.validated() {
		// RFC 9000, section 8.1: MUST NOT send more than three times what came.
		if c.muted(p) {
			p.det.AmplificationLimited()
			return false
		}
		most = int(min(wire.ByteCount(most), p.amp.room()))
		size = min(size, most)
	}
	budget, next := wire.ByteCount(0), clock.Never
	if data {
		budget, next = p.det.Budget(now, wire.ByteCount(most))
	}
	wanted := c.wantsData(p)
	for len(t.Buf)+size <= most {
		start := len(t.Buf)
		limit := size
		if t.Segment > 0 {
			limit = t.Segment
		}
		ok := wire.ByteCount(start) < budget
		t.Buf = c.appendDatagram(now, p, t.Buf, permit{data: ok, size: limit})
		n := len(t.Buf) - start
		if n == 0 {
			break
		}
		if t.Segment == 0 {
			t.Segment = n
		}
		if n < limit || c.state != stateActive {
			break
		}
	}
	if data {
		c.afterTrain(p, next, budget, wanted, len(t.Buf))
	}
	if len(t.Buf) == 0 {
		return false
	}
	c.finishTrain(t, p, p.tuple, t.Segment)
	return true
}

// muted reports whether the anti-amplification limit leaves no room for a datagram
// that is worth it. In the handshake most must be full ones.
func (c *Conn) muted(p *path) bool {
	const least = 64
	room := p.amp.room()
	return room < least || (!c.confirmed && room < minUDPPayload)
}

// afterTrain notes why the train ended: for want of data, or of budget.
func (c *Conn) afterTrain(p *path, next clock.Time, budget wire.ByteCount, wanted bool, sent int) {
	p.blockedUntil = 0
	switch {
	case !c.wantsData(p):
		if wanted || sent == 0 {
			p.det.SetAppLimited()
		}
	case budget == 0 && next != clock.Never:
		p.blockedUntil = next
	}
}

// finishTrain completes the transmit and counts it.
func (c *Conn) finishTrain(t *Transmit, p *path, at tuple, segment int) {
	t.Local, t.Remote, t.Segment, t.ECN = at.local, at.remote, segment, p.mark()
	switch at {
	case p.tuple:
		p.amp.sent(wire.ByteCount(len(t.Buf)))
	case p.probed:
		p.probedAmp.sent(wire.ByteCount(len(t.Buf)))
	}
	p.sentBytes += uint64(len(t.Buf))
	c.stats.trains++
	c.stats.sentDatagrams += uint64((len(t.Buf) + segment - 1) / segment)
}

// WantsToSend reports whether the connection has something to send that elicits an
// acknowledgement, though it may have to wait for it. It is quick.
func (c *Conn) WantsToSend() bool { return c.state == stateActive && c.wantsAny() }

// wantsData reports whether there is anything to send that elicits an
// acknowledgement. It looks at flags only.
func (c *Conn) wantsData(p *path) bool { return c.wantsAny() || p.copies.len() > 0 }

// wantsAny is wantsData but for what is bound to one path.
func (c *Conn) wantsAny() bool {
	return c.streams.hasData() || c.streams.hasControl() || c.datagrams.hasFrames() || c.pingWanted || c.doneWanted ||
		c.ackFreq.state == frameQueued ||
		c.tokens.wanted || c.wantsPathFrames() || c.wantsCrypto()
}

func (c *Conn) wantsCrypto() bool {
	for i := range c.path0.spaces {
		if c.path0.spaces[i].crypto.pending() {
			return true
		}
	}
	return false
}

// appendDatagram appends one datagram: a 1-RTT packet, or during the handshake
// whatever levels have something to say, one packet each (RFC 9000, section 12.2).
func (c *Conn) appendDatagram(now clock.Time, p *path, b []byte, m permit) []byte {
	if p != c.path0 || (c.confirmed && p.spaces[recovery.SpaceHandshake].discarded) {
		return c.appendPacket(now, p, b, wire.PacketOneRTT, m, 0)
	}
	start := len(b)
	kinds, n := c.handshakeKinds(now, m)
	initial := false
	for i, kind := range kinds[:n] {
		rest := m
		rest.size = m.size - (len(b) - start)
		fill := 0
		if i == n-1 && c.mustFill(kinds[:n]) {
			fill = rest.size
		}
		before := len(b)
		b = c.appendPacket(now, p, b, kind, rest, fill)
		initial = initial || (kind == wire.PacketInitial && len(b) > before)
		if kind == wire.PacketHandshake && c.side == wire.Client && len(b) > before {
			// RFC 9001, section 4.9.1: a client MUST discard Initial keys when it first sends
			// a Handshake packet.
			c.discard(now, recovery.SpaceInitial)
		}
	}
	if initial && len(b)-start < int(minUDPPayload) && c.mustFill([]wire.PacketType{wire.PacketInitial}) {
		b = padDatagram(b, start, int(minUDPPayload))
	}
	return b
}

// mustFill: datagrams with a client's Initial packet, or with a server's that elicits
// an acknowledgement, MUST be 1200 bytes at least (RFC 9000, section 14.1).
func (c *Conn) mustFill(kinds []wire.PacketType) bool {
	return kinds[0] == wire.PacketInitial
}

// handshakeKinds returns the packet types that have something to send, in the order
// in which they share a datagram.
func (c *Conn) handshakeKinds(now clock.Time, m permit) (kinds [4]wire.PacketType, n int) {
	for _, kind := range [...]wire.PacketType{wire.PacketInitial, wire.PacketHandshake, wire.PacketZeroRTT, wire.PacketOneRTT} {
		if c.canSeal(kind) && c.wants(now, kind, m) {
			kinds[n] = kind
			n++
		}
	}
	return kinds, n
}

// wants reports whether a packet of that type has something to carry.
func (c *Conn) wants(now clock.Time, kind wire.PacketType, m permit) bool {
	sp := spaceOf(kind)
	s := &c.path0.spaces[sp]
	probe := c.exempt(c.path0, sp)
	switch kind {
	case wire.PacketZeroRTT:
		return c.keys.oneRTT == nil && (m.data || probe) && (c.streams.hasData() || c.streams.hasControl() || c.datagrams.hasFrames())
	case wire.PacketOneRTT:
		return s.acks.due(now) || probe || (m.data && (s.crypto.pending() || c.wantsData(c.path0)))
	}
	return s.acks.due(now) || probe || (m.data && s.crypto.pending())
}

// exempt reports whether a packet of the space may leave though the window is full. A
// probe may (RFC 9002, section 7.5: MUST NOT be blocked), and so may the only packet
// of the handshake: early application data can fill the window, and before the
// handshake is confirmed no timer runs that would ever empty it (section 6.2.1).
func (c *Conn) exempt(p *path, sp recovery.Space) bool {
	if p.det.ProbesDue(sp) > 0 {
		return true
	}
	return sp != recovery.SpaceApplication && p.spaces[sp].crypto.pending() && p.det.Eliciting(sp) == 0
}

// doubts reports whether a probe of p is to carry a PING alone: p is silent, or has yet
// to prove itself, and what were given to it now would be missing until it speaks.
func (c *Conn) doubts(p *path, sp recovery.Space) bool {
	silent := p.state == PathValidating || p.state == PathDead || p.vitals.suspect
	return sp == recovery.SpaceApplication && silent && c.bonded(p)
}

// appendPacket appends one packet of that type when it has something to carry. With
// fill above 0 the packet is padded to that many bytes.
func (c *Conn) appendPacket(now clock.Time, p *path, b []byte, kind wire.PacketType, m permit, fill int) []byte {
	w, ok := c.beginPacket(p, kind, b, m.size)
	if !ok {
		return b
	}
	sp := spaceOf(kind)
	s := &p.spaces[sp]
	probe := c.exempt(p, sp)
	m.data = m.data || (probe && !c.doubts(p, sp))
	ping := probe // RFC 9002, section 6.2.4: a probe MUST elicit an acknowledgement
	if kind != wire.PacketZeroRTT && (s.acks.due(now) || (m.data && s.acks.pending() && c.wantsIn(p, kind))) {
		// A peer that never answers must not fill more than the window with these.
		ping = ping || (s.acks.wantsPing() && p.det.BytesInFlight() < p.det.State().Window)
		s.acks.append(now, &w, ackDelayExponent, c.pathAcks(kind), p.id)
	}
	if c.multi.on && kind == wire.PacketOneRTT {
		c.appendStrayAcks(now, &w)
		ping = ping || p.vitals.ping
	}
	if probe || p.vitals.ping {
		// draft-ietf-quic-ack-frequency, sections 5 and 7. Not with probes of the MTU (section
		// 8.3): with it BBR over 100 Mbit/s and 600 ms carried 11 % less in its first 10 s.
		c.appendImmediateAck(&w)
	}
	if m.data {
		c.appendFrames(&w, s)
	}
	if ping && !w.ackEliciting {
		appendPing(&w)
	}
	if w.ackEliciting {
		p.vitals.asked(now)
	}
	if w.empty() {
		return w.abandon()
	}
	if fill > 0 {
		w.pad(fill)
	}
	b, err := c.endPacket(now, &w)
	if err != nil {
		c.fail(now, err)
	}
	return b
}

// wantsIn reports whether a packet of that type has more to carry than an
// acknowledgement.
func (c *Conn) wantsIn(p *path, kind wire.PacketType) bool {
	if kind == wire.PacketOneRTT {
		return c.wantsData(p)
	}
	return p.spaces[spaceOf(kind)].crypto.pending()
}

// appendFrames fills the packet with what is to be sent, most urgent first.
func (c *Conn) appendFrames(w *builder, s *space) {
	if w.kind != wire.PacketZeroRTT && !c.cryptoOf(s).append(w) {
		return
	}
	if w.kind == wire.PacketInitial || w.kind == wire.PacketHandshake {
		return
	}
	if w.kind == wire.PacketOneRTT && (!c.appendOnce(w) || !c.appendAckFrequency(w) || !c.appendPathFrames(w)) {
		return
	}
	if c.pingWanted && !w.ackEliciting && !c.streams.hasData() {
		appendPing(w)
	}
	c.pingWanted = c.pingWanted && !w.ackEliciting
	if !c.streams.appendControl(w) {
		return
	}
	if c.datagrams.hasFrames() && !c.datagrams.appendFrame(w) {
		return
	}
	if !c.appendCopies(w) {
		return
	}
	if c.streams.appendData(w) {
		c.pingWanted = false
	}
}

// appendOnce appends the frames that only a server says: HANDSHAKE_DONE and NEW_TOKEN.
func (c *Conn) appendOnce(w *builder) bool {
	if c.doneWanted {
		if w.room() < 1 {
			return false
		}
		w.b = wire.AppendVarint(w.b, uint64(wire.TypeHandshakeDone))
		w.added(wire.TypeHandshakeDone)
		w.note(frameRef{kind: refHandshakeDone})
		c.doneWanted = false
	}
	return c.tokens.appendFrame(w)
}

func appendPing(w *builder) {
	if w.room() < 1 {
		return
	}
	w.b = wire.AppendVarint(w.b, uint64(wire.TypePing))
	w.added(wire.TypePing)
	w.note(frameRef{kind: refPing})
}

// probeWindow is how many path MTU probes the window must have room for to send one.
const probeWindow = 3

// appendProbe sends a path MTU probe: one PING, padded to the size that is tried
// (RFC 8899, section 4.4).
func (c *Conn) appendProbe(now clock.Time, t *Transmit, p *path) bool {
	if !c.confirmed || !p.amp.validated() {
		return false
	}
	size, ok := p.mtu.probe(now)
	if !ok || int(size) > cap(t.Buf) {
		return false
	}
	// A probe that is lost is in flight until later packets tell: it must not fill the window.
	if p.det.State().Window < probeWindow*size {
		return false
	}
	if budget, _ := p.det.Budget(now, size); budget < size {
		return false
	}
	w, ok := c.beginPacket(p, wire.PacketOneRTT, t.Buf, int(size))
	if !ok {
		return false
	}
	appendPing(&w)
	w.pad(int(size))
	w.mtuProbe = true
	b, err := c.endPacket(now, &w)
	t.Buf = b
	if err != nil {
		c.fail(now, err)
		return false
	}
	p.mtu.sent(now, size, w.number)
	c.finishTrain(t, p, p.tuple, len(t.Buf))
	return true
}
