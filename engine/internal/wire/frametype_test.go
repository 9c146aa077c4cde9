package wire

import (
	"slices"
	"testing"
)

func TestFrameTypeNames(t *testing.T) {
	for typ, want := range map[FrameType]string{
		TypePadding: "PADDING", TypeStream: "STREAM", 0x0f: "STREAM", TypeMaxData: "MAX_DATA", TypeImmediateAck: "IMMEDIATE_ACK",
		0x20: "0x20", TypeDatagram: "DATAGRAM", TypePathAck: "PATH_ACK", TypePathAckECN: "PATH_ACK", TypeAckFrequency: "ACK_FREQUENCY",
		TypePathAbandon: "PATH_ABANDON", TypePathCIDsBlocked: "PATH_CIDS_BLOCKED", 0x3e7d: "0x3e7d",
	} {
		if got := typ.String(); got != want {
			t.Errorf("FrameType(%#x) is %s, want %s", uint64(typ), got, want)
		}
	}
	for _, tt := range examples(t) {
		if tt.typ.String()[0] == '0' {
			t.Errorf("%s has no name", tt.name)
		}
	}
}

// RFC 9000, section 12.4, table 3, columns N and P.
func TestFrameTypeProperties(t *testing.T) {
	silent := []FrameType{TypePadding, TypeAck, TypeAckECN, TypeCloseTransport, TypeCloseApplication, TypePathAck, TypePathAckECN}
	probing := []FrameType{TypePadding, TypeNewConnectionID, TypePathChallenge, TypePathResponse}
	for _, tt := range examples(t) {
		if got, want := tt.typ.AckEliciting(), !slices.Contains(silent, tt.typ); got != want {
			t.Errorf("%s elicits an acknowledgment: %t, want %t", tt.name, got, want)
		}
		if got, want := tt.typ.Probing(), slices.Contains(probing, tt.typ); got != want {
			t.Errorf("%s is a probing frame: %t, want %t", tt.name, got, want)
		}
		if _, is := tt.frame.(Stream); tt.typ.IsStream() != is {
			t.Errorf("%s is a STREAM frame: %t, want %t", tt.name, !is, is)
		}
	}
}
