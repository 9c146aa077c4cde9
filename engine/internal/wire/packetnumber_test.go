package wire

import (
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

func TestPacketNumberLen(t *testing.T) {
	tests := []struct {
		name      string
		pn, acked PacketNumber
		want      int
	}{
		// RFC 9000, appendix A.2.
		{"29519 outstanding", 0xac5c02, 0xabe8b3, 2},
		{"65611 outstanding", 0xace8fe, 0xabe8b3, 3},
		{"first packet", 0, NoPacket, 1},
		// Section 17.1: MUST represent more than twice the distance.
		{"127 away", 127, 0, 1},
		{"128 away", 128, 0, 2},
		{"127th without an acknowledgment", 126, NoPacket, 1},
		{"128th without an acknowledgment", 127, NoPacket, 2},
		{"below 2^15 away", 1<<15 - 1, 0, 2},
		{"2^15 away", 1 << 15, 0, 3},
		{"below 2^23 away", 1<<23 - 1, 0, 3},
		{"2^23 away", 1 << 23, 0, 4},
		{"never more than four", MaxVarint, NoPacket, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := PacketNumberLen(tt.pn, tt.acked); got != tt.want {
				t.Errorf("PacketNumberLen(%#x, %#x) = %d, want %d", tt.pn, tt.acked, got, tt.want)
			}
		})
	}
}

func TestAppendPacketNumber(t *testing.T) {
	for n, want := range map[int]string{1: "78", 2: "5678", 3: "345678", 4: "12345678"} {
		if got := hex.EncodeToString(AppendPacketNumber(nil, 0xff12345678, n)); got != want {
			t.Errorf("in %d bytes: %s, want %s", n, got, want)
		}
	}
	if !panics(func() { AppendPacketNumber(nil, 0, 5) }) {
		t.Error("five bytes went through")
	}
}

func TestDecodePacketNumber(t *testing.T) {
	tests := []struct {
		name      string
		largest   PacketNumber
		truncated uint32
		n         int
		want      PacketNumber
	}{
		// RFC 9000, appendix A.3.
		{"the RFC's example", 0xa82f30ea, 0x9b32, 2, 0xa82f9b32},
		{"first packet", NoPacket, 0, 1, 0},
		{"first packet is a later one", NoPacket, 0x80, 1, 0x80},
		{"nothing lies below 0", NoPacket, 0xff, 1, 0xff},
		{"wraps upwards", 0xff, 0x00, 1, 0x100},
		{"wraps downwards", 0x100, 0xff, 1, 0xff},
		{"half a window ahead", 0x100, 0x81, 1, 0x181},
		{"further is behind", 0x100, 0x82, 1, 0x82},
		{"half a window behind is ahead", 0x17f, 0x00, 1, 0x200},
		{"four bytes", 1<<32 + 5, 3, 4, 1<<32 + 3},
		{"no number above 2^62-1", MaxVarint - 1, 0x01, 1, MaxVarint - 0xfe},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := DecodePacketNumber(tt.largest, tt.truncated, tt.n); got != tt.want {
				t.Errorf("DecodePacketNumber(%#x, %#x, %d) = %#x, want %#x", tt.largest, tt.truncated, tt.n, got, tt.want)
			}
		})
	}
}

// A receiver that has all that the sender knows to be acknowledged, and at most what
// was sent, decodes the number that was sent.
func TestPacketNumberRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acked := PacketNumber(rapid.Int64Range(int64(NoPacket), MaxVarint-1<<31).Draw(t, "acked"))
		ahead := rapid.Int64Range(1, 1<<31-1).Draw(t, "ahead") >> rapid.IntRange(0, 30).Draw(t, "shift")
		pn := acked + PacketNumber(max(ahead, 1))
		largest := PacketNumber(rapid.Int64Range(int64(acked), int64(pn)-1).Draw(t, "largest"))

		n := PacketNumberLen(pn, acked)
		var truncated uint32
		for _, v := range AppendPacketNumber(nil, pn, n) {
			truncated = truncated<<8 | uint32(v)
		}
		if got := DecodePacketNumber(largest, truncated, n); got != pn {
			t.Fatalf("%d in %d bytes decodes to %d with largest %d, acknowledged %d", pn, n, got, largest, acked)
		}
	})
}
