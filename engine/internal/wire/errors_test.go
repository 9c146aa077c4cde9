package wire

import "testing"

func TestErrorCodeNames(t *testing.T) {
	for code, want := range map[ErrorCode]string{
		NoError: "NO_ERROR", FrameEncodingError: "FRAME_ENCODING_ERROR", NoViablePath: "NO_VIABLE_PATH",
		NoViablePath + 1: "0x11", CryptoError: "CRYPTO_ERROR 0x100", CryptoError + 0xff: "CRYPTO_ERROR 0x1ff", 0x200: "0x200",
	} {
		if got := code.String(); got != want {
			t.Errorf("ErrorCode(%#x) is %s, want %s", uint64(code), got, want)
		}
	}
}

func TestTransportErrorText(t *testing.T) {
	tests := []struct {
		err  *TransportError
		want string
	}{
		{Errorf(ProtocolViolation, "%d wrongs", 2), "QUIC: PROTOCOL_VIOLATION: 2 wrongs"},
		{&TransportError{Code: FrameEncodingError, Frame: TypeAck, Remote: true}, "QUIC: peer closed the connection: FRAME_ENCODING_ERROR (frame ACK)"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
