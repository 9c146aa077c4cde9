package report

import (
	"strings"
	"unicode"
)

// width returns how many terminal columns s takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wideRunes(), r):
		return 2
	}
	return 1
}

// wideRunes are the blocks whose characters terminals draw two columns wide:
// those of East Asian Width W and F in Unicode Standard Annex 11, by block.
func wideRunes() *unicode.RangeTable {
	return &unicode.RangeTable{
		R16: []unicode.Range16{
			{Lo: 0x1100, Hi: 0x115f, Stride: 1}, // Hangul Jamo, leading consonants
			{Lo: 0x2e80, Hi: 0x303e, Stride: 1}, // CJK radicals and punctuation
			{Lo: 0x3041, Hi: 0xa4cf, Stride: 1}, // Kana to Yi
			{Lo: 0xa960, Hi: 0xa97c, Stride: 1},
			{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, // Hangul
			{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
			{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
			{Lo: 0xff01, Hi: 0xff60, Stride: 1}, // full-width forms
			{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
		},
		R32: []unicode.Range32{
			{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, // pictographs
			{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
			{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
			{Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
		},
	}
}

// plain makes text from outside fit for a terminal: control characters, line
// breaks among them, become spaces, and runs of space one.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// wrap breaks s at spaces into lines of at most limit columns, where its words
// allow. A limit of 0 is none.
func wrap(s string, limit int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		switch {
		case line == "":
			line = word
		case limit > 0 && width(line)+1+width(word) > limit:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
