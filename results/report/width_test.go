package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWidth(t *testing.T) {
	tests := []struct {
		name, in string
		want     int
	}{
		{"ASCII", "lte+wifi", 8},
		{"signs of the table", "[1–2]† 3× ·", 11},
		{"umlaut", "für", 3},
		{"umlaut of two runes", "fu\u0308r", 3},
		{"Chinese", "衛星", 4},
		{"Kana and Hangul", "カ한", 4},
		{"full-width form", "Ａ", 2},
		{"half-width form", "ｶ", 1},
		{"pictograph", "📡", 2},
		{"zero-width joiner", "a\u200db", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := width(tt.in); got != tt.want {
				t.Errorf("width(%q): got %d, want %d", tt.in, got, tt.want)
			}
		})
	}
}

func TestPlain(t *testing.T) {
	if got, want := plain(" a\n\tb\x1b[31mred\x00 \xffc "), "a b [31mred c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrap(t *testing.T) {
	tests := []struct {
		name, in string
		limit    int
		want     []string
	}{
		{"no limit", "one two three", 0, []string{"one two three"}},
		{"fits", "one two", 7, []string{"one two"}},
		{"does not fit", "one two three", 7, []string{"one two", "three"}},
		{"a word that is too long stays whole", "a extraordinary b", 5, []string{"a", "extraordinary", "b"}},
		{"columns, not bytes", "衛星 lte", 8, []string{"衛星 lte"}},
		{"nothing", "", 5, []string{""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, wrap(tt.in, tt.limit)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}
