package proto

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// RFC 9000, section 7.3: connection IDs in the transport parameters MUST be those of the
// handshake; section 18.2: what else MUST be a TRANSPORT_PARAMETER_ERROR.
func TestPeerParametersAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name   string
		side   wire.Perspective
		change func(p *wire.TransportParameters)
		want   wire.ErrorCode
	}{
		{"as they are", wire.Client, func(*wire.TransportParameters) {}, wire.NoError},
		{"no initial_source_connection_id", wire.Client, func(p *wire.TransportParameters) { p.HasInitialSrcID = false }, wire.TransportParameterError},
		{"another initial_source_connection_id", wire.Client, func(p *wire.TransportParameters) { p.InitialSrcID = someID(1) }, wire.TransportParameterError},
		{"no original_destination_connection_id", wire.Client, func(p *wire.TransportParameters) { p.HasOriginalDstID = false }, wire.TransportParameterError},
		{"another original_destination_connection_id", wire.Client, func(p *wire.TransportParameters) { p.OriginalDstID = someID(1) }, wire.TransportParameterError},
		{"retry_source_connection_id without a Retry", wire.Client, func(p *wire.TransportParameters) { p.HasRetrySrcID = true }, wire.TransportParameterError},
		{"as they are, server", wire.Server, func(*wire.TransportParameters) {}, wire.NoError},
		{"another initial_source_connection_id, server", wire.Server, func(p *wire.TransportParameters) { p.InitialSrcID = someID(1) }, wire.TransportParameterError},
		{"a small max_udp_payload_size", wire.Client, func(p *wire.TransportParameters) { p.MaxUDPPayload = 1199 }, wire.TransportParameterError},
		{"a preferred address", wire.Client, func(p *wire.TransportParameters) {
			p.HasPreferredAddress, p.PreferredAddress = true, wire.PreferredAddress{IPv4: stranger, ID: someID(1)}
		}, wire.NoError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, tt.side, greeted, pairConfig{})
			if tt.side == wire.Client {
				s.sendsIn(wire.PacketInitial, wire.Ping{}) // it takes the server's ID
			}
			p := s.real.local
			tt.change(&p)
			got := wire.NoError
			if err, ok := errors.AsType[*wire.TransportError](s.conn.setPeerParameters(s.now(), p.Append(nil, tt.side.Peer()))); ok {
				got = err.Code
			}
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			// RFC 9000, section 5.1.1: the ID of a preferred address has sequence number 1.
			if spare := s.conn.path0.peer.spare; p.HasPreferredAddress && (len(spare) != 1 || spare[0].seq != 1 || spare[0].id != someID(1)) {
				t.Errorf("spare IDs: %+v", spare)
			}
		})
	}
	// Section 18.2: a server without connection IDs MUST NOT have a preferred address.
	if err := checkPreferred(&wire.TransportParameters{HasInitialSrcID: true, HasPreferredAddress: true}); err == nil {
		t.Error("a preferred address of a server without connection IDs passed")
	}
}

// RFC 9000, section 7.4.1: a server that accepts 0-RTT MUST NOT reduce what it allowed.
func TestAcceptedEarlyDataReducesNoLimit(t *testing.T) {
	for _, reduced := range []bool{false, true} {
		p := newPair(t, pairConfig{client: Config{EarlyData: true}, server: Config{EarlyData: true}})
		p.handshake()
		p.idle(100 * time.Millisecond)
		cfg := p.client().cfg
		p.client().Close(p.now, 0, "")
		p.idle(time.Second)
		p.dial(cfg, nil)
		if reduced {
			p.client().peer.InitialMaxStreamsUni++ // as if the server had allowed more
		}
		p.run(time.Second, func() bool { return p.client().complete || p.client().err != nil })
		got, ok := errors.AsType[*wire.TransportError](p.client().err)
		if reduced != (ok && got.Code == wire.ProtocolViolation) {
			t.Errorf("reduced %v: ended with %v", reduced, p.client().err)
		}
	}
}

// Section 7.4.1: each of the limits that MUST NOT be reduced.
func TestReducedLimits(t *testing.T) {
	for name, limit := range map[string]func(p *wire.TransportParameters) *uint64{
		"initial_max_data":                    func(p *wire.TransportParameters) *uint64 { return &p.InitialMaxData },
		"initial_max_stream_data_bidi_local":  func(p *wire.TransportParameters) *uint64 { return &p.InitialMaxStreamDataBidiLocal },
		"initial_max_stream_data_bidi_remote": func(p *wire.TransportParameters) *uint64 { return &p.InitialMaxStreamDataBidiRemote },
		"initial_max_stream_data_uni":         func(p *wire.TransportParameters) *uint64 { return &p.InitialMaxStreamDataUni },
		"initial_max_streams_bidi":            func(p *wire.TransportParameters) *uint64 { return &p.InitialMaxStreamsBidi },
		"initial_max_streams_uni":             func(p *wire.TransportParameters) *uint64 { return &p.InitialMaxStreamsUni },
		"active_connection_id_limit":          func(p *wire.TransportParameters) *uint64 { return &p.ActiveConnectionIDLimit },
		"max_datagram_frame_size":             func(p *wire.TransportParameters) *uint64 { return &p.MaxDatagramFrame },
	} {
		for change, want := range map[int]bool{-1: true, 0: false, 1: false} {
			var old, now wire.TransportParameters
			*limit(&old) = 100
			*limit(&now) = uint64(100 + change)
			if got := checkNotReduced(&old, &now) != nil; got != want {
				t.Errorf("%s by %d: refused %v, want %v", name, change, got, want)
			}
		}
	}
}

// RFC 9000, section 7.4.1: of the remembered parameters a client MUST NOT use those that
// are about the old connection: delays of acknowledgments, connection IDs, the stateless
// reset token, the preferred address.
func TestRememberedParametersAreLimits(t *testing.T) {
	_, clientTLS := testTLS(t)
	e, err := NewEndpoint(EndpointConfig{Random: seeded(1)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Dial(clock.Time(time.Second), Config{TLS: clientTLS, EarlyData: true}, clientAddr, serverAddr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(clock.Time(time.Second), 0, "")
	pto, id := c.path0.det.PTO(recovery.SpaceApplication), c.path0.peer.current()
	p := wire.DefaultTransportParameters()
	p.InitialMaxData, p.MaxAckDelay, p.AckDelayExponent = 1000, 10*time.Second, 20
	p.HasInitialSrcID, p.InitialSrcID, p.HasOriginalDstID, p.OriginalDstID = true, someID(1), true, someID(2)
	p.HasResetToken, p.ResetToken = true, wire.ResetToken{1}
	p.HasPreferredAddress, p.PreferredAddress.ID = true, someID(3)
	c.resume(p.Append(nil, wire.Server))
	c.installSealer(handshake.Event{Level: handshake.LevelEarly})
	if c.streams.credit.limit != 1000 {
		t.Errorf("limit %d, want that of the last connection", c.streams.credit.limit)
	}
	if got := c.path0.det.PTO(recovery.SpaceApplication); got != pto {
		t.Errorf("probe timeout %v, was %v: by the old max_ack_delay", got, pto)
	}
	if c.path0.peer.isResetToken(p.ResetToken) || c.path0.peer.current() != id || len(c.path0.peer.spare) > 0 {
		t.Error("connection IDs or tokens of the last connection are used")
	}
	if c.hasPeer {
		t.Error("the parameters count as the server's of now")
	}
}

// What the peer says of itself holds from then on.
func TestPeerParametersAreApplied(t *testing.T) {
	s := newScripted(t, wire.Client, greeted, pairConfig{})
	s.sendsIn(wire.PacketInitial, wire.Ping{}) // it takes the server's ID
	p, before := s.real.local, s.conn.pto()
	p.MaxAckDelay += 100 * time.Millisecond
	p.MaxUDPPayload = 1300
	if err := s.conn.setPeerParameters(s.now(), p.Append(nil, wire.Server)); err != nil {
		t.Fatal(err)
	}
	if got, want := s.conn.pto(), before+p.MaxAckDelay-recovery.DefaultMaxAckDelay; got != want {
		t.Errorf("probe timeout %v, want %v", got, want)
	}
	if n := s.conn.path0.mtu.limit; n != 1300 {
		t.Errorf("packets of up to %d bytes, want 1300", n)
	}
}

// Once the handshake is confirmed, the ID that the client chose leads nowhere.
func TestClientsFirstIDIsForgotten(t *testing.T) {
	p := newPair(t, pairConfig{})
	p.run(time.Second, func() bool { return p.server() != nil })
	e, id := p.ends[wire.Server].endpoint, p.server().originalID
	if e.routes[id] == nil {
		t.Fatal("it leads nowhere during the handshake")
	}
	p.handshake()
	if e.routes[id] != nil {
		t.Error("it leads to the connection for ever")
	}
}

// RFC 9001, section 8.2: without the peer's transport parameters the handshake MUST end
// with missing_extension.
func TestNoTransportParameters(t *testing.T) {
	s := newScripted(t, wire.Client, greeted, pairConfig{})
	err := s.conn.completeHandshake(s.now())
	if got, ok := errors.AsType[*wire.TransportError](err); !ok || got.Code != 0x16d {
		t.Errorf("got %v, want missing_extension", err)
	}
	if s.conn.complete {
		t.Error("the handshake is complete")
	}
}

// retry returns a Retry packet for the client under test.
func (s *scripted) retry(token []byte, src wire.ConnID) []byte {
	b := wire.AppendRetry(nil, wire.LongHeader{Version: wire.Version1, DstID: s.dst, SrcID: src, Token: token})
	tag := handshake.RetryTag(s.conn.originalID, b)
	return append(b, tag[:]...)
}

// RFC 9000, sections 17.2.5.1 and 17.2.5.2: which Retry packets a client MUST discard.
func TestRetryIsTakenOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(s *scripted)
		want bool
	}{
		{"fine", func(s *scripted) { s.sendsDatagram(s.retry([]byte("token"), someID(1))) }, true},
		{"bad tag", func(s *scripted) {
			b := s.retry([]byte("token"), someID(1))
			b[len(b)-1] ^= 1
			s.sendsDatagram(b)
		}, false},
		{"no token", func(s *scripted) { s.sendsDatagram(s.retry(nil, someID(1))) }, false},
		{"the client's own choice", func(s *scripted) { s.sendsDatagram(s.retry([]byte("token"), s.conn.originalID)) }, false},
		{"after a packet", func(s *scripted) {
			s.sendsIn(wire.PacketInitial, wire.Ping{})
			s.sendsDatagram(s.retry([]byte("token"), someID(1)))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, wire.Client, greeted, pairConfig{})
			next, sent := s.conn.path0.spaces[recovery.SpaceInitial].next, s.conn.path0.det.Eliciting(recovery.SpaceInitial)
			hello := slices.Clone(s.conn.path0.spaces[recovery.SpaceInitial].crypto.out)
			tt.send(s)
			if s.conn.retried != tt.want {
				t.Fatalf("retried %v, want %v", s.conn.retried, tt.want)
			}
			if !tt.want {
				return
			}
			// Section 17.2.5.2: its source ID MUST be the destination; section 8.1.2: the token
			// MUST be repeated; 17.2.5.3: packet numbers MUST NOT be reset, nor the hello changed.
			s.sendsDatagram(s.retry([]byte("another"), someID(2)))
			if string(s.conn.token) != "token" || s.conn.path0.peer.current() != someID(1) {
				t.Errorf("token %q to %v: a second Retry was taken", s.conn.token, s.conn.path0.peer.current())
			}
			if s.conn.path0.spaces[recovery.SpaceInitial].next <= next {
				t.Error("packet numbers begin anew")
			}
			if n := s.conn.path0.det.Eliciting(recovery.SpaceInitial); n != sent {
				t.Errorf("%d Initial packets are in flight, want %d: those before the Retry count no more", n, sent)
			}
			if !slices.Equal(hello, s.conn.path0.spaces[recovery.SpaceInitial].crypto.out) {
				t.Error("the hello changed")
			}
		})
	}
}

// RFC 9000, section 6.2: a client that speaks one version MUST give up on a Version
// Negotiation packet, but for those that it MUST discard. RFC 8999, section 6.
func TestVersionNegotiationEndsTheAttempt(t *testing.T) {
	other := []wire.Version{0xbabecafe, 0x0a0a0a0a}
	for _, tt := range []struct {
		name string
		send func(s *scripted)
		want bool
	}{
		{"none of ours", func(s *scripted) {
			s.sendsDatagram(wire.AppendVersionNegotiation(nil, s.dst.Bytes(), s.conn.originalID.Bytes(), other, 0))
		}, true},
		{"ours among them", func(s *scripted) {
			s.sendsDatagram(wire.AppendVersionNegotiation(nil, s.dst.Bytes(), s.conn.originalID.Bytes(), append(other, wire.Version1), 0))
		}, false},
		{"after a packet", func(s *scripted) {
			s.sendsIn(wire.PacketInitial, wire.Ping{})
			s.sendsDatagram(wire.AppendVersionNegotiation(nil, s.dst.Bytes(), s.conn.originalID.Bytes(), other, 0))
		}, false},
		{"after a Retry", func(s *scripted) {
			s.sendsDatagram(s.retry([]byte("token"), someID(1)))
			id := someID(1)
			s.sendsDatagram(wire.AppendVersionNegotiation(nil, s.dst.Bytes(), id.Bytes(), other, 0))
		}, false},
		{"to another ID", func(s *scripted) {
			id := someID(1)
			s.sendsDatagram(wire.AppendVersionNegotiation(nil, id.Bytes(), s.conn.originalID.Bytes(), other, 0))
		}, false},
		{"for other IDs", func(s *scripted) {
			id := someID(1)
			s.sendsDatagram(wire.AppendVersionNegotiation(nil, s.dst.Bytes(), id.Bytes(), other, 0))
		}, false},
		{"no version", func(s *scripted) {
			s.sendsDatagram(wire.AppendVersionNegotiation(nil, s.dst.Bytes(), s.conn.originalID.Bytes(), nil, 0))
		}, false},
		{"half a version", func(s *scripted) {
			s.sendsDatagram(append(wire.AppendVersionNegotiation(nil, s.dst.Bytes(), s.conn.originalID.Bytes(), other, 0), 1, 2))
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, wire.Client, greeted, pairConfig{})
			tt.send(s)
			_, got := errors.AsType[*VersionError](s.conn.err)
			if got != tt.want || (s.conn.err != nil && !got) {
				t.Errorf("ended with %v, want it to give up: %v", s.conn.err, tt.want)
			}
		})
	}
}

// RFC 9001, section 4.1.3: new CRYPTO data of a level that is over MUST be a
// PROTOCOL_VIOLATION.
func TestCryptoDataOfAnEarlierLevel(t *testing.T) {
	s := newScripted(t, wire.Server, greeted, pairConfig{})
	s.sendsIn(wire.PacketInitial, wire.Crypto{Offset: s.conn.path0.spaces[recovery.SpaceInitial].crypto.read, Data: []byte{1}})
	s.wantClose(wire.ProtocolViolation)
}

// RFC 9000, section 7.5: 4096 bytes of CRYPTO data out of order MUST be kept.
func TestCryptoDataOutOfOrder(t *testing.T) {
	var c cryptoStream
	data := make([]byte, 4096)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for at := len(data) - 64; at > 0; at -= 64 {
		if got, err := c.receive(wire.Crypto{Offset: uint64(at), Data: data[at : at+64]}); err != nil || len(got) > 0 {
			t.Fatalf("at %d: %d bytes, %v", at, len(got), err)
		}
	}
	if got, err := c.receive(wire.Crypto{Data: data[:64]}); err != nil || !slices.Equal(got, data) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
}

// RFC 9001, section 4.9.3: a server MUST discard 0-RTT keys a short time after 1-RTT began.
func TestEarlyKeysGo(t *testing.T) {
	p := newPair(t, pairConfig{client: Config{EarlyData: true}, server: Config{EarlyData: true}})
	p.handshake()
	p.idle(100 * time.Millisecond)
	cfg := p.client().cfg
	p.client().Close(p.now, 0, "")
	p.idle(time.Second)
	p.dial(cfg, nil)
	x := newTransfer(p, wire.Client, 1, 1000)
	p.run(time.Second, x.done)
	if p.server().keys.earlyOpen == nil || p.client().keys.earlySeal == nil {
		t.Fatal("there are no 0-RTT keys")
	}
	p.handshake()
	p.idle(5 * time.Second)
	if p.server().keys.earlyOpen != nil || p.client().keys.earlySeal != nil {
		t.Error("0-RTT keys are still there")
	}
}

// RFC 9001, section 4.1.3: CRYPTO data left over when the next level's keys come MUST be a
// PROTOCOL_VIOLATION.
func TestCryptoBehindTheLastMessage(t *testing.T) {
	s := newScripted(t, wire.Client, greeted, pairConfig{})
	s.sendsIn(wire.PacketInitial, wire.Crypto{Offset: 5000, Data: []byte{1}})
	s.wantFine()
	s.sendsIn(wire.PacketInitial, wire.Crypto{Data: s.real.path0.spaces[recovery.SpaceInitial].crypto.out})
	s.wantClose(wire.ProtocolViolation)
}

// RFC 9000, section 19.6: a CRYPTO frame may be empty, and stand ahead of what is missing.
// It adds nothing, here behind the ticket that a client has read.
func TestEmptyCryptoAheadOfAGap(t *testing.T) {
	s := newScripted(t, wire.Client, confirmed, pairConfig{})
	if s.conn.path0.spaces[recovery.SpaceApplication].crypto.read == 0 {
		t.Fatal("the client has read nothing: the test shows nothing")
	}
	s.sends(wire.Crypto{Offset: 1280})
	s.wantFine()
}
