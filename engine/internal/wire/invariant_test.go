package wire

import (
	"bytes"
	"slices"
	"testing"
)

// longID is a connection ID that only other versions allow.
func longID(n int) []byte { return bytes.Repeat([]byte{0xcc}, n) }

func TestParseInvariant(t *testing.T) {
	other := append([]byte{0x80, 0xba, 0xba, 0xba, 0xba, 255}, longID(255)...)
	other = append(append(other, 21), longID(21)...)
	tests := []struct {
		name    string
		in      []byte
		shortID int
		want    InvariantHeader
		ok      bool
	}{
		{"long", unhex(t, "c0 00000001 02 aabb 01 cc 99"), 4, InvariantHeader{Long: true, Version: 1, DstID: []byte{0xaa, 0xbb}, SrcID: []byte{0xcc}}, true},
		{"long of another version", other, 4, InvariantHeader{Long: true, Version: 0xbabababa, DstID: longID(255), SrcID: longID(21)}, true},
		{"long, source ID cut", unhex(t, "c0 00000001 02 aabb 02 cc"), 4, InvariantHeader{}, false},
		{"long, no source length", unhex(t, "c0 00000001 02 aabb"), 4, InvariantHeader{}, false},
		{"long, version cut", unhex(t, "c0 000000"), 4, InvariantHeader{}, false},
		{"short", unhex(t, "40 aabbccdd ee"), 4, InvariantHeader{DstID: unhex(t, "aabbccdd")}, true},
		{"short with empty ID", unhex(t, "40"), 0, InvariantHeader{DstID: []byte{}}, true},
		{"short, ID cut", unhex(t, "40 aabbcc"), 4, InvariantHeader{}, false},
		{"nothing", nil, 0, InvariantHeader{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ParseInvariant(tt.in, tt.shortID)
			if diff := diffValues(got, tt.want); diff != "" || ok != tt.ok {
				t.Errorf("ok %t, want %t; got - want +:\n%s", ok, tt.ok, diff)
			}
		})
	}
}

func TestVersionNegotiation(t *testing.T) {
	versions := []Version{Version1, 0x6b3343cf}
	b := AppendVersionNegotiation(nil, longID(30), longID(3), versions, 0x05)
	if b[0] != 0xc5 {
		t.Errorf("first byte is %#x, want 0xc5", b[0])
	}
	h, ok := ParseInvariant(b, 0)
	// RFC 9000, section 17.2.1: the version MUST be 0.
	if !ok || h.Version != 0 || !bytes.Equal(h.DstID, longID(30)) || !bytes.Equal(h.SrcID, longID(3)) {
		t.Errorf("parsed as %v, %t", h, ok)
	}
	if got := ParseVersions(b); !slices.Equal(got, versions) {
		t.Errorf("ParseVersions = %v, want %v", got, versions)
	}
	// RFC 8999, section 6: no version, or half of one, MUST be ignored.
	for name, b := range map[string][]byte{
		"no versions":     AppendVersionNegotiation(nil, nil, nil, nil, 0),
		"half a version":  b[:len(b)-2],
		"another version": unhex(t, "c0 00000001 00 00 00000001"),
		"header cut":      b[:4],
	} {
		if got := ParseVersions(b); got != nil {
			t.Errorf("%s: ParseVersions = %v, want nil", name, got)
		}
	}
	if !panics(func() { AppendVersionNegotiation(nil, longID(256), nil, versions, 0) }) {
		t.Error("an ID of 256 bytes went through")
	}
}
