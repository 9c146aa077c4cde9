package relay

import "testing"

func TestRingLimit(t *testing.T) {
	for _, tt := range []struct {
		rings, want int
	}{
		{0, maxRingBytes},
		{2, maxRingBytes},
		{32, maxRingBytes},
		{33, 16 << 20},
		{128, 8 << 20}, // 64 wires of MTU 1500 have all their slots
		{400, 2 << 20},
		{512, 2 << 20},
	} {
		if got := ringLimit(tt.rings); got != tt.want {
			t.Errorf("%d rings: %d bytes each, want %d", tt.rings, got, tt.want)
		}
	}
}
