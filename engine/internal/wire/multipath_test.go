package wire

import "testing"

// draft-ietf-quic-multipath-21, sections 4 and 4.6: a path ID above the announced
// maximum, which is at most 2^32-1, MUST be a PROTOCOL_VIOLATION.
func TestPathIDsAbove32BitsAreRefused(t *testing.T) {
	for typ, fields := range map[FrameType]string{
		TypePathAck:                "09 05 00 09",
		TypePathAckECN:             "09 05 00 09 01 02 03",
		TypePathAbandon:            "00",
		TypePathStatusBackup:       "01",
		TypePathStatusAvailable:    "01",
		TypePathNewConnectionID:    "05 04 01 cc 000102030405060708090a0b0c0d0e0f",
		TypePathRetireConnectionID: "05",
		TypeMaxPathID:              "",
		TypePathsBlocked:           "",
		TypePathCIDsBlocked:        "04",
	} {
		t.Run(typ.String(), func(t *testing.T) {
			b := AppendVarint(AppendVarint(nil, uint64(typ)), 1<<32)
			wantFrameError(t, append(b, unhex(t, fields)...), ProtocolViolation)
		})
	}
}

func TestMultipathErrorNames(t *testing.T) {
	for code, want := range map[ErrorCode]string{
		ApplicationAbandonPath:   "APPLICATION_ABANDON_PATH",
		PathResourceLimitReached: "PATH_RESOURCE_LIMIT_REACHED",
		PathUnstableOrPoor:       "PATH_UNSTABLE_OR_POOR",
		NoCIDAvailableForPath:    "NO_CID_AVAILABLE_FOR_PATH",
		0x3e78:                   "0x3e78",
	} {
		if got := code.String(); got != want {
			t.Errorf("ErrorCode(%#x) is %s, want %s", uint64(code), got, want)
		}
	}
}
