package qlog

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// record is one JSON text while it is built. What opens an object or an array is
// followed by what closes it; commas come by themselves.
type record struct{ b []byte }

// comma separates a member or element from the one before it.
func (r *record) comma() {
	if last := r.b[len(r.b)-1]; last != '{' && last != '[' {
		r.b = append(r.b, ',')
	}
}

// key begins a member. Keys are ours and need no escaping.
func (r *record) key(k string) {
	r.comma()
	r.b = append(r.b, '"')
	r.b = append(r.b, k...)
	r.b = append(r.b, '"', ':')
}

// object begins a member that is an object.
func (r *record) object(k string) {
	r.key(k)
	r.b = append(r.b, '{')
}

// array begins a member that is an array.
func (r *record) array(k string) {
	r.key(k)
	r.b = append(r.b, '[')
}

// element begins an array's element that is an object.
func (r *record) element() {
	r.comma()
	r.b = append(r.b, '{')
}

func (r *record) endObject() { r.b = append(r.b, '}') }
func (r *record) endArray()  { r.b = append(r.b, ']') }

func (r *record) number(k string, v uint64) {
	r.key(k)
	r.b = strconv.AppendUint(r.b, v, 10)
}

func (r *record) flag(k string, v bool) {
	r.key(k)
	r.b = strconv.AppendBool(r.b, v)
}

// word writes a string that needs no escaping: one of the draft's or ours.
func (r *record) word(k, v string) {
	r.key(k)
	r.b = append(r.b, '"')
	r.b = append(r.b, v...)
	r.b = append(r.b, '"')
}

// text writes any string.
func (r *record) text(k, v string) {
	r.key(k)
	r.b = appendText(r.b, v)
}

// hex writes a hexstring.
func (r *record) hex(k string, v []byte) {
	r.key(k)
	r.b = appendHex(r.b, v)
}

// millis writes a time in milliseconds, exact to the nanosecond.
func (r *record) millis(k string, d time.Duration) {
	r.key(k)
	r.b = appendMillis(r.b, d)
}

const hexDigits = "0123456789abcdef"

// appendHex appends a hexstring with its quotes.
func appendHex(b, v []byte) []byte {
	b = append(b, '"')
	for _, c := range v {
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return append(b, '"')
}

// appendText appends a JSON string (RFC 8259, section 7). Bytes that are no UTF-8
// become U+FFFD.
func appendText[T string | []byte](b []byte, v T) []byte {
	b = append(b, '"')
	for i := 0; i < len(v); {
		c := v[i]
		if c < utf8.RuneSelf {
			b = appendASCII(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(v[i:min(i+utf8.UTFMax, len(v))]))
		b = utf8.AppendRune(b, r)
		i += n
	}
	return append(b, '"')
}

func appendASCII(b []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c < ' ':
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(b, c)
}

// appendMillis appends d in milliseconds, without trailing zeros.
func appendMillis(b []byte, d time.Duration) []byte {
	n := uint64(d)
	if d < 0 {
		b = append(b, '-')
		n = -n
	}
	b = strconv.AppendUint(b, n/1e6, 10)
	rest := n % 1e6
	if rest == 0 {
		return b
	}
	b = append(b, '.')
	for unit := uint64(1e5); rest > 0; unit /= 10 {
		b = append(b, '0'+byte(rest/unit))
		rest %= unit
	}
	return b
}
