package wire

import (
	"bytes"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

// unhex returns the bytes that s spells; spaces do not count.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatalf("test's own hexadecimal %q: %v", s, err)
	}
	return b
}

// panics reports whether f does.
func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

func TestParseVarint(t *testing.T) {
	tests := []struct {
		name  string
		in    string
		want  uint64
		wantN int
	}{
		// RFC 9000, appendix A.1.
		{"eight bytes", "c2197c5eff14e88c", 151_288_809_941_952_652, 8},
		{"four bytes", "9d7f3e7d", 494_878_333, 4},
		{"two bytes", "7bbd", 15_293, 2},
		{"one byte", "25", 37, 1},
		{"not the shortest form", "4025", 37, 2},
		{"more follows", "25ff", 37, 1},
		{"largest", "ffffffffffffffff", MaxVarint, 8},
		{"nothing", "", 0, 0},
		{"half of two", "40", 0, 0},
		{"three of four", "9d7f3e", 0, 0},
		{"seven of eight", "c2197c5eff14e8", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, n := ParseVarint(unhex(t, tt.in)); got != tt.want || n != tt.wantN {
				t.Errorf("ParseVarint(%s) = %d in %d bytes, want %d in %d", tt.in, got, n, tt.want, tt.wantN)
			}
		})
	}
}

func TestAppendVarint(t *testing.T) {
	tests := []struct {
		v    uint64
		want string
	}{
		{0, "00"},
		{37, "25"},
		{63, "3f"},
		{64, "4040"},
		{15_293, "7bbd"},
		{16_383, "7fff"},
		{16_384, "80004000"},
		{494_878_333, "9d7f3e7d"},
		{1<<30 - 1, "bfffffff"},
		{1 << 30, "c000000040000000"},
		{151_288_809_941_952_652, "c2197c5eff14e88c"},
		{MaxVarint, "ffffffffffffffff"},
	}
	for _, tt := range tests {
		if got := hex.EncodeToString(AppendVarint(nil, tt.v)); got != tt.want {
			t.Errorf("AppendVarint(%d) = %s, want %s", tt.v, got, tt.want)
		}
		if got := VarintLen(tt.v); got != len(tt.want)/2 {
			t.Errorf("VarintLen(%d) = %d, want %d", tt.v, got, len(tt.want)/2)
		}
	}
}

func TestAppendVarintN(t *testing.T) {
	tests := []struct {
		n    int
		want string
	}{{1, "25"}, {2, "4025"}, {4, "80000025"}, {8, "c000000000000025"}}
	for _, tt := range tests {
		if got := hex.EncodeToString(AppendVarintN(nil, 37, tt.n)); got != tt.want {
			t.Errorf("37 in %d bytes is %s, want %s", tt.n, got, tt.want)
		}
	}
}

func TestVarintPanicsOnWhatDoesNotFit(t *testing.T) {
	tests := map[string]func(){
		"AppendVarint":            func() { AppendVarint(nil, MaxVarint+1) },
		"VarintLen":               func() { VarintLen(MaxVarint + 1) },
		"AppendVarintN, too few":  func() { AppendVarintN(nil, 64, 1) },
		"AppendVarintN, no count": func() { AppendVarintN(nil, 0, 3) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			if !panics(f) {
				t.Error("went through")
			}
		})
	}
}

func TestVarintRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64Range(0, MaxVarint).Draw(t, "v") >> rapid.IntRange(0, 61).Draw(t, "shift")
		b := AppendVarint([]byte{0xaa}, v)[1:]
		if got, n := ParseVarint(b); got != v || n != len(b) || n != VarintLen(v) {
			t.Fatalf("%d is %x, parsed as %d in %d bytes; VarintLen %d", v, b, got, n, VarintLen(v))
		}
		for n := VarintLen(v); n <= 8; n *= 2 {
			b := AppendVarintN(nil, v, n)
			if got, took := ParseVarint(b); got != v || took != n || len(b) != n {
				t.Fatalf("%d in %d bytes is %x, parsed as %d in %d", v, n, b, got, took)
			}
		}
	})
}
