package workload

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/tcp"
)

// sessions returns both ends of n TCP sessions over loopback.
func sessions(t *testing.T, n int) (dialler, listener []engine.Session) {
	t.Helper()
	l, err := tcp.New().Listen(t.Context(), engine.Config{Paths: []engine.Path{{Local: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for range n {
		d, err := tcp.New().Dial(t.Context(), engine.Config{Paths: []engine.Path{{Remote: l.Paths()[0].Local}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		a, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		dialler, listener = append(dialler, d), append(listener, a)
	}
	return dialler, listener
}

func TestBulkSplitsEvenly(t *testing.T) {
	d, a := sessions(t, 2)
	served := make(chan Report, 1)
	go func() {
		r, _ := Serve(t.Context(), a, nil)
		served <- r
	}()
	var p Progress
	r, err := Bulk{Seed: 1, Bytes: 1_000_003, Streams: 2}.Request(t.Context(), d, Receive, &p)
	if err != nil || !r.Intact {
		t.Fatalf("%v, %q", err, r.Reason)
	}
	for i, want := range []int64{250_001, 250_001, 250_001, 250_000} {
		if got := r.Streams[i].Bytes; got != want || r.Streams[i].Session != i/2 || r.Streams[i].Stream != i%2 {
			t.Errorf("stream %d: got %+v, want %d bytes", i, r.Streams[i], want)
		}
	}
	if p.Bytes() != 1_000_003 {
		t.Errorf("progress: got %d", p.Bytes())
	}
	s := <-served
	if s.Role != Send || s.Bytes != r.Bytes || !s.Intact || s.Streams[3].Delivered != 250_000 {
		t.Errorf("the sender's report: %+v", s)
	}
	for side, r := range map[string]Report{"receiver": r, "sender": s} {
		if !(0 < r.StartNS && r.StartNS <= r.FirstNS && r.FirstNS <= r.LastNS) {
			t.Errorf("%s: times are %d, %d, %d", side, r.StartNS, r.FirstNS, r.LastNS)
		}
	}
	if r.MaxGap <= 0 || r.MaxGap > time.Duration(r.LastNS-r.StartNS) {
		t.Errorf("longest gap: %v of %v", r.MaxGap, time.Duration(r.LastNS-r.StartNS))
	}
}

// rogue serves one stream of a session by hand and says what it sends after the request.
func rogue(t *testing.T, session engine.Session, send func(request, engine.Stream)) {
	t.Helper()
	go func() {
		s, err := session.AcceptStream(t.Context())
		if err != nil {
			return
		}
		defer s.Close()
		var b [requestSize]byte
		if _, err := io.ReadFull(s, b[:]); err != nil {
			return
		}
		r, err := parseRequest(b[:])
		if err != nil {
			return
		}
		send(r, s)
		io.Copy(io.Discard, s)
	}()
}

// segment returns payload as a segment.
func segment(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

// right returns the first n bytes that the request asks for.
func right(r request, n int) []byte {
	b := make([]byte, n)
	pattern{table: newTable(r.seed), seed: r.seed, stream: r.number()}.fill(b, 0)
	return b
}

func TestReceiverFindsFaults(t *testing.T) {
	const size = 1000
	tests := map[string]struct {
		send   func(request, engine.Stream)
		reason string
		failed bool // the call returns an error
	}{
		"a wrong byte": {func(r request, s engine.Stream) {
			b := right(r, size)
			b[777] ^= 4
			s.Write(append(segment(b), 0, 0, 0, 0))
		}, "byte 777 is wrong", false},
		"an early end": {func(r request, s engine.Stream) {
			s.Write(append(segment(right(r, size-1)), 0, 0, 0, 0))
		}, "after 999 of 1000", false},
		"too many bytes": {func(r request, s engine.Stream) {
			s.Write(append(segment(right(r, size+1)), 0, 0, 0, 0))
		}, "1001 bytes came", true},
		"a cut stream": {func(r request, s engine.Stream) {
			s.Write(segment(right(r, size)))
			s.CloseWrite()
		}, "unexpected EOF", true},
		"a huge segment": {func(r request, s engine.Stream) {
			s.Write([]byte{0xff, 0, 0, 0})
		}, "a segment claims", true},
		"bytes after the end": {func(r request, s engine.Stream) {
			s.Write(append(segment(right(r, size)), 0, 0, 0, 0, 9))
		}, "after the end", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, a := sessions(t, 1)
			rogue(t, a[0], func(r request, s engine.Stream) {
				test.send(r, s)
				io.ReadFull(s, make([]byte, verdictSize))
				s.CloseWrite()
			})
			r, err := Bulk{Seed: 5, Bytes: size, Streams: 1}.Request(t.Context(), d, Receive, nil)
			if (err != nil) != test.failed {
				t.Errorf("error: got %v, want one: %t", err, test.failed)
			}
			if r.Intact || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("intact %t, reason %q, want %q", r.Intact, r.Reason, test.reason)
			}
		})
	}
}

func TestSenderBelievesTheReceiver(t *testing.T) {
	tests := map[string]struct {
		answer []byte
		reason string
		failed bool
	}{
		"found a fault":   {verdict{bytes: 1000}.append(nil), "the receiver found a fault", false},
		"read less":       {verdict{bytes: 999, intact: true}.append(nil), "999 bytes of 1000", false},
		"says nothing":    {nil, "read the receiver's verdict", true},
		"says nonsense":   {make([]byte, verdictSize), "no verdict", true},
		"is content":      {verdict{bytes: 1000, intact: true}.append(nil), "", false},
		"stops half-way":  {verdict{bytes: 1000, intact: true}.append(nil)[:9], "read the receiver's verdict", true},
		"negative amount": {verdict{bytes: -1}.append(nil), "the verdict has", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, a := sessions(t, 1)
			rogue(t, a[0], func(_ request, s engine.Stream) {
				io.ReadFull(s, make([]byte, 1000+2*segmentHeader))
				s.Write(test.answer)
				s.CloseWrite()
			})
			r, err := Bulk{Bytes: 1000, Streams: 1}.Request(t.Context(), d, Send, nil)
			if (err != nil) != test.failed {
				t.Errorf("error: got %v, want one: %t", err, test.failed)
			}
			if r.Intact != (test.reason == "") || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("intact %t, reason %q, want %q", r.Intact, r.Reason, test.reason)
			}
		})
	}
}

func TestServeRefusesGarbage(t *testing.T) {
	d, a := sessions(t, 1)
	s, err := d[0].OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Write(make([]byte, requestSize))
	r, err := Serve(t.Context(), a, nil)
	if err == nil || r.Intact || r.Error == "" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestCancelEndsBothSides(t *testing.T) {
	d, a := sessions(t, 2)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	served := make(chan error, 1)
	go func() {
		_, err := Serve(ctx, a, nil)
		served <- err
	}()
	var p Progress
	go func() {
		for p.Bytes() < 1<<20 {
			time.Sleep(time.Millisecond)
		}
		cancel(why)
	}()
	r, err := Bulk{Duration: time.Hour, Streams: 3}.Request(ctx, d, Receive, &p)
	if !errors.Is(err, why) {
		t.Errorf("dialler's side: got %v, want %v", err, why)
	}
	if r.Intact || r.Bytes < 1<<20 || len(r.Streams) != 6 || r.Error != "enough" {
		t.Errorf("the partial report: %+v", r)
	}
	if err := <-served; err == nil { // the cause, or that the dialler's side was faster
		t.Error("the listener's side ends without an error")
	}
}

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		b  Bulk
		ok bool
	}{
		"by size":        {Bulk{Bytes: 1, Streams: 1}, true},
		"by time":        {Bulk{Duration: 1, Streams: 1}, true},
		"neither":        {Bulk{Streams: 1}, false},
		"both":           {Bulk{Bytes: 1, Duration: 1, Streams: 1}, false},
		"negative bytes": {Bulk{Bytes: -1, Duration: 1, Streams: 1}, false},
		"no stream":      {Bulk{Bytes: 1}, false},
		"many streams":   {Bulk{Bytes: 1, Streams: maxStreams + 1}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := test.b.Validate(); (err == nil) != test.ok {
				t.Errorf("got %v, want it fine: %t", err, test.ok)
			}
		})
	}
}
