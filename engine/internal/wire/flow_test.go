package wire

import "testing"

// RFC 9000, sections 19.11 and 19.14: more than 2^60 streams MUST be a
// FRAME_ENCODING_ERROR.
func TestStreamCountsAbove2To60AreRefused(t *testing.T) {
	for typ := TypeMaxStreamsBidi; typ <= TypeStreamsBlockedUni; typ++ {
		if typ == TypeDataBlocked || typ == TypeStreamDataBlocked {
			continue
		}
		wantFrameError(t, AppendVarint([]byte{byte(typ)}, MaxStreamCount+1), FrameEncodingError)
	}
}
