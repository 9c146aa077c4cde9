package wire

import "testing"

// RFC 9000, section 19.6: offset and length MUST NOT pass 2^62-1 together.
func TestParseCryptoRefuses(t *testing.T) {
	wantFrameError(t, unhex(t, "06 fffffffffffffffe 02 6869"), FrameEncodingError)
}

func TestCryptoHeader(t *testing.T) {
	b := Crypto{Offset: 70}.AppendHeader(nil, 300)
	if want := unhex(t, "06 4046 412c"); string(b) != string(want) || CryptoHeaderLen(70, 300) != len(want) {
		t.Errorf("AppendHeader = %x, CryptoHeaderLen = %d; want %x", b, CryptoHeaderLen(70, 300), want)
	}
}

// RFC 9000, section 19.7: an empty token MUST be a FRAME_ENCODING_ERROR.
func TestParseNewTokenRefuses(t *testing.T) {
	wantFrameError(t, unhex(t, "07 00"), FrameEncodingError)
}
