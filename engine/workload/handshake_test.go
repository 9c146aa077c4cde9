package workload

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/tcp"
)

// handshakes runs h over loopback; dial may be nil.
func handshakes(t *testing.T, h Handshake, dial func(context.Context) (engine.Session, error)) (dialler, listener Report, err error) {
	t.Helper()
	e := tcp.New()
	l, err := e.Listen(t.Context(), engine.Config{Paths: []engine.Path{{Local: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := engine.Config{Paths: []engine.Path{{Remote: l.Paths()[0].Local}}}
	real := func(ctx context.Context) (engine.Session, error) { return e.Dial(ctx, c) }
	control, err := real(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	accepted, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	served := make(chan outcome, 1)
	go func() {
		r, err := h.Serve(t.Context(), accepted, Send, l.Accept, nil)
		served <- outcome{r, err}
	}()
	if dial == nil {
		dial = real
	}
	dialler, err = h.Request(t.Context(), control, Receive, dial, nil)
	s := <-served
	return dialler, s.Report, errors.Join(err, s.err)
}

func TestHandshakes(t *testing.T) {
	for _, parallel := range []int{1, 4} {
		h := Handshake{Seed: 1, Parallel: parallel, Duration: 200 * time.Millisecond, Bound: 5 * time.Second}
		began := time.Now()
		d, l, err := handshakes(t, h, nil)
		if took := time.Since(began); took >= h.Bound {
			t.Errorf("it took %v: the dialler's last word, or the verdict, went missing", took)
		}
		if err != nil || !d.Intact || !l.Intact || d.Handshake == nil {
			t.Fatalf("%v: dialler %+v, listener %+v", err, d, l)
		}
		r := d.Handshake
		if r.Done < 5 || r.Failed != 0 || r.Dial.Count != r.Done || r.FirstByte.Count != r.Done || l.Bytes != r.Done*answerSize {
			t.Errorf("%d done, %d failed, %d and %d times, the listener answered with %d bytes", r.Done, r.Failed, r.Dial.Count, r.FirstByte.Count, l.Bytes)
		}
		if r.Dial.P50 <= 0 || r.FirstByte.P50 < r.Dial.P50 || r.Elapsed < h.Duration || r.MaxGap <= 0 {
			t.Errorf("dial %v, first byte %v, elapsed %v, gap %v", r.Dial.P50, r.FirstByte.P50, r.Elapsed, r.MaxGap)
		}
	}
}

// Failed sessions are counted, with the reason of the first, and others go on.
func TestFailedHandshakesAreCounted(t *testing.T) {
	var n atomic.Int64
	h := Handshake{Seed: 1, Parallel: 2, Duration: 100 * time.Millisecond, Bound: 20 * time.Millisecond}
	d, _, err := handshakes(t, h, func(ctx context.Context) (engine.Session, error) {
		if n.Add(1) == 1 {
			return nil, errors.New("the cable is cut")
		}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	if err != nil || d.Handshake.Done != 0 || d.Handshake.Failed < 3 || !strings.Contains(d.Handshake.Reason, "the cable is cut") {
		t.Errorf("%v: %+v; want failures only, the first of them named", err, d.Handshake)
	}
	if d.Handshake.MaxGap < h.Duration {
		t.Errorf("longest gap %v, want all of %v", d.Handshake.MaxGap, h.Duration)
	}
}

// gone is a session whose stream takes the first word and then nothing more.
type gone struct {
	engine.Session
	after time.Duration
}

func (s gone) OpenStream(ctx context.Context) (engine.Stream, error) {
	stream, err := s.Session.OpenStream(ctx)
	return &goneStream{Stream: stream, until: time.Now().Add(s.after), closed: make(chan struct{})}, err
}

type goneStream struct {
	engine.Stream
	until  time.Time
	once   sync.Once
	closed chan struct{}
}

func (s *goneStream) Write(b []byte) (int, error) {
	if time.Now().Before(s.until) {
		return s.Stream.Write(b)
	}
	return len(b), nil // into a hole
}

func (s *goneStream) Read([]byte) (int, error) {
	<-s.closed
	return 0, net.ErrClosed
}

func (s *goneStream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil // the peer hears nothing of it
}

// Both sides come to their end, with what they know, when the network is gone by then.
func TestHandshakesEndWithoutTheNetwork(t *testing.T) {
	e := tcp.New()
	l, err := e.Listen(t.Context(), engine.Config{Paths: []engine.Path{{Local: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := engine.Config{Paths: []engine.Path{{Remote: l.Paths()[0].Local}}}
	dial := func(ctx context.Context) (engine.Session, error) { return e.Dial(ctx, c) }
	control, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	accepted, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	h := Handshake{Parallel: 1, Duration: 200 * time.Millisecond, Bound: 200 * time.Millisecond}
	served := make(chan outcome, 1)
	go func() {
		r, err := h.Serve(t.Context(), accepted, Send, l.Accept, nil)
		served <- outcome{r, err}
	}()
	r, err := h.Request(t.Context(), gone{control, 100 * time.Millisecond}, Receive, dial, nil)
	s := <-served
	if err != nil || s.err != nil || !r.Intact || r.Handshake.Done == 0 || s.Bytes == 0 {
		t.Errorf("dialler %v: %+v, listener %v: %+v; want what was answered, and no error", err, r, s.err, s.Report)
	}
}

// impostor is a session whose answers are wrong.
type impostor struct{ engine.Session }

func (s impostor) OpenStream(ctx context.Context) (engine.Stream, error) {
	stream, err := s.Session.OpenStream(ctx)
	return wrongReads{stream}, err
}

type wrongReads struct{ engine.Stream }

func (s wrongReads) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	for i := range b[:n] {
		b[i] ^= 1
	}
	return n, err
}

func TestWrongAnswersAreSeen(t *testing.T) {
	e := tcp.New()
	l, err := e.Listen(t.Context(), engine.Config{Paths: []engine.Path{{Local: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := engine.Config{Paths: []engine.Path{{Remote: l.Paths()[0].Local}}}
	control, err := e.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	accepted, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	h := Handshake{Parallel: 1, Duration: 50 * time.Millisecond, Bound: time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Serve(t.Context(), accepted, Send, l.Accept, nil)
	}()
	r, err := h.Request(t.Context(), control, Receive,
		func(ctx context.Context) (engine.Session, error) {
			s, err := e.Dial(ctx, c)
			if err != nil {
				return nil, err
			}
			return impostor{s}, nil
		}, nil)
	<-done
	if err != nil || r.Intact || !strings.Contains(r.Reason, "the answer to session") || r.Handshake.Failed == 0 {
		t.Errorf("%v: %+v %+v; want it not intact", err, r, r.Handshake)
	}
}
