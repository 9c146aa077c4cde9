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
	case r < 0x300: // the common case, before any table
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case isWide(r):
		return 2
	}
	return 1
}

// isWide reports whether terminals draw r two columns wide: East Asian Width W and
// F of Unicode Standard Annex 11, by block.
func isWide(r rune) bool {
	switch {
	case 0x1100 <= r && r <= 0x115f, // Hangul Jamo, leading consonants
		0x2e80 <= r && r <= 0x303e, // CJK radicals and punctuation
		0x3041 <= r && r <= 0xa4cf, // Kana to Yi
		0xa960 <= r && r <= 0xa97c, // Hangul Jamo, extended
		0xac00 <= r && r <= 0xd7a3, // Hangul
		0xf900 <= r && r <= 0xfaff, // CJK compatibility
		0xfe30 <= r && r <= 0xfe6f,
		0xff01 <= r && r <= 0xff60, // full-width forms
		0xffe0 <= r && r <= 0xffe6,
		0x1f300 <= r && r <= 0x1f64f, // pictographs
		0x1f680 <= r && r <= 0x1f6ff,
		0x1f900 <= r && r <= 0x1f9ff,
		0x20000 <= r && r <= 0x3fffd: // CJK extensions
		return true
	}
	return false
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
	var line strings.Builder
	columns := 0
	for word := range strings.FieldsSeq(s) {
		w := width(word)
		switch {
		case line.Len() == 0:
			columns = w
		case limit > 0 && columns+1+w > limit:
			lines = append(lines, line.String())
			line.Reset()
			columns = w
		default:
			line.WriteByte(' ')
			columns += 1 + w
		}
		line.WriteString(word)
	}
	return append(lines, line.String())
}
