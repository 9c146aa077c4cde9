package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// frameOutcome is what a packet's frames say of the packet.
type frameOutcome struct {
	eliciting  bool
	nonProbing bool
}

// handleFrames takes the frames of a packet one by one. The first that is wrong
// ends it.
func (c *Conn) handleFrames(now clock.Time, p *path, d *Datagram, r *received) (frameOutcome, error) {
	var out frameOutcome
	for b := r.payload; len(b) > 0; {
		if b[0] == 0 {
			b = b[wire.SkipPadding(b):]
			continue
		}
		t, n, err := wire.ParseFrameType(b)
		if err != nil {
			return out, err
		}
		b = b[n:]
		if err := allowed(t, r.kind, c.extensions()); err != nil {
			return out, err
		}
		out.eliciting = out.eliciting || t.AckEliciting()
		out.nonProbing = out.nonProbing || !t.Probing()
		n, err = c.handleFrame(now, p, d, r, t, b)
		if err != nil {
			return out, inFrame(err, t)
		}
		if c.state != stateActive {
			return out, nil
		}
		b = b[n:]
	}
	return out, nil
}

// inFrame notes in a breach which frame it was in, unless it says so.
func inFrame(err error, t wire.FrameType) error {
	if breach, ok := err.(*wire.TransportError); ok && breach.Frame == 0 {
		breach.Frame = t
	}
	return err
}

// extensions are those that this side has, as far as frames go.
type extensions struct {
	multipath, multipathOffered bool // of both sides; of this one
	ackFrequency                bool // of this one
}

func (c *Conn) extensions() extensions {
	return extensions{multipath: c.multi.on, multipathOffered: c.local.HasMultipath, ackFrequency: c.local.HasMinAckDelay}
}

// allowed holds the table of RFC 9000, section 12.4: a frame in a packet type that
// does not permit it MUST be a PROTOCOL_VIOLATION, an unknown one a
// FRAME_ENCODING_ERROR.
func allowed(t wire.FrameType, kind wire.PacketType, x extensions) error {
	ok := true
	ofAcks := t == wire.TypeAckFrequency || t == wire.TypeImmediateAck
	ofPaths := (t >= wire.TypePathAck && t <= wire.TypePathAckECN) || (t >= wire.TypePathAbandon && t <= wire.TypePathCIDsBlocked)
	switch kind {
	case wire.PacketInitial, wire.PacketHandshake:
		switch t {
		case wire.TypePing, wire.TypeAck, wire.TypeAckECN, wire.TypeCrypto, wire.TypeCloseTransport:
		default:
			ok = false
		}
	case wire.PacketZeroRTT:
		switch t {
		case wire.TypeAck, wire.TypeAckECN, wire.TypeCrypto, wire.TypeHandshakeDone, wire.TypeNewToken,
			wire.TypePathResponse, wire.TypeRetireConnectionID,
			// draft-ietf-quic-ack-frequency, section 3: these cannot be in 0-RTT packets.
			wire.TypeAckFrequency, wire.TypeImmediateAck:
			ok = false
		}
	}
	// draft-ietf-quic-multipath-21, section 4: a frame of the extension in another packet
	// type than 1-RTT MUST be a PROTOCOL_VIOLATION. In the handshake it is not known yet
	// whether the peer has the extension.
	early := ofPaths && x.multipathOffered && kind != wire.PacketOneRTT
	ok = ok && !early
	switch {
	case !wire.Known(t) || (ofPaths && !x.multipath && !early) || (ofAcks && !x.ackFrequency):
		// Extensions that were not negotiated are unknown (section 19.21).
		return &wire.TransportError{Code: wire.FrameEncodingError, Frame: t, Reason: "unknown frame type"}
	case !ok:
		return &wire.TransportError{Code: wire.ProtocolViolation, Frame: t, Reason: "not in a " + kind.String() + " packet"}
	}
	return nil
}

// handleFrame takes one frame, whose body b begins with, and returns its length.
func (c *Conn) handleFrame(now clock.Time, p *path, d *Datagram, r *received, t wire.FrameType, b []byte) (int, error) {
	switch {
	case t.IsStream():
		f, n, err := wire.ParseStream(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.streams.handleStream(now, f, d.Buffer)
	case t == wire.TypeAck || t == wire.TypeAckECN:
		f, n, err := wire.ParseAck(t, b)
		if err != nil {
			return 0, err
		}
		// draft-ietf-quic-multipath-21, section 2.3: an ACK frame is of path 0, and MUST still
		// be processed after the handshake.
		if c.pathByID(0) == nil {
			return n, nil // it is over
		}
		return n, c.handleAck(now, c.path0, r.kind, &f)
	case t == wire.TypePing:
		return 0, nil
	case t == wire.TypeCrypto:
		f, n, err := wire.ParseCrypto(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handleCrypto(now, r.kind, f)
	case t == wire.TypeDatagram || t == wire.TypeDatagramLen:
		f, n, err := wire.ParseDatagram(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.datagrams.receive(f, d.Buffer)
	case t == wire.TypeCloseTransport || t == wire.TypeCloseApplication:
		f, n, err := wire.ParseConnectionClose(t, b)
		if err != nil {
			return 0, err
		}
		c.peerClosed(now, f)
		return n, nil
	case t >= wire.TypeNewConnectionID && t <= wire.TypePathResponse:
		return c.handlePathFrame(now, p, d, r, t, b)
	}
	if (t >= wire.TypePathAbandon && t <= wire.TypePathCIDsBlocked) || t == wire.TypePathAck || t == wire.TypePathAckECN {
		return c.handleMultipathFrame(now, r, t, b)
	}
	if t == wire.TypeAckFrequency || t == wire.TypeImmediateAck {
		return c.handleAckControl(p, t, b)
	}
	return c.handleStreamControl(now, t, b)
}

// handleAckControl takes what the peer wants of acknowledgements: of all paths, or at once
// of the path that it came on.
func (c *Conn) handleAckControl(p *path, t wire.FrameType, b []byte) (int, error) {
	if t == wire.TypeImmediateAck {
		p.spaces[recovery.SpaceApplication].acks.expedite()
		return 0, nil
	}
	f, n, err := wire.ParseAckFrequency(t, b)
	if err != nil {
		return 0, err
	}
	return n, c.handleAckFrequency(f)
}

// handlePathFrame takes the frames about connection IDs and path validation.
func (c *Conn) handlePathFrame(now clock.Time, p *path, d *Datagram, r *received, t wire.FrameType, b []byte) (int, error) {
	switch t {
	case wire.TypeNewConnectionID:
		f, n, err := wire.ParseNewConnectionID(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handlePathNewID(f) // of path 0
	case wire.TypeRetireConnectionID:
		f, n, err := wire.ParseRetireConnectionID(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.handlePathRetire(f, r.dst) // of path 0
	case wire.TypePathChallenge:
		f, n, err := wire.ParsePathChallenge(t, b)
		if err != nil {
			return 0, err
		}
		p.owed.owe(d.Local, d.Remote, f.Data)
		return n, nil
	}
	f, n, err := wire.ParsePathResponse(t, b)
	if err != nil {
		return 0, err
	}
	c.challengeAnswered(now, f.Data)
	return n, nil
}

// handleStreamControl takes the remaining frames: flow control, streams' states,
// HANDSHAKE_DONE and NEW_TOKEN.
func (c *Conn) handleStreamControl(now clock.Time, t wire.FrameType, b []byte) (int, error) {
	switch t {
	case wire.TypeMaxData:
		f, n, err := wire.ParseMaxData(t, b)
		if err != nil {
			return 0, err
		}
		c.streams.handleMaxData(f.Max)
		return n, nil
	case wire.TypeMaxStreamData:
		f, n, err := wire.ParseMaxStreamData(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.streams.handleMaxStreamData(f)
	case wire.TypeMaxStreamsBidi, wire.TypeMaxStreamsUni:
		f, n, err := wire.ParseMaxStreams(t, b)
		if err != nil {
			return 0, err
		}
		c.streams.handleMaxStreams(f)
		return n, nil
	case wire.TypeResetStream:
		f, n, err := wire.ParseResetStream(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.streams.handleResetStream(f)
	case wire.TypeStopSending:
		f, n, err := wire.ParseStopSending(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.streams.handleStopSending(f)
	}
	return c.handleRareFrame(now, t, b)
}

// handleRareFrame takes the frames that say little.
func (c *Conn) handleRareFrame(now clock.Time, t wire.FrameType, b []byte) (int, error) {
	switch t {
	case wire.TypeDataBlocked:
		_, n, err := wire.ParseDataBlocked(t, b)
		return n, err
	case wire.TypeStreamDataBlocked:
		f, n, err := wire.ParseStreamDataBlocked(t, b)
		if err != nil {
			return 0, err
		}
		return n, c.streams.handleStreamDataBlocked(f)
	case wire.TypeStreamsBlockedBidi, wire.TypeStreamsBlockedUni:
		f, n, err := wire.ParseStreamsBlocked(t, b)
		if err != nil {
			return 0, err
		}
		c.streams.handleStreamsBlocked(f)
		return n, nil
	case wire.TypeHandshakeDone:
		if c.side == wire.Server {
			// RFC 9000, section 19.20: a server MUST treat it as a PROTOCOL_VIOLATION.
			return 0, wire.Errorf(wire.ProtocolViolation, "a client sent HANDSHAKE_DONE")
		}
		c.confirm(now)
		return 0, nil
	case wire.TypeNewToken:
		f, n, err := wire.ParseNewToken(t, b)
		if err != nil {
			return 0, err
		}
		if c.side == wire.Server {
			// RFC 9000, section 19.7: a server MUST treat it as a PROTOCOL_VIOLATION.
			return 0, wire.Errorf(wire.ProtocolViolation, "a client sent NEW_TOKEN")
		}
		c.emit(Event{Kind: AddressToken, Data: append([]byte(nil), f.Token...)})
		return n, nil
	}
	panic("proto: a frame passed the table and has no handler: " + t.String())
}
