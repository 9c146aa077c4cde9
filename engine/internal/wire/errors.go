package wire

import "fmt"

// ErrorCode is a transport error code (RFC 9000, section 20.1).
type ErrorCode uint64

// Transport error codes of RFC 9000. multipath.go has those of its draft.
const (
	NoError                 ErrorCode = 0x00
	InternalError           ErrorCode = 0x01
	ConnectionRefused       ErrorCode = 0x02
	FlowControlError        ErrorCode = 0x03
	StreamLimitError        ErrorCode = 0x04
	StreamStateError        ErrorCode = 0x05
	FinalSizeError          ErrorCode = 0x06
	FrameEncodingError      ErrorCode = 0x07
	TransportParameterError ErrorCode = 0x08
	ConnectionIDLimitError  ErrorCode = 0x09
	ProtocolViolation       ErrorCode = 0x0a
	InvalidToken            ErrorCode = 0x0b
	ApplicationError        ErrorCode = 0x0c
	CryptoBufferExceeded    ErrorCode = 0x0d
	KeyUpdateError          ErrorCode = 0x0e
	AEADLimitReached        ErrorCode = 0x0f
	NoViablePath            ErrorCode = 0x10
	// CryptoError is the first of 256: it plus a TLS alert (RFC 9001, section 4.8).
	CryptoError ErrorCode = 0x0100
)

// String returns the code's name in the RFC's spelling.
func (c ErrorCode) String() string {
	names := [...]string{
		"NO_ERROR", "INTERNAL_ERROR", "CONNECTION_REFUSED", "FLOW_CONTROL_ERROR", "STREAM_LIMIT_ERROR",
		"STREAM_STATE_ERROR", "FINAL_SIZE_ERROR", "FRAME_ENCODING_ERROR", "TRANSPORT_PARAMETER_ERROR",
		"CONNECTION_ID_LIMIT_ERROR", "PROTOCOL_VIOLATION", "INVALID_TOKEN", "APPLICATION_ERROR",
		"CRYPTO_BUFFER_EXCEEDED", "KEY_UPDATE_ERROR", "AEAD_LIMIT_REACHED", "NO_VIABLE_PATH",
	}
	switch {
	case c < ErrorCode(len(names)):
		return names[c]
	case c >= CryptoError && c < CryptoError+0x100:
		return fmt.Sprintf("CRYPTO_ERROR 0x%x", uint64(c))
	}
	if name := multipathErrorName(c); name != "" {
		return name
	}
	return fmt.Sprintf("0x%x", uint64(c))
}

// TransportError is a breach of the protocol, or why a connection was closed for
// one. The connection that meets it is closed with its Code.
type TransportError struct {
	Code   ErrorCode
	Frame  FrameType // that caused it, 0 when none or unknown
	Reason string    // for people; may be empty
	Remote bool      // the peer said so
}

// Error returns the code, who found it and the reason.
func (e *TransportError) Error() string {
	who := "QUIC"
	if e.Remote {
		who = "QUIC: peer closed the connection"
	}
	s := who + ": " + e.Code.String()
	if e.Frame != 0 {
		s += " (frame " + e.Frame.String() + ")"
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// Errorf returns a TransportError of this side.
func Errorf(code ErrorCode, format string, args ...any) *TransportError {
	return &TransportError{Code: code, Reason: fmt.Sprintf(format, args...)}
}
