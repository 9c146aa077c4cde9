package qlog

import (
	"unicode/utf8"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// controlFrame is typedFrame for the frames of RFC 9000 that carry neither data nor
// ranges.
func (r *record) controlFrame(t wire.FrameType, b []byte, typeLen int) (n int, err error) {
	switch t {
	case wire.TypePing:
		r.begin("ping")
	case wire.TypeHandshakeDone:
		r.begin("handshake_done")
	case wire.TypeResetStream:
		var f wire.ResetStream
		f, n, err = wire.ParseResetStream(t, b)
		r.begin("reset_stream")
		r.number("stream_id", uint64(f.ID))
		r.applicationCode(f.Code)
		r.number("final_size", f.FinalSize)
	case wire.TypeStopSending:
		var f wire.StopSending
		f, n, err = wire.ParseStopSending(t, b)
		r.begin("stop_sending")
		r.number("stream_id", uint64(f.ID))
		r.applicationCode(f.Code)
	case wire.TypeNewToken:
		var f wire.NewToken
		f, n, err = wire.ParseNewToken(t, b)
		r.begin("new_token")
		r.object("token")
		r.object("raw")
		r.number("length", uint64(len(f.Token)))
		r.endObject()
		r.endObject()
	case wire.TypePathChallenge:
		var f wire.PathChallenge
		f, n, err = wire.ParsePathChallenge(t, b)
		r.begin("path_challenge")
		r.hex("data", f.Data[:])
	case wire.TypePathResponse:
		var f wire.PathResponse
		f, n, err = wire.ParsePathResponse(t, b)
		r.begin("path_response")
		r.hex("data", f.Data[:])
	case wire.TypeNewConnectionID:
		var f wire.NewConnectionID
		f, n, err = wire.ParseNewConnectionID(t, b)
		r.begin("new_connection_id")
		r.newConnectionID(f)
	case wire.TypeRetireConnectionID:
		var f wire.RetireConnectionID
		f, n, err = wire.ParseRetireConnectionID(t, b)
		r.begin("retire_connection_id")
		r.number("sequence_number", f.Sequence)
	case wire.TypeCloseTransport, wire.TypeCloseApplication:
		var f wire.ConnectionClose
		f, n, err = wire.ParseConnectionClose(t, b)
		r.connectionClose(f)
	default:
		return r.flowFrame(t, b, typeLen)
	}
	r.endFrame(typeLen + n)
	return n, err
}

// flowFrame is typedFrame for the frames of flow control (RFC 9000, sections 19.9 to
// 19.14).
func (r *record) flowFrame(t wire.FrameType, b []byte, typeLen int) (n int, err error) {
	switch t {
	case wire.TypeMaxData:
		var f wire.MaxData
		f, n, err = wire.ParseMaxData(t, b)
		r.begin("max_data")
		r.number("maximum", f.Max)
	case wire.TypeMaxStreamData:
		var f wire.MaxStreamData
		f, n, err = wire.ParseMaxStreamData(t, b)
		r.begin("max_stream_data")
		r.number("stream_id", uint64(f.ID))
		r.number("maximum", f.Max)
	case wire.TypeMaxStreamsBidi, wire.TypeMaxStreamsUni:
		var f wire.MaxStreams
		f, n, err = wire.ParseMaxStreams(t, b)
		r.begin("max_streams")
		r.word("stream_type", f.Direction.String())
		r.number("maximum", f.Max)
	case wire.TypeDataBlocked:
		var f wire.DataBlocked
		f, n, err = wire.ParseDataBlocked(t, b)
		r.begin("data_blocked")
		r.number("limit", f.Limit)
	case wire.TypeStreamDataBlocked:
		var f wire.StreamDataBlocked
		f, n, err = wire.ParseStreamDataBlocked(t, b)
		r.begin("stream_data_blocked")
		r.number("stream_id", uint64(f.ID))
		r.number("limit", f.Limit)
	case wire.TypeStreamsBlockedBidi, wire.TypeStreamsBlockedUni:
		var f wire.StreamsBlocked
		f, n, err = wire.ParseStreamsBlocked(t, b)
		r.begin("streams_blocked")
		r.word("stream_type", f.Direction.String())
		r.number("limit", f.Limit)
	default:
		return 0, wire.Errorf(wire.FrameEncodingError, "frame type %v", t)
	}
	r.endFrame(typeLen + n)
	return n, err
}

// applicationCode writes an application's error code, for which no word is known.
func (r *record) applicationCode(code uint64) {
	r.word("error", "unknown")
	r.number("error_code", code)
}

// newConnectionID writes the fields of a NewConnectionIDFrame, without the token.
func (r *record) newConnectionID(f wire.NewConnectionID) {
	r.number("sequence_number", f.Sequence)
	r.number("retire_prior_to", f.RetirePriorTo)
	r.hex("connection_id", f.ID.Bytes())
}

func (r *record) connectionClose(f wire.ConnectionClose) {
	r.begin("connection_close")
	if f.Application {
		r.word("error_space", "application")
		r.applicationCode(f.Code)
	} else {
		r.word("error_space", "transport")
		r.transportError("error", wire.ErrorCode(f.Code))
		if name := frameTypeName(f.Frame); name != "" {
			r.word("trigger_frame_type", name)
		} else {
			r.number("trigger_frame_type", uint64(f.Frame))
		}
	}
	if len(f.Reason) == 0 {
		return
	}
	if utf8.Valid(f.Reason) {
		r.key("reason")
		r.b = appendText(r.b, f.Reason)
	} else {
		r.hex("reason_bytes", f.Reason)
	}
}

// frameTypeName returns the draft's word for a frame type, or "". Type 0 in a
// CONNECTION_CLOSE says that no frame is known, rather than PADDING.
func frameTypeName(t wire.FrameType) string {
	names := [...]string{
		wire.TypePing: "ping", wire.TypeAck: "ack", wire.TypeAckECN: "ack", wire.TypeResetStream: "reset_stream",
		wire.TypeStopSending: "stop_sending", wire.TypeCrypto: "crypto", wire.TypeNewToken: "new_token",
		wire.TypeMaxData: "max_data", wire.TypeMaxStreamData: "max_stream_data", wire.TypeMaxStreamsBidi: "max_streams",
		wire.TypeMaxStreamsUni: "max_streams", wire.TypeDataBlocked: "data_blocked",
		wire.TypeStreamDataBlocked: "stream_data_blocked", wire.TypeStreamsBlockedBidi: "streams_blocked",
		wire.TypeStreamsBlockedUni: "streams_blocked", wire.TypeNewConnectionID: "new_connection_id",
		wire.TypeRetireConnectionID: "retire_connection_id", wire.TypePathChallenge: "path_challenge",
		wire.TypePathResponse: "path_response", wire.TypeCloseTransport: "connection_close",
		wire.TypeCloseApplication: "connection_close", wire.TypeHandshakeDone: "handshake_done",
		wire.TypeDatagram: "datagram", wire.TypeDatagramLen: "datagram",
	}
	if t.IsStream() {
		return "stream"
	}
	if t < wire.FrameType(len(names)) {
		return names[t]
	}
	return ""
}
