package proto

import (
	"bytes"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// What closes a connection, frame by frame in 1-RTT packets.
func TestFrameThatBreaksTheProtocol(t *testing.T) {
	over := uint64(1 << 40)
	peerUni := func(s *scripted) wire.StreamID { return wire.NewStreamID(s.real.side, wire.Uni, 0) }
	ourUni := func(s *scripted) wire.StreamID { return wire.NewStreamID(s.conn.side, wire.Uni, 0) }
	ours := func(s *scripted) wire.StreamID { return wire.NewStreamID(s.conn.side, wire.Bidi, 7) }
	peers := func(s *scripted) wire.StreamID { return wire.NewStreamID(s.real.side, wire.Bidi, 0) }
	for _, tt := range []struct {
		name  string
		side  wire.Perspective // under test
		frame func(s *scripted) []appender
		want  wire.ErrorCode
	}{
		// RFC 9000, section 12.4: an unknown type MUST be a FRAME_ENCODING_ERROR.
		{"unknown type", wire.Server, one(bytesFrame{0x1f + 0x20}), wire.FrameEncodingError},
		{"unknown long type", wire.Server, one(bytesFrame{0x7f, 0xff}), wire.FrameEncodingError},
		// Section 19.21: extensions that were not negotiated.
		{"PATH_ABANDON", wire.Server, one(wire.PathAbandon{Path: 0}), wire.FrameEncodingError},
		// Section 12.4: a type MUST have its shortest form.
		{"long form of PING", wire.Server, one(bytesFrame{0x40, 0x01}), wire.ProtocolViolation},
		{"frame cut short", wire.Server, one(bytesFrame{byte(wire.TypeMaxStreamData), 0}), wire.FrameEncodingError},
		// Section 12.4: a packet without frames MUST be a PROTOCOL_VIOLATION.
		{"no frame", wire.Server, none, wire.ProtocolViolation},
		// Section 19.20: HANDSHAKE_DONE from a client MUST be a PROTOCOL_VIOLATION.
		{"HANDSHAKE_DONE from a client", wire.Server, one(wire.HandshakeDone{}), wire.ProtocolViolation},
		// Section 19.7: NEW_TOKEN from a client MUST be a PROTOCOL_VIOLATION, an empty one a
		// FRAME_ENCODING_ERROR.
		{"NEW_TOKEN from a client", wire.Server, one(wire.NewToken{Token: []byte{1}}), wire.ProtocolViolation},
		{"empty NEW_TOKEN", wire.Client, one(bytesFrame{byte(wire.TypeNewToken), 0}), wire.FrameEncodingError},
		// Section 19.6: CRYPTO beyond 2^62-1 MUST be a FRAME_ENCODING_ERROR.
		{"CRYPTO beyond the last offset", wire.Server, one(wire.Crypto{Offset: wire.MaxVarint, Data: []byte{1}}), wire.FrameEncodingError},
		// Section 7.5: CRYPTO beyond the buffer MUST be a CRYPTO_BUFFER_EXCEEDED.
		{"CRYPTO beyond the buffer", wire.Server, one(wire.Crypto{Offset: 1 << 20, Data: []byte{1}}), wire.CryptoBufferExceeded},
		// RFC 9001, section 6: a TLS KeyUpdate MUST be error 0x010a.
		{"TLS KeyUpdate", wire.Server, one(wire.Crypto{Data: []byte{24, 0, 0, 1, 0}}), wire.CryptoError + 10},
		// RFC 9000, section 13.1: an acknowledgment of what was not sent.
		{"ACK of the future", wire.Server, one(wire.Ack{Largest: 1 << 30}), wire.ProtocolViolation},
		// Section 19.3.1: a range below 0 MUST be a FRAME_ENCODING_ERROR.
		{"ACK below 0", wire.Server, one(bytesFrame{byte(wire.TypeAck), 0, 0, 0, 1}), wire.FrameEncodingError},
		// Section 4.6: a MAX_STREAMS or STREAMS_BLOCKED above 2^60 MUST be a FRAME_ENCODING_ERROR.
		{"MAX_STREAMS too large", wire.Server, one(wire.MaxStreams{Max: 1<<60 + 1}), wire.FrameEncodingError},
		{"STREAMS_BLOCKED too large", wire.Server, one(wire.StreamsBlocked{Limit: 1<<60 + 1}), wire.FrameEncodingError},
		// Section 4.6: a stream above the limit MUST be a STREAM_LIMIT_ERROR.
		{"one stream too many", wire.Server, func(s *scripted) []appender {
			return []appender{wire.Stream{ID: wire.NewStreamID(s.real.side, wire.Bidi, defaultStreams)}}
		}, wire.StreamLimitError},
		// Section 4.1: data beyond a limit MUST be a FLOW_CONTROL_ERROR.
		{"data beyond the stream's window", wire.Server, func(s *scripted) []appender {
			return []appender{wire.Stream{ID: peers(s), Offset: defaultStreamWindow, Data: []byte{1}}}
		}, wire.FlowControlError},
		{"reset beyond the stream's window", wire.Server, func(s *scripted) []appender {
			return []appender{wire.ResetStream{ID: peers(s), FinalSize: over}}
		}, wire.FlowControlError},
		{"data beyond the connection's window", wire.Server, func(s *scripted) (f []appender) {
			for n := range uint64(3) {
				f = append(f, wire.Stream{ID: wire.NewStreamID(s.real.side, wire.Bidi, n), Offset: defaultStreamWindow - 1, Data: []byte{1}})
			}
			return f
		}, wire.FlowControlError},
		// Section 19.8: an offset above 2^62-1 MUST be an error.
		{"data beyond the last offset", wire.Server, func(s *scripted) []appender {
			return []appender{wire.Stream{ID: peers(s), Offset: wire.MaxVarint, Data: []byte{1}}}
		}, wire.FrameEncodingError},
		// Section 4.5: a final size that changes, or data beyond it: FINAL_SIZE_ERROR.
		{"another final size", wire.Server, func(s *scripted) []appender {
			return []appender{wire.Stream{ID: peers(s), Offset: 10, Fin: true}, wire.ResetStream{ID: peers(s), FinalSize: 11}}
		}, wire.FinalSizeError},
		{"data beyond the end", wire.Server, func(s *scripted) []appender {
			return []appender{wire.Stream{ID: peers(s), Offset: 10, Fin: true}, wire.Stream{ID: peers(s), Offset: 10, Data: []byte{1}}}
		}, wire.FinalSizeError},
		{"an end before the data", wire.Server, func(s *scripted) []appender {
			return []appender{wire.Stream{ID: peers(s), Data: []byte{1, 2}}, wire.Stream{ID: peers(s), Data: []byte{1}, Fin: true}}
		}, wire.FinalSizeError},
		// Sections 19.4, 19.8, 19.13: on a send-only stream MUST be a STREAM_STATE_ERROR.
		{"RESET_STREAM of our stream", wire.Client, func(s *scripted) []appender { return []appender{wire.ResetStream{ID: ourUni(s)}} }, wire.StreamStateError},
		{"STREAM on our stream", wire.Client, func(s *scripted) []appender { return []appender{wire.Stream{ID: ourUni(s)}} }, wire.StreamStateError},
		{"STREAM_DATA_BLOCKED of our stream", wire.Client, func(s *scripted) []appender { return []appender{wire.StreamDataBlocked{ID: ourUni(s)}} }, wire.StreamStateError},
		// Sections 19.5, 19.10: on a receive-only stream MUST be a STREAM_STATE_ERROR.
		{"STOP_SENDING of its stream", wire.Client, func(s *scripted) []appender { return []appender{wire.StopSending{ID: peerUni(s)}} }, wire.StreamStateError},
		{"MAX_STREAM_DATA of its stream", wire.Client, func(s *scripted) []appender { return []appender{wire.MaxStreamData{ID: peerUni(s)}} }, wire.StreamStateError},
		// The same and 19.8: of a stream of ours that is not open MUST be one, too.
		{"STREAM on no stream", wire.Client, func(s *scripted) []appender { return []appender{wire.Stream{ID: ours(s)}} }, wire.StreamStateError},
		{"STOP_SENDING of no stream", wire.Client, func(s *scripted) []appender { return []appender{wire.StopSending{ID: ours(s)}} }, wire.StreamStateError},
		{"MAX_STREAM_DATA of no stream", wire.Client, func(s *scripted) []appender { return []appender{wire.MaxStreamData{ID: ours(s)}} }, wire.StreamStateError},
		// Section 19.15: a Retire Prior To above the sequence number, and a bad length, MUST be
		// a FRAME_ENCODING_ERROR.
		{"Retire Prior To above", wire.Server, one(wire.NewConnectionID{Sequence: 9, RetirePriorTo: 10, ID: someID(9)}), wire.FrameEncodingError},
		{"ID of 21 bytes", wire.Server, one(bytesFrame(append([]byte{byte(wire.TypeNewConnectionID), 9, 0, 21}, make([]byte, 37)...))), wire.FrameEncodingError},
		// Section 5.1.1: more IDs than the limit MUST be a CONNECTION_ID_LIMIT_ERROR.
		{"too many IDs", wire.Server, func(*scripted) (f []appender) {
			for n := range uint64(activeIDLimit) {
				f = append(f, wire.NewConnectionID{Sequence: 20 + n, ID: someID(20 + n)})
			}
			return f
		}, wire.ConnectionIDLimitError},
		// Section 19.16: of an ID that was never sent, or that the packet itself bears, MUST be
		// a PROTOCOL_VIOLATION.
		{"RETIRE_CONNECTION_ID of none", wire.Server, one(wire.RetireConnectionID{Sequence: 99}), wire.ProtocolViolation},
		{"RETIRE_CONNECTION_ID of its own", wire.Server, one(wire.RetireConnectionID{Sequence: 0}), wire.ProtocolViolation},
		// RFC 9221, section 3: a DATAGRAM that was not allowed MUST be a PROTOCOL_VIOLATION.
		{"DATAGRAM", wire.Server, one(wire.Datagram{Data: []byte{1}}), wire.ProtocolViolation},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, tt.side, confirmed, pairConfig{})
			s.sends(tt.frame(s)...)
			s.wantClose(tt.want)
		})
	}
}

func one(f appender) func(*scripted) []appender {
	return func(*scripted) []appender { return []appender{f} }
}

func none(*scripted) []appender { return nil }

// someID returns a connection ID.
func someID(n uint64) wire.ConnID {
	return wire.NewConnID([]byte{0xc0, 1, 2, 3, 4, 5, byte(n >> 8), byte(n)})
}

// RFC 9000, section 12.4: a frame in a packet type that does not permit it MUST be a
// PROTOCOL_VIOLATION. Sections 17.2.2 and 17.2.4 have what Initial and Handshake packets
// permit.
func TestFrameInTheWrongPacket(t *testing.T) {
	frames := []struct {
		name string
		f    appender
	}{
		{"RESET_STREAM", wire.ResetStream{}},
		{"STOP_SENDING", wire.StopSending{}},
		{"NEW_TOKEN", wire.NewToken{Token: []byte{1}}},
		{"STREAM", wire.Stream{}},
		{"MAX_DATA", wire.MaxData{}},
		{"MAX_STREAM_DATA", wire.MaxStreamData{}},
		{"MAX_STREAMS", wire.MaxStreams{}},
		{"DATA_BLOCKED", wire.DataBlocked{}},
		{"STREAM_DATA_BLOCKED", wire.StreamDataBlocked{}},
		{"STREAMS_BLOCKED", wire.StreamsBlocked{}},
		{"NEW_CONNECTION_ID", wire.NewConnectionID{Sequence: 1, ID: someID(1)}},
		{"RETIRE_CONNECTION_ID", wire.RetireConnectionID{}},
		{"PATH_CHALLENGE", wire.PathChallenge{}},
		{"PATH_RESPONSE", wire.PathResponse{}},
		{"application's CONNECTION_CLOSE", wire.ConnectionClose{Application: true}},
		{"HANDSHAKE_DONE", wire.HandshakeDone{}},
		{"DATAGRAM", wire.Datagram{}},
	}
	for _, kind := range []wire.PacketType{wire.PacketInitial, wire.PacketHandshake} {
		for _, f := range frames {
			t.Run(kind.String()+" "+f.name, func(t *testing.T) {
				t.Parallel()
				s := newScripted(t, wire.Server, greeted, pairConfig{})
				s.sendsIn(kind, f.f)
				s.wantClose(wire.ProtocolViolation)
			})
		}
	}
}

// RFC 9000, section 12.4: which frames 0-RTT packets permit.
func TestFrameInZeroRTT(t *testing.T) {
	for kind, forbidden := range map[wire.FrameType]bool{
		wire.TypeAck: true, wire.TypeAckECN: true, wire.TypeCrypto: true, wire.TypeHandshakeDone: true, wire.TypeNewToken: true,
		wire.TypePathResponse: true, wire.TypeRetireConnectionID: true,
		wire.TypePing: false, wire.TypeStream: false, wire.TypeResetStream: false, wire.TypeStopSending: false, wire.TypeMaxData: false,
		wire.TypeNewConnectionID: false, wire.TypePathChallenge: false, wire.TypeCloseTransport: false, wire.TypeCloseApplication: false,
		wire.TypeDatagram: false,
	} {
		err, _ := allowed(kind, wire.PacketZeroRTT, extensions{}).(*wire.TransportError)
		if got := err != nil && err.Code == wire.ProtocolViolation; got != forbidden {
			t.Errorf("%v in 0-RTT: %v, want forbidden %v", kind, err, forbidden)
		}
	}
}

// What must not end a connection.
func TestFrameThatIsFine(t *testing.T) {
	id := wire.NewConnectionID{Sequence: 4, ID: someID(4)}
	for _, tt := range []struct {
		name   string
		frames []appender
	}{
		// RFC 9000, section 19.18: a PATH_RESPONSE that answers nothing may be ignored.
		{"PATH_RESPONSE to nothing", []appender{wire.PathResponse{Data: [8]byte{1}}}},
		// Section 4.1: limits that do not increase MUST be ignored.
		{"small MAX_DATA", []appender{wire.MaxData{Max: 1}}},
		{"small MAX_STREAMS", []appender{wire.MaxStreams{Max: 1}}},
		// Section 19.15: the same frame again MUST NOT be an error.
		{"NEW_CONNECTION_ID twice", []appender{wire.RetireConnectionID{Sequence: 1}, wire.PathChallenge{}}},
		// Section 13.3: outdated frames MUST be accepted.
		{"blocked frames", []appender{wire.DataBlocked{Limit: 5}, wire.StreamsBlocked{Limit: 5}}},
		{"only PADDING", []appender{wire.Padding{Size: 5}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, wire.Server, confirmed, pairConfig{})
			s.sends(tt.frames...)
			s.wantFine()
			s.sends(tt.frames...)
			s.wantFine()
		})
	}
	t.Run("NEW_CONNECTION_ID twice", func(t *testing.T) {
		s := newScripted(t, wire.Server, confirmed, pairConfig{})
		id.RetirePriorTo = 4 // there are 0 to 3 already
		s.sends(id)
		s.sends(id)
		s.wantFine()
		// Section 5.1.2: MUST stop using the IDs and retire them.
		if n := s.count(wire.TypeRetireConnectionID); n != 4 {
			t.Errorf("%d RETIRE_CONNECTION_ID frames, want 4", n)
		}
	})
}

// RFC 9000, section 13.2.1: every ack-eliciting packet MUST be acknowledged within
// max_ack_delay; one that is not MUST NOT be answered by another.
func TestEveryElicitingPacketIsAcknowledged(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	s.got = nil
	s.sends(wire.Ping{})
	s.waits(maxAckDelay)
	s.wantFrame(wire.TypeAck)
	s.got = nil
	s.next[2] += 5 // a gap before it changes nothing
	s.sends(wire.Padding{Size: 10})
	s.waits(time.Second)
	if s.count(wire.TypeAck) != 0 {
		t.Errorf("PADDING was answered by %v", s.heard())
	}
}

// RFC 9000, section 19.7: a client keeps the tokens.
func TestNewTokenReachesTheOwner(t *testing.T) {
	s := newScripted(t, wire.Client, confirmed, pairConfig{})
	s.sends(wire.NewToken{Token: []byte("token")})
	if got := s.pair.ends[wire.Client].token; !bytes.Equal(got, []byte("token")) {
		t.Errorf("the owner got %q", got)
	}
}
