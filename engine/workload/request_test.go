package workload

import (
	"bytes"
	"testing"
	"time"
)

func TestRequestRoundTrip(t *testing.T) {
	tests := map[string]request{
		"by size": {role: Send, session: 3, stream: 1, streams: 2, seed: 1 << 63, bytes: 1 << 40},
		"by time": {role: Receive, streams: maxStreams, stream: maxStreams - 1, duration: time.Hour},
		"nothing": {role: Receive, streams: 1},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := parseRequest(want.append(nil)); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	good := request{role: Send, streams: 1, bytes: 5}.append(nil)
	tests := map[string]func([]byte) []byte{
		"short":            func(b []byte) []byte { return b[:requestSize-1] },
		"another magic":    func(b []byte) []byte { b[0]++; return b },
		"another version":  func(b []byte) []byte { b[8]++; return b },
		"no role":          func(b []byte) []byte { b[9] = 3; return b },
		"no streams":       func(b []byte) []byte { b[23] = 0; return b },
		"too many streams": func(b []byte) []byte { b[20] = 1; return b },
		"stream past last": func(b []byte) []byte { b[19] = 1; return b },
		"negative bytes":   func(b []byte) []byte { b[32] = 0x80; return b },
		"bytes and time":   func(b []byte) []byte { b[47] = 1; return b },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			if r, err := parseRequest(change(bytes.Clone(good))); err == nil {
				t.Errorf("took %+v", r)
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(request{role: Send, streams: 4, stream: 2, seed: 9, bytes: 100}.append(nil))
	f.Add(request{role: Receive, streams: 1, duration: time.Second}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err != nil {
			return
		}
		if again, err := parseRequest(r.append(nil)); err != nil || again != r {
			t.Fatalf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

func FuzzVerdict(f *testing.F) {
	f.Add(verdict{bytes: 10, intact: true}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseVerdict(b)
		if err != nil {
			return
		}
		if again, err := parseVerdict(v.append(nil)); err != nil || again != v {
			t.Fatalf("%+v came back as %+v, %v", v, again, err)
		}
	})
}

// FuzzSegments feeds the same bytes whole and in pieces of the size that the first
// byte says: payload, end and refusal must be the same.
func FuzzSegments(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9, 0, 0, 0, 0})
	f.Add([]byte{3, 0, 0, 0, 0, 1})
	f.Add([]byte{2, 0xff, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		size := int(b[0])%7 + 1
		whole, wholeErr := cutAll(b[1:], len(b))
		parts, partsErr := cutAll(b[1:], size)
		if !bytes.Equal(whole, parts) && wholeErr == nil || (wholeErr == nil) != (partsErr == nil) {
			t.Fatalf("whole: %x, %v; in pieces of %d: %x, %v", whole, wholeErr, size, parts, partsErr)
		}
	})
}

func cutAll(b []byte, size int) (payload []byte, err error) {
	var s segments
	for len(b) > 0 {
		piece := b[:min(size, len(b))]
		b = b[len(piece):]
		for len(piece) > 0 {
			var p []byte
			if p, piece, err = s.next(piece); err != nil {
				return payload, err
			}
			payload = append(payload, p...)
		}
	}
	return payload, nil
}
