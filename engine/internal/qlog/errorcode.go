package qlog

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// transportError writes a transport error's word, and its number where the draft
// has no word.
func (r *record) transportError(k string, code wire.ErrorCode) {
	if name := transportErrorName(code); name != "" {
		r.word(k, name)
		return
	}
	if alert := code - wire.CryptoError; code >= wire.CryptoError && alert <= 0xff {
		r.key(k)
		r.b = append(r.b, `"crypto_error_0x1`...)
		r.b = append(r.b, hexDigits[alert>>4], hexDigits[alert&15], '"')
		return
	}
	r.word(k, "unknown")
	r.number("error_code", uint64(code))
}

// transportErrorName returns the draft's word for a code, or "".
func transportErrorName(code wire.ErrorCode) string {
	names := [...]string{
		wire.NoError: "no_error", wire.InternalError: "internal_error", wire.ConnectionRefused: "connection_refused",
		wire.FlowControlError: "flow_control_error", wire.StreamLimitError: "stream_limit_error",
		wire.StreamStateError: "stream_state_error", wire.FinalSizeError: "final_size_error",
		wire.FrameEncodingError: "frame_encoding_error", wire.TransportParameterError: "transport_parameter_error",
		wire.ConnectionIDLimitError: "connection_id_limit_error", wire.ProtocolViolation: "protocol_violation",
		wire.InvalidToken: "invalid_token", wire.ApplicationError: "application_error",
		wire.CryptoBufferExceeded: "crypto_buffer_exceeded", wire.KeyUpdateError: "key_update_error",
		wire.AEADLimitReached: "aead_limit_reached", wire.NoViablePath: "no_viable_path",
	}
	if code < wire.ErrorCode(len(names)) {
		return names[code]
	}
	return ""
}
