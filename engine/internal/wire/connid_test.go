package wire

import (
	"encoding/hex"
	"testing"
)

func TestParseNewConnectionIDRefuses(t *testing.T) {
	id := hex.EncodeToString(longID(21))
	token := hex.EncodeToString(make([]byte, 16))
	for name, fields := range map[string]string{
		// RFC 9000, section 19.15: both MUST be a FRAME_ENCODING_ERROR.
		"no ID":                    "05 04 00" + token,
		"21 bytes":                 "05 04 15" + id + token,
		"Retire Prior To too high": "05 06 01 cc" + token,
	} {
		t.Run(name, func(t *testing.T) {
			wantFrameError(t, unhex(t, "18"+fields), FrameEncodingError)
			wantFrameError(t, unhex(t, "7e78 03"+fields), FrameEncodingError)
		})
	}
}
