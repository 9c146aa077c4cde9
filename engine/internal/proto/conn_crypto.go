package proto

import (
	"bytes"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// startTLS begins the handshake.
func (c *Conn) startTLS(now clock.Time) error {
	t, err := handshake.New(handshake.Config{
		TLS: c.cfg.TLS, Side: c.side, Parameters: c.local.Append(nil, c.side),
		Early: c.cfg.EarlyData, TicketData: c.remembered(),
	})
	if err != nil {
		return err
	}
	c.tls = t
	if err := t.Start(); err != nil {
		return err
	}
	return c.pumpTLS(now)
}

// remembered is what a server's ticket holds and a later connection is compared
// with: the limits that a client may use in 0-RTT (RFC 9000, section 7.4.1).
func (c *Conn) remembered() []byte {
	if c.side == wire.Client {
		return nil
	}
	p := c.cfg.parameters()
	// draft-ietf-quic-multipath-21, section 2.1: initial_max_path_id MUST NOT be remembered.
	p.HasMultipath, p.InitialMaxPathID = false, 0
	// draft-ietf-quic-ack-frequency, section 3: min_ack_delay MUST NOT be remembered.
	p.HasMinAckDelay, p.MinAckDelay = false, 0
	return p.Append(nil, wire.Server)
}

// handleCrypto takes a CRYPTO frame.
func (c *Conn) handleCrypto(now clock.Time, t wire.PacketType, f wire.Crypto) error {
	level := levelOf(t)
	s := &c.path0.spaces[spaceOf(t)].crypto
	data, err := s.receive(f)
	if err != nil || len(data) == 0 {
		return err
	}
	if err := c.tls.HandleCrypto(level, data); err != nil {
		return err
	}
	return c.pumpTLS(now)
}

// pumpTLS does what TLS asks for.
func (c *Conn) pumpTLS(now clock.Time) error {
	for {
		e, ok := c.tls.NextEvent()
		if !ok {
			break
		}
		if err := c.handleTLS(now, e); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) handleTLS(now clock.Time, e handshake.Event) error {
	switch e.Kind {
	case handshake.EventCrypto:
		c.path0.spaces[spaceOfLevel(e.Level)].crypto.write(e.Data)
	case handshake.EventSealer:
		c.installSealer(e)
	case handshake.EventOpener:
		c.installOpener(e)
		if e.Level == handshake.LevelHandshake {
			return c.noLeftover(recovery.SpaceInitial)
		}
	case handshake.EventOneRTT:
		c.keys.oneRTT = e.OneRTT
		c.keys.earlySeal = nil // RFC 9001, section 4.9.3: a client drops 0-RTT keys now
	case handshake.EventOneRTTOpen: // CanOpen says so from now on
		return c.noLeftover(recovery.SpaceHandshake)
	case handshake.EventParameters:
		return c.setPeerParameters(now, e.Data)
	case handshake.EventResumed:
		c.resume(e.Data)
	case handshake.EventEarlyAccepted:
		c.early = earlyAccepted
		c.emit(Event{Kind: EarlyAccepted})
		return c.reduced // TLS says so after the parameters
	case handshake.EventEarlyRejected:
		c.rejectEarly()
	case handshake.EventComplete:
		return c.completeHandshake(now)
	}
	return nil
}

// noLeftover: when keys of the next level come, a level's CRYPTO data must be at its
// end. RFC 9001, section 4.1.3: data left over MUST be a PROTOCOL_VIOLATION.
func (c *Conn) noLeftover(sp recovery.Space) error {
	s := &c.path0.spaces[sp]
	if s.discarded || s.crypto.have.len() == 0 {
		return nil
	}
	return &wire.TransportError{Code: wire.ProtocolViolation, Frame: wire.TypeCrypto, Reason: "data behind the last message of its level"}
}

func (c *Conn) installSealer(e handshake.Event) {
	switch e.Level {
	case handshake.LevelEarly:
		c.keys.earlySeal = e.Sealer
		c.early = earlyOffered
		c.streams.setPeerLimits(&c.peer)
		c.datagrams.setPeerMax(wire.ByteCount(c.peer.MaxDatagramFrame))
	case handshake.LevelHandshake:
		c.keys.handshakeSeal = e.Sealer
		c.path0.det.HandshakeKeysAvailable()
	}
}

func (c *Conn) installOpener(e handshake.Event) {
	switch e.Level {
	case handshake.LevelEarly:
		c.keys.earlyOpen = e.Opener
	case handshake.LevelHandshake:
		c.keys.handshakeOpen = e.Opener
	}
}

// resume takes the server's parameters of the last connection, for 0-RTT. Only its
// limits are used. RFC 9000, section 7.4.1: what else they say is of the old connection
// and MUST NOT be used.
func (c *Conn) resume(data []byte) {
	if c.side == wire.Server || c.hasPeer || !c.cfg.EarlyData {
		return
	}
	p, err := wire.ParseTransportParameters(data, wire.Server)
	if err != nil {
		return // 0-RTT then has no credit and sends nothing
	}
	// draft-ietf-quic-multipath-21, section 2.1: initial_max_path_id MUST NOT be remembered.
	p.HasMultipath, p.InitialMaxPathID = false, 0
	// draft-ietf-quic-ack-frequency, section 3: min_ack_delay MUST NOT be remembered.
	p.HasMinAckDelay, p.MinAckDelay = false, 0
	c.peer = p
}

// rejectEarly: the server did not take the 0-RTT data. Packets in flight count as
// never sent, their data as never written. RFC 9001, section 4.6.2: the state of all
// streams MUST be reset.
func (c *Conn) rejectEarly() {
	c.early = earlyRejected
	c.keys.earlySeal = nil
	c.forgetSent(recovery.SpaceApplication)
	c.streams.earlyRejected()
	c.emit(Event{Kind: EarlyRejected})
}

// forgetSent takes all packets of a space out of flight. Their numbers stay used.
func (c *Conn) forgetSent(sp recovery.Space) {
	c.outcome.Reset()
	c.path0.det.Discard(sp, &c.outcome)
	c.path0.spaces[sp].log.forget(c.path0.spaces[sp].log.next)
}

// setPeerParameters takes and checks what the peer says of itself.
func (c *Conn) setPeerParameters(now clock.Time, data []byte) error {
	p, err := wire.ParseTransportParameters(data, c.side.Peer())
	if err != nil {
		return err
	}
	if err := c.checkPeerIDs(&p); err != nil {
		return err
	}
	if err := checkPreferred(&p); err != nil {
		return err
	}
	if p.HasMultipath && c.local.HasMultipath && c.peerID.Len() == 0 {
		// draft-ietf-quic-multipath-21, section 2.1: initial_max_path_id of who has zero-length
		// connection IDs MUST be a PROTOCOL_VIOLATION.
		return wire.Errorf(wire.ProtocolViolation, "multipath without connection IDs")
	}
	if c.early == earlyOffered {
		c.reduced = checkNotReduced(&c.peer, &p)
	}
	c.peer, c.hasPeer = p, true
	c.tracePeerParameters(now)
	c.streams.setPeerLimits(&c.peer)
	c.datagrams.setPeerMax(wire.ByteCount(p.MaxDatagramFrame))
	c.idle.setPeer(p.MaxIdleTimeout)
	c.setAckDelay(p.MaxAckDelay)
	c.path0.mtu.setPeerMax(p.MaxUDPPayload)
	if p.HasResetToken {
		c.path0.peer.setResetToken(p.ResetToken)
	}
	if a := &p.PreferredAddress; p.HasPreferredAddress {
		// RFC 9000, section 5.1.1: its connection ID has the sequence number 1. The address
		// itself is not used.
		return c.path0.peer.handleNew(wire.NewConnectionID{Sequence: 1, ID: a.ID, Token: a.Token})
	}
	return nil
}

// checkPreferred: RFC 9000, section 18.2: a server without connection IDs MUST NOT have
// a preferred address, a client MUST treat it as a TRANSPORT_PARAMETER_ERROR.
func checkPreferred(p *wire.TransportParameters) error {
	if p.HasPreferredAddress && p.InitialSrcID.Len() == 0 {
		return wire.Errorf(wire.TransportParameterError, "a preferred address of a server without connection IDs")
	}
	return nil
}

// checkPeerIDs authenticates the connection IDs of the handshake (RFC 9000, section
// 7.3: each MUST equal what was seen).
func (c *Conn) checkPeerIDs(p *wire.TransportParameters) error {
	if !p.HasInitialSrcID || p.InitialSrcID != c.peerID {
		return wire.Errorf(wire.TransportParameterError, "initial_source_connection_id is not the one of its packets")
	}
	if c.side == wire.Server {
		return nil
	}
	if !p.HasOriginalDstID || p.OriginalDstID != c.originalID {
		return wire.Errorf(wire.TransportParameterError, "original_destination_connection_id is not that of the first packet")
	}
	if p.HasRetrySrcID != c.retried || p.RetrySrcID != c.retryID {
		return wire.Errorf(wire.TransportParameterError, "retry_source_connection_id does not fit the Retry")
	}
	return nil
}

// checkNotReduced: a server that accepts 0-RTT MUST NOT take back what it allowed
// before (RFC 9000, section 7.4.1).
func checkNotReduced(old, p *wire.TransportParameters) error {
	if p.InitialMaxData < old.InitialMaxData ||
		p.InitialMaxStreamDataBidiLocal < old.InitialMaxStreamDataBidiLocal ||
		p.InitialMaxStreamDataBidiRemote < old.InitialMaxStreamDataBidiRemote ||
		p.InitialMaxStreamDataUni < old.InitialMaxStreamDataUni ||
		p.InitialMaxStreamsBidi < old.InitialMaxStreamsBidi ||
		p.InitialMaxStreamsUni < old.InitialMaxStreamsUni ||
		p.ActiveConnectionIDLimit < old.ActiveConnectionIDLimit ||
		p.MaxDatagramFrame < old.MaxDatagramFrame {
		return wire.Errorf(wire.ProtocolViolation, "the server accepts 0-RTT and reduces a limit that it had allowed")
	}
	return nil
}

// completeHandshake: TLS is done on this side (RFC 9001, section 4.1.1).
func (c *Conn) completeHandshake(now clock.Time) error {
	if !c.hasPeer {
		// RFC 9001, section 8.2: a handshake without them MUST end with missing_extension.
		return wire.Errorf(wire.CryptoError+109, "the peer sent no transport parameters")
	}
	c.complete = true
	c.path0.issued.setPeerLimit(c.peer.ActiveConnectionIDLimit)
	c.startMultipath()
	if c.multi.on {
		c.tracePathState(now, c.path0, c.path0.state.String())
	}
	c.traceALPN(now)
	c.emit(Event{Kind: HandshakeComplete})
	if c.side == wire.Client {
		return nil
	}
	if err := c.tls.SendTicket(); err != nil {
		return err
	}
	if err := c.pumpTLS(now); err != nil {
		return err
	}
	c.proved(now, c.path0.tuple.remote.Addr())
	c.doneWanted = true
	c.confirm(now)
	return nil
}

// confirm: both sides are known to be done (RFC 9001, section 4.1.2).
func (c *Conn) confirm(now clock.Time) {
	if c.confirmed || !c.complete {
		return
	}
	c.confirmed = true
	c.discard(now, recovery.SpaceInitial)
	c.discard(now, recovery.SpaceHandshake)
	c.path0.det.HandshakeConfirmed()
	c.path0.issued.dropExtra()
	c.keys.oneRTT.Confirmed()
	c.handshakeBy = clock.Never
	c.emit(Event{Kind: HandshakeConfirmed})
}

// handleRetry starts again with the server's token.
func (c *Conn) handleRetry(h *wire.LongHeader, packet []byte) {
	// RFC 9000, section 17.2.5.2: a client MUST accept one Retry only, none after a packet
	// of the server, and only with a token and an intact tag.
	if c.side == wire.Server || c.retried || c.hasPeerID || len(h.Token) == 0 ||
		h.SrcID == c.path0.peer.current() || !handshake.CheckRetry(c.originalID, packet) {
		return
	}
	c.retried, c.retryID = true, h.SrcID
	c.token = bytes.Clone(h.Token)
	c.path0.peer.setFirst(h.SrcID)
	c.installInitialKeys(h.SrcID)
	c.forgetSent(recovery.SpaceInitial)
	c.path0.spaces[recovery.SpaceInitial].crypto.restart()
	if c.early == earlyOffered {
		// 0-RTT packets went with the Initial that was refused: all of them again.
		c.forgetSent(recovery.SpaceApplication)
		c.streams.earlyRejected()
		c.streams.setPeerLimits(&c.peer)
	}
}

// VersionError is why a client gave up: the server speaks none of its versions.
type VersionError struct {
	Offered []wire.Version // by the server
}

// handleVersionNegotiation gives up, as there is one version only (RFC 9000, section
// 6.2: MUST discard it when any other packet came, or when it lists our version).
func (c *Conn) handleVersionNegotiation(now clock.Time, h *wire.LongHeader, packet []byte) {
	if c.side == wire.Server || c.hasPeerID || c.retried ||
		h.SrcID != c.path0.peer.current() || h.DstID != c.local.InitialSrcID {
		return
	}
	var offered []wire.Version
	for _, v := range wire.ParseVersions(packet) {
		if v == wire.Version1 {
			return
		}
		offered = append(offered, v)
	}
	if len(offered) == 0 {
		return // RFC 8999, section 6: a list that is empty or cut short MUST be ignored
	}
	c.tracePeerVersions(now, offered)
	c.end(now, &VersionError{Offered: offered}, stateDrained)
}
