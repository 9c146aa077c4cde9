package quicgo

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeaderRoundTrip(t *testing.T) {
	tests := map[string]header{
		"data":       {kind: frameData, length: chunkSize, offset: 1 << 40},
		"last chunk": {kind: frameData, fin: true, length: 1, offset: 7},
		"empty end":  {kind: frameData, fin: true, offset: 7},
		"ack":        {kind: frameAck, length: ackFixed + 2*ackLane, offset: 99},
		"stop":       {kind: frameStop},
		"welcome":    {kind: frameWelcome},
		"open":       {kind: frameOpen, length: 4, offset: 3},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			var b [frameHeader]byte
			want.put(b[:])
			if got, err := parseHeader(b[:]); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	frame := func(change func([]byte)) []byte {
		b := make([]byte, frameHeader)
		header{kind: frameData, length: 10, offset: 20}.put(b)
		change(b)
		return b
	}
	tests := map[string][]byte{
		"short":             make([]byte, frameHeader-1),
		"zeros":             make([]byte, frameHeader),
		"unknown kind":      frame(func(b []byte) { b[0] = 200 }),
		"unknown flag":      frame(func(b []byte) { b[1] = 2 }),
		"reserved byte":     frame(func(b []byte) { b[3] = 1 }),
		"negative offset":   frame(func(b []byte) { b[8] = 0x80 }),
		"offset near 2^63":  frame(func(b []byte) { b[8] = 0x7f }),
		"huge data":         frame(func(b []byte) { b[4] = 0xff }),
		"empty data":        frame(func(b []byte) { b[7] = 0 }),
		"fin on a stop":     frame(func(b []byte) { b[0], b[1], b[7] = byte(frameStop), 1, 0 }),
		"ack without limit": frame(func(b []byte) { b[0], b[7] = byte(frameAck), 0 }),
		"ack with half a lane": frame(func(b []byte) {
			b[0], b[7] = byte(frameAck), ackFixed+ackLane/2
		}),
		"ack with too many lanes": frame(func(b []byte) { b[0], b[6] = byte(frameAck), 0x7f }),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			if h, err := parseHeader(b); err == nil {
				t.Errorf("took %+v", h)
			}
		})
	}
}

func TestAckRoundTrip(t *testing.T) {
	want := ack{next: 5, limit: 1 << 33, lanes: []laneCount{{0, 1}, {7, 1 << 50}}}
	b := want.appendFrame([]byte("before"))[len("before"):]
	h, err := parseHeader(b[:frameHeader])
	if err != nil {
		t.Fatal(err)
	}
	var got ack
	if err := got.parse(h, b[frameHeader:]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(ack{}, laneCount{})); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestHelloRoundTrip(t *testing.T) {
	want := token{1, 2, 3, 15: 16}
	if got, err := readHello(bytes.NewReader(helloFrame(want))); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// FuzzFrame wants every frame that is taken to come out again as it went in.
func FuzzFrame(f *testing.F) {
	f.Add(helloFrame(token{9}))
	f.Add(openFrame(4, 1))
	f.Add(ack{next: 5, limit: 10, lanes: []laneCount{{1, 2}}}.appendFrame(nil))
	data := make([]byte, frameHeader)
	header{kind: frameData, fin: true, offset: 3}.put(data)
	f.Add(data)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < frameHeader {
			return
		}
		h, err := parseHeader(b[:frameHeader])
		if err != nil {
			return
		}
		again := make([]byte, frameHeader)
		h.put(again)
		if !bytes.Equal(again, b[:frameHeader]) {
			t.Fatalf("header %x came back as %x", b[:frameHeader], again)
		}
		body := b[frameHeader:]
		if len(body) < h.length {
			return
		}
		body = body[:h.length]
		switch h.kind {
		case frameAck:
			var a ack
			if a.parse(h, body) == nil && !bytes.Equal(a.appendFrame(nil)[frameHeader:], body) {
				t.Fatalf("ack %x came back as %+v", body, a)
			}
		case frameHello:
			if tok, err := parseHello(body); err == nil && !bytes.Equal(helloFrame(tok)[frameHeader:], body) {
				t.Fatalf("hello %x came back as %v", body, tok)
			}
		}
	})
}
