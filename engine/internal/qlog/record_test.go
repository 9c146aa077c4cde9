package qlog

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAppendText(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", `""`},
		{"plain", "quic", `"quic"`},
		{"quotes and backslashes", `a"b\c`, `"a\"b\\c"`},
		{"controls", "a\n\x00\x1f\x7f", `"a\u000a\u0000\u001f` + "\x7f" + `"`},
		{"letters", "höchst 速い 🚀", `"höchst 速い 🚀"`},
		{"no UTF-8", "a\xffb\xc3", `"a` + "\ufffd" + `b` + "\ufffd" + `"`},
		{"a surrogate", "\xed\xa0\x80", `"` + "\ufffd\ufffd\ufffd" + `"`},
		{"half a letter before another", "\xe9\x80a", `"` + "\ufffd\ufffd" + `a"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(appendText(nil, tt.text)); got != tt.want {
				t.Errorf("as a string: got %q, want %q", got, tt.want)
			}
			if got := string(appendText(nil, []byte(tt.text))); got != tt.want {
				t.Errorf("as bytes: got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzAppendText(f *testing.F) {
	f.Add("a\"\\\n\xff速")
	f.Fuzz(func(t *testing.T, text string) {
		written := appendText(nil, text)
		var got string
		if err := json.Unmarshal(written, &got); err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if utf8.ValidString(text) && got != text {
			t.Errorf("%q reads back as %q", text, got)
		}
	})
}

func TestAppendMillis(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0"},
		{1, "0.000001"},
		{time.Microsecond, "0.001"},
		{1500 * time.Microsecond, "1.5"},
		{time.Second, "1000"},
		{time.Hour + 1234567, "3600001.234567"},
		{-1500 * time.Microsecond, "-1.5"},
		{1<<63 - 1, "9223372036854.775807"},
		{-1 << 63, "-9223372036854.775808"},
	} {
		if got := string(appendMillis(nil, tt.d)); got != tt.want {
			t.Errorf("%d ns: got %s, want %s", tt.d, got, tt.want)
		}
	}
}

func TestCommas(t *testing.T) {
	r := record{b: []byte{'{'}}
	r.array("a")
	r.element()
	r.number("b", 1)
	r.flag("c", true)
	r.endObject()
	r.element()
	r.endObject()
	r.endArray()
	r.object("d")
	r.word("e", "{")
	r.hex("f", []byte{0, 0xab})
	r.endObject()
	r.array("g")
	r.endArray()
	r.endObject()
	const want = `{"a":[{"b":1,"c":true},{}],"d":{"e":"{","f":"00ab"},"g":[]}`
	if got := string(r.b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
