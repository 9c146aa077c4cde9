package trace

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestReadTable(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       emulation.Table
		err        string // part of it; empty: none
	}{
		{"plain", "-8192 0\t8192\n-32768\n32767", emulation.Table{-8192, 0, 8192, -32768, 32767}, ""},
		{"comments", "# made from x\n1 2 # 3\n\n#\n", emulation.Table{1, 2}, ""},
		{"carriage returns", "1\r\n2\r\n", emulation.Table{1, 2}, ""},
		{"empty file", "", nil, "t.dist: distribution table is empty"},
		{"only comments", "# 1\n", nil, "t.dist: distribution table is empty"},
		{"too large", "1\n32768\n", nil, `t.dist:2: "32768": want whole numbers from -32768 to 32767`},
		{"no number", "1 x 2\n", nil, `t.dist:1: "x"`},
		{"fraction", "1.5\n", nil, `t.dist:1: "1.5"`},
		{"binary", "\x00\x01", nil, "t.dist:1"},
		{"too long", strings.Repeat("1\n", emulation.MaxTableSize+1), nil, "at most 16384 values"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadTable("t.dist", strings.NewReader(tc.text))
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("got %v, want %q", err, tc.err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func FuzzReadTable(f *testing.F) {
	for _, s := range []string{"1 2 3\n", "# x\n", "", "-32768 32767", "\x00", "1e3", "+1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ReadTable("f", bytes.NewReader(data))
		if err != nil {
			return
		}
		imp := emulation.Impairments{Delay: 2, Jitter: 1, Distribution: emulation.Empirical, JitterTable: &got}
		if err := imp.Validate(); err != nil {
			t.Fatalf("read an invalid table: %v", err)
		}
	})
}
