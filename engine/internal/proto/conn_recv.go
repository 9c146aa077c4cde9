package proto

import (
	"bytes"
	"errors"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// HandleDatagram takes a UDP payload. It borrows d; d.Data is decrypted in place,
// and what stays of it retains d.Buffer. Whatever the payload holds, the worst that
// happens is that the connection closes with a typed error, which an event says.
func (c *Conn) HandleDatagram(now clock.Time, d *Datagram) {
	if c.state >= stateDraining {
		return
	}
	p := c.pathFor(d.Data)
	c.stats.receivedDatagrams++
	p.receivedBytes += uint64(len(d.Data))
	at := tuple{d.Local, d.Remote}
	if c.side == wire.Client && at.remote != p.tuple.remote {
		// RFC 9000, section 9: a client MUST discard packets from an unknown server address.
		c.drop(now, unread{size: len(d.Data)}, "invalid")
		return
	}
	if at == p.tuple {
		p.amp.received(wire.ByteCount(len(d.Data)))
		p.det.AmplificationLifted()
	}
	if c.state == stateClosing {
		c.closing.packetHeard()
		return
	}
	// A stateless reset looks like a packet, and opening destroys it.
	tail, long := resetTail(d.Data)
	c.opened = false
	c.handlePackets(now, d, d.Data)
	// RFC 9000, section 10.3.1: a datagram whose packet cannot be opened MUST be compared
	// with the peer's token; section 10.3: with a long header, too.
	if long && !c.opened && c.state == stateActive && c.isResetToken(tail) {
		c.end(now, ErrStatelessReset, stateDraining)
	}
}

// minResetSize is the smallest stateless reset: 5 bytes that look like a header and
// the token (RFC 9000, section 10.3).
const minResetSize = 21

// resetTail returns what is the token if the datagram is a stateless reset; false: it
// is too short for one.
func resetTail(b []byte) (t wire.ResetToken, long bool) {
	if len(b) < minResetSize {
		return t, false
	}
	copy(t[:], b[len(b)-len(t):])
	return t, true
}

// handlePackets goes through the packets of a datagram (RFC 9000, section 12.2).
func (c *Conn) handlePackets(now clock.Time, d *Datagram, data []byte) {
	var first wire.ConnID
	for n := 0; len(data) > 0 && c.state == stateActive; n++ {
		if !wire.IsLong(data[0]) {
			if n > 0 && !bytes.HasPrefix(data[1:], first.Bytes()) {
				c.drop(now, unread{kind: wire.PacketOneRTT, size: len(data)}, "invalid") // as below
				return
			}
			c.handleShort(now, d, data)
			return
		}
		h, err := wire.ParseLong(data)
		if err != nil {
			why := "invalid"
			if errors.Is(err, wire.ErrVersion) {
				why = "unsupported"
			}
			c.drop(now, unread{kind: h.Type, dst: h.DstID, src: h.SrcID, size: len(data)}, why)
			return
		}
		if n == 0 {
			first = h.DstID
		}
		if h.DstID != first {
			// Section 12.2: later packets for another connection SHOULD be ignored.
			c.drop(now, unreadLong(&h, len(data)), "invalid")
			return
		}
		end := min(h.End, len(data))
		c.handleLong(now, d, &h, data[:end:end])
		data = data[end:]
	}
}

// handleLong takes a packet with a long header.
func (c *Conn) handleLong(now clock.Time, d *Datagram, h *wire.LongHeader, packet []byte) {
	switch {
	case h.Type == wire.PacketVersionNegotiation:
		c.handleVersionNegotiation(now, h, packet)
		return
	case h.Type == wire.PacketRetry:
		c.handleRetry(h, packet)
		return
	case h.Type == wire.PacketInitial && c.side == wire.Client && len(h.Token) > 0:
		// Section 17.2.2: a server MUST NOT send a token; the client discards the packet
		// or closes.
		c.drop(now, unreadLong(h, len(packet)), "invalid")
		return
	case h.Type == wire.PacketInitial && c.side == wire.Server && len(d.Data) < int(minUDPPayload):
		// Section 14.1: a server MUST discard an Initial packet in a datagram of less than
		// 1200 bytes.
		c.drop(now, unreadLong(h, len(packet)), "invalid")
		return
	case h.Type == wire.PacketZeroRTT && c.side == wire.Client:
		// RFC 9001, section 5.6: a client MUST discard 0-RTT packets.
		c.drop(now, unreadLong(h, len(packet)), "general")
		return
	case c.hasPeerID && h.SrcID != c.peerID:
		// RFC 9000, section 7.2: a changed source connection ID: MUST be discarded.
		c.drop(now, unreadLong(h, len(packet)), "invalid")
		return
	}
	opener := c.keys.opener(h.Type)
	if opener == nil {
		c.withoutKeys(now, d, unreadLong(h, len(packet)), packet)
		return
	}
	r := received{kind: h.Type, packet: packet, pnOffset: h.PNOffset, dst: h.DstID, src: h.SrcID}
	sp := spaceOf(h.Type)
	truncated, n, ok := opener.Unprotect(packet, h.PNOffset)
	if !ok {
		// RFC 9001, section 5.4.2: too short for a sample: MUST be discarded.
		c.drop(now, unreadLong(h, len(packet)), "invalid")
		return
	}
	r.pnLen = n
	r.number = wire.DecodePacketNumber(c.path0.spaces[sp].acks.largest(), truncated, n)
	at := h.PNOffset + n
	plain, err := opener.Open(packet[at:at], packet[:at], packet[at:], c.path0.id, r.number)
	if err != nil {
		c.drop(now, unreadLong(h, len(packet)), "decryption_failure")
		return
	}
	c.opened = true
	if packet[0]&0x0c != 0 {
		// RFC 9000, section 17.2: reserved bits that are not 0 once protection is off MUST be
		// a PROTOCOL_VIOLATION.
		c.fail(now, wire.Errorf(wire.ProtocolViolation, "reserved bits are set in a %v packet", h.Type))
		return
	}
	r.payload = plain
	if !c.hasPeerID {
		// Section 7.2: the client takes the server's source ID from its first packet.
		c.peerID, c.hasPeerID = h.SrcID, true
		c.path0.peer.setFirst(h.SrcID)
	}
	if h.Type == wire.PacketHandshake && c.side == wire.Server {
		// RFC 9001, section 4.9.1: a server MUST discard Initial keys now. RFC 9000,
		// section 8.1: the client has proved its address.
		c.path0.amp.validate()
		c.discard(now, recovery.SpaceInitial)
	}
	c.handlePacket(now, c.path0, d, &r)
}

// handleShort takes a 1-RTT packet, which fills the rest of its datagram.
func (c *Conn) handleShort(now clock.Time, d *Datagram, packet []byte) {
	const pnOffset = 1 + connIDLen
	if len(packet) < pnOffset || packet[0]&0x40 == 0 {
		// Section 17.3.1: a packet without the fixed bit MUST be discarded.
		c.drop(now, unread{kind: wire.PacketOneRTT, size: len(packet)}, "invalid")
		return
	}
	u := unread{kind: wire.PacketOneRTT, dst: wire.NewConnID(packet[1:pnOffset]), size: len(packet)}
	k := c.keys.oneRTT
	if k == nil || !k.CanOpen() || (c.side == wire.Server && !c.complete) {
		// RFC 9001, section 5.7: MUST NOT process 1-RTT packets before the handshake is
		// complete.
		c.withoutKeys(now, d, u, packet)
		return
	}
	truncated, n, ok := k.Unprotect(packet, pnOffset)
	if !ok {
		// RFC 9001, section 5.4.2: too short for a sample: MUST be discarded.
		c.drop(now, u, "invalid")
		return
	}
	r := received{kind: wire.PacketOneRTT, packet: packet, pnOffset: pnOffset, pnLen: n, dst: u.dst}
	p := c.pathOf(u.dst)
	r.number = wire.DecodePacketNumber(p.spaces[recovery.SpaceApplication].acks.largest(), truncated, n)
	r.phase = packet[0] >> 2 & 1
	at := pnOffset + n
	before := k.Phase()
	plain, err := k.Open(now, packet[at:at], packet[:at], packet[at:], p.id, r.number, r.phase)
	if err != nil {
		if breach, ok := errors.AsType[*wire.TransportError](err); ok {
			c.fail(now, breach)
			return
		}
		c.drop(now, u, "decryption_failure")
		return
	}
	c.opened = true
	if packet[0]&0x18 != 0 {
		// RFC 9000, section 17.3.1: reserved bits that are not 0 MUST be a PROTOCOL_VIOLATION.
		c.fail(now, wire.Errorf(wire.ProtocolViolation, "reserved bits are set in a 1-RTT packet"))
		return
	}
	if k.Phase() != before {
		c.tracePeerKeyUpdate(now)
	}
	if c.side == wire.Server && c.keys.earlyOpen != nil && c.keys.earlyUntil == 0 {
		// RFC 9001, section 4.9.3: 0-RTT keys MUST go a short time (here 3 PTO) after 1-RTT
		// began.
		c.keys.earlyUntil = now.Add(3 * c.pto())
	}
	r.payload = plain
	switch p.state {
	case PathClosing:
		if p.det == nil { // it was given up before it was used: nothing is kept of it
			c.drop(now, u, "general")
			return
		}
	case PathUnused:
		if !c.peerOpens(now, p, tuple{d.Local, d.Remote}, wire.ByteCount(len(d.Data))) {
			c.drop(now, u, "general")
			return
		}
	}
	c.handlePacket(now, p, d, &r)
}

// HandleReset says that a datagram that no connection ID claimed ended with one of
// the peer's stateless reset tokens: the Endpoint found it.
func (c *Conn) HandleReset(now clock.Time) {
	if c.state < stateDraining {
		c.end(now, ErrStatelessReset, stateDraining)
	}
}

// withoutKeys keeps a packet whose keys are still to come and drops one whose keys
// are gone.
func (c *Conn) withoutKeys(now clock.Time, d *Datagram, u unread, packet []byte) {
	t := u.kind
	gone := t == wire.PacketInitial || c.path0.spaces[spaceOf(t)].discarded ||
		(t == wire.PacketZeroRTT && c.complete) || (t == wire.PacketHandshake && c.confirmed)
	if gone {
		c.drop(now, u, "key_unavailable")
		return
	}
	c.keepWaiting(t, packet, d)
}

// received is a packet that was opened.
type received struct {
	kind     wire.PacketType
	packet   []byte // all of it, header protection off
	pnOffset int
	pnLen    int
	number   wire.PacketNumber
	phase    uint8
	dst, src wire.ConnID
	payload  []byte
}

// handlePacket goes through the frames of a packet and settles what follows from it.
func (c *Conn) handlePacket(now clock.Time, p *path, d *Datagram, r *received) {
	sp := spaceOf(r.kind)
	s := &p.spaces[sp]
	if s.acks.duplicate(r.number) {
		// RFC 9000, section 12.3: MUST discard a packet number seen before.
		c.drop(now, unread{kind: r.kind, dst: r.dst, src: r.src, number: r.number, numbered: true, size: len(r.packet)}, "duplicate")
		return
	}
	if len(r.payload) == 0 {
		// Section 12.4: a packet without frames MUST be a PROTOCOL_VIOLATION.
		c.fail(now, wire.Errorf(wire.ProtocolViolation, "a %v packet without frames", r.kind))
		return
	}
	newest := r.number > s.acks.largest()
	p.receivedPackets++
	c.traceReceived(now, p, d, r)
	at := tuple{d.Local, d.Remote}
	if r.kind == wire.PacketOneRTT && p.state != PathClosing && at != p.tuple {
		p.heardFrom(at, wire.ByteCount(len(d.Data)))
	}
	outcome, err := c.handleFrames(now, p, d, r)
	if c.state != stateActive {
		return
	}
	if err != nil {
		c.fail(now, err)
		return
	}
	if !s.discarded { // the packet itself may have ended its space
		s.acks.receive(now, r.number, outcome.eliciting, d.ECN)
	}
	c.idle.received(now)
	if r.kind == wire.PacketOneRTT && p.state != PathClosing {
		if at != p.tuple {
			c.arrivedFrom(now, p, at, r.dst, outcome.nonProbing && newest)
		}
		if at == p.tuple && newest {
			p.usedID = r.dst
		}
	}
	if len(c.waiting) > 0 {
		c.retryWaiting(now)
	}
}

// unread is what is known of a packet that is dropped. Without connection IDs its
// kind is not known either, unless it is 1-RTT.
type unread struct {
	kind     wire.PacketType
	dst, src wire.ConnID
	number   wire.PacketNumber
	numbered bool // number is known
	size     int
}

func unreadLong(h *wire.LongHeader, size int) unread {
	return unread{kind: h.Type, dst: h.DstID, src: h.SrcID, size: size}
}

// drop counts a packet that is ignored, as the RFC asks. why is one of the draft's
// triggers (draft-ietf-quic-qlog-quic-events, packet_dropped).
func (c *Conn) drop(now clock.Time, u unread, why string) {
	c.stats.droppedPackets++
	c.traceDropped(now, u, why)
}

// fail closes the connection for a breach of the protocol or a failure of ours.
func (c *Conn) fail(now clock.Time, err error) {
	breach, ok := errors.AsType[*wire.TransportError](err)
	if !ok {
		breach = wire.Errorf(wire.InternalError, "%v", err)
	}
	c.closeTransport(now, breach)
}
