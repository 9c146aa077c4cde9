package workload

import (
	"context"
	"encoding/base64"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tquiclab/tquiclab/engine"
)

// calls is requests at 200/s for half a second; frames is as many frames.
func calls() Paced {
	return Paced{Kind: RPC, Seed: 3, Count: 100, Duration: 500 * time.Millisecond, Size: 100, Response: 3000, Drain: 5 * time.Second, Streams: 1}
}

func frames() Paced {
	return Paced{Kind: CBR, Seed: 3, Count: 100, Duration: 500 * time.Millisecond, Size: 5000, Deadline: 200 * time.Millisecond, Drain: 5 * time.Second, Streams: 1}
}

type outcome struct {
	Report
	err error
}

// exchange runs w with the dialler in the given role and returns what the sender and
// the receiver of the data say.
func exchange(t *testing.T, w Paced, role Role, d, a []engine.Session) (sender, receiver outcome) {
	t.Helper()
	served := make(chan outcome, 1)
	go func() {
		r, err := ServePaced(t.Context(), a, nil)
		served <- outcome{r, err}
	}()
	r, err := w.Request(t.Context(), d, role, nil)
	sender, receiver = outcome{r, err}, <-served
	if role == Receive {
		sender, receiver = receiver, sender
	}
	return sender, receiver
}

func TestPacedDeliversEverything(t *testing.T) {
	for _, w := range []Paced{calls(), frames()} {
		for _, role := range []Role{Send, Receive} {
			for _, streams := range []int{1, 3} {
				t.Run(w.Kind.String()+" "+role.String(), func(t *testing.T) {
					w.Streams = streams
					d, a := sessions(t, 2)
					s, r := exchange(t, w, role, d, a)
					if s.err != nil || r.err != nil || !s.Intact || !r.Intact {
						t.Fatalf("sender %v %q, receiver %v %q", s.err, s.Reason, r.err, r.Reason)
					}
					want := w.Count * int64(w.bytes())
					if s.Bytes != want || r.Bytes != want || len(r.Streams) != 2*streams {
						t.Errorf("sent %d, received %d bytes on %d streams, want %d on %d", s.Bytes, r.Bytes, len(r.Streams), want, 2*streams)
					}
					p := r.Paced
					if p == nil || p.Messages != w.Count || p.Delivered != w.Count || p.Lost() != 0 || p.Latency.Count != w.Count {
						t.Fatalf("the receiver says %+v, want %d messages, all there", p, w.Count)
					}
					if l := p.Latency; l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max || p.MaxGap <= 0 {
						t.Errorf("percentiles %+v, gap %v", l, p.MaxGap)
					}
					// An open loop lasts as long as it was meant to.
					if d := time.Duration(r.LastNS - r.StartNS); d < 450*time.Millisecond {
						t.Errorf("over after %v, want about %v", d, w.Duration)
					}
				})
			}
		}
	}
}

// The histogram is what any HdrHistogram tool reads.
func TestHistogramIsReadable(t *testing.T) {
	l := newLatencies()
	for i := range int64(1000) {
		l.add((i + 1) * int64(time.Millisecond))
	}
	l.add(-5)
	s, err := l.summary()
	if err != nil {
		t.Fatal(err)
	}
	h, err := hdrhistogram.Decode([]byte(s.HDR))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := base64.StdEncoding.DecodeString(s.HDR); err != nil {
		t.Errorf("it is no base64: %v", err)
	}
	if h.TotalCount() != 1001 || h.Max()/1000 < 999 || h.SignificantFigures() != 3 {
		t.Errorf("decoded: %d values up to %d with %d digits, want 1001 up to 1 s in us with 3", h.TotalCount(), h.Max(), h.SignificantFigures())
	}
	for name, got := range map[time.Duration]time.Duration{500 * time.Millisecond: s.P50, 990 * time.Millisecond: s.P99, time.Second: s.Max} {
		if d := got - name; d.Abs() > name/500 {
			t.Errorf("got %v, want %v within 0.2 %%", got, name)
		}
	}
}

// stalled is a session whose streams read nothing for a while, once, after so many
// reads.
type stalled struct {
	engine.Session
	after, reads atomic.Int64
	pause        time.Duration
}

func (s *stalled) AcceptStream(ctx context.Context) (engine.Stream, error) {
	stream, err := s.Session.AcceptStream(ctx)
	return &stalledStream{stream, s}, err
}

type stalledStream struct {
	engine.Stream
	of *stalled
}

func (s *stalledStream) Read(b []byte) (int, error) {
	if s.of.reads.Add(1) == s.of.after.Load() {
		time.Sleep(s.of.pause)
	}
	return s.Stream.Read(b)
}

// A server that stands still for 200 ms of 500 makes two requests of five slow, though
// a client that waits for each answer would have seen a single slow one.
func TestStallIsInThePercentiles(t *testing.T) {
	d, a := sessions(t, 1)
	s := &stalled{Session: a[0], pause: 200 * time.Millisecond}
	s.after.Store(20)
	_, r := exchange(t, calls(), Receive, d, []engine.Session{s})
	if r.err != nil || r.Paced == nil || r.Paced.Delivered != 100 {
		t.Fatalf("%v: %+v", r.err, r.Paced)
	}
	h, err := hdrhistogram.Decode([]byte(r.Paced.Latency.HDR))
	if err != nil {
		t.Fatal(err)
	}
	slow := int64(0)
	for _, b := range h.Distribution() {
		if b.From >= 20_000 { // us
			slow += b.Count
		}
	}
	if slow < 30 {
		t.Errorf("%d of 100 requests took 20 ms or more, want about 36: those that were due in 180 ms of the stall", slow)
	}
	if p := r.Paced.Latency.P90; p < 100*time.Millisecond {
		t.Errorf("p90 is %v, want about 150 ms: a tenth was due in the first 50 ms of the stall", p)
	}
}

// Frames behind a stall of 300 ms are late by their own deadline of 200 ms.
func TestLateFrames(t *testing.T) {
	d, a := sessions(t, 1)
	s := &stalled{Session: a[0], pause: 300 * time.Millisecond}
	s.after.Store(20)
	_, r := exchange(t, frames(), Send, d, []engine.Session{s})
	if r.err != nil || r.Paced.Lost() != 0 {
		t.Fatalf("%v: %+v", r.err, r.Paced)
	}
	if r.Paced.Late < 10 || r.Paced.Late > 60 {
		t.Errorf("%d frames were late, want about 20: those that were due in 100 ms", r.Paced.Late)
	}
	if r.Paced.MaxGap < 290*time.Millisecond {
		t.Errorf("longest gap %v, want the stall", r.Paced.MaxGap)
	}
}

// stuck is a session whose first stream takes nothing for a while, once, after so many
// writes.
type stuck struct {
	engine.Session
	after, writes atomic.Int64
	pause         time.Duration
}

func (s *stuck) OpenStream(ctx context.Context) (engine.Stream, error) {
	stream, err := s.Session.OpenStream(ctx)
	return &stuckStream{stream, s}, err
}

type stuckStream struct {
	engine.Stream
	of *stuck
}

func (s *stuckStream) Write(b []byte) (int, error) {
	if s.of.writes.Add(1) == s.of.after.Load() {
		time.Sleep(s.of.pause)
	}
	return s.Stream.Write(b)
}

// What could not even be written in time is late: its age counts from when it was due.
func TestBlockedSenderMakesMessagesLate(t *testing.T) {
	for _, w := range []Paced{calls(), frames()} {
		role := Send
		if w.Kind == RPC {
			role = Receive // the dialler asks
		}
		d, a := sessions(t, 1)
		s := &stuck{Session: d[0], pause: 300 * time.Millisecond}
		s.after.Store(20)
		_, r := exchange(t, w, role, []engine.Session{s}, a)
		if r.err != nil || r.Paced.Lost() != 0 {
			t.Fatalf("%v: %v: %+v", w.Kind, r.err, r.Paced)
		}
		if p := r.Paced; p.Latency.P90 < 150*time.Millisecond || w.Kind == CBR && p.Late < 10 {
			t.Errorf("%v: p90 %v, %d late; want the messages that were due in the 300 ms of the stop to have waited for its end", w.Kind, p.Latency.P90, p.Late)
		}
	}
}

// A transport that stands still for good loses what was on its way, and the exchange
// ends all the same.
func TestOverdueIsLost(t *testing.T) {
	for _, w := range []Paced{calls(), frames()} {
		t.Run(w.Kind.String(), func(t *testing.T) {
			w.Drain = 100 * time.Millisecond
			d, a := sessions(t, 1)
			role := Send
			if w.Kind == RPC {
				role = Receive // the listener answers, and stands still
			}
			s := &stalled{Session: a[0], pause: time.Second}
			s.after.Store(20)
			_, r := exchange(t, w, role, d, []engine.Session{s})
			if r.err != nil || r.Error != "" {
				t.Fatalf("%v: %+v", r.err, r.Report)
			}
			p := r.Paced
			if p.Lost() < 10 || p.Delivered < 5 || !r.Intact {
				t.Errorf("%+v, intact %v; want some delivered, the others lost, what came intact", p, r.Intact)
			}
			if w.Kind == RPC && p.Latency.Count != w.Count {
				t.Errorf("%d times of %d requests: those without an answer count with what they waited", p.Latency.Count, w.Count)
			}
			if w.Kind == CBR && p.Latency.Count != p.Delivered {
				t.Errorf("%d times of %d frames", p.Latency.Count, p.Delivered)
			}
		})
	}
}

func TestPacedEndsWithTheContext(t *testing.T) {
	d, a := sessions(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	go ServePaced(ctx, a, nil)
	r, err := frames().Request(ctx, d, Send, nil)
	if err == nil || r.Error == "" || r.Intact {
		t.Errorf("%v, %+v; want the context's error", err, r)
	}
}

// rogueFrames serves a stream by hand, after its request.
func rogueFrames(t *testing.T, session engine.Session, send func(pacedRequest, engine.Stream)) {
	t.Helper()
	go func() {
		s, err := session.AcceptStream(t.Context())
		if err != nil {
			return
		}
		defer s.Close()
		var b [pacedSize]byte
		if _, err := io.ReadFull(s, b[:]); err != nil {
			return
		}
		r, err := parsePaced(b[:])
		if err != nil {
			return
		}
		send(r, s)
		io.Copy(io.Discard, s)
	}()
}

// rightFrame returns frame i of a single stream.
func rightFrame(r pacedRequest, i int64) []byte {
	b := make([]byte, r.Size)
	message{size: r.Size, index: i, due: 1}.put(b)
	p := pattern{table: newTable(r.Seed), seed: r.Seed, stream: 0}
	p.fill(b[messageHeader:], i*int64(r.Size-messageHeader))
	return b
}

func TestReceiverFindsWrongFrames(t *testing.T) {
	for name, test := range map[string]struct {
		send   func(pacedRequest, engine.Stream)
		reason string
		failed bool
	}{
		"a wrong byte": {func(r pacedRequest, s engine.Stream) {
			b := rightFrame(r, 0)
			b[1000] ^= 1
			s.Write(b)
			s.Write(rightFrame(r, 1))
			s.CloseWrite()
		}, "message 0 is wrong at byte 976", false},
		"another frame": {func(r pacedRequest, s engine.Stream) { s.Write(rightFrame(r, 1)) }, "message 1 of 5000 bytes came where message 0", true},
		"an early end":  {func(r pacedRequest, s engine.Stream) { s.Write(rightFrame(r, 0)); s.CloseWrite() }, "ended at message 1", true},
		"too much": {func(r pacedRequest, s engine.Stream) {
			s.Write(append(append(rightFrame(r, 0), rightFrame(r, 1)...), 7))
		}, "1 more bytes", true},
	} {
		t.Run(name, func(t *testing.T) {
			d, a := sessions(t, 1)
			w := frames()
			w.Count = 2
			rogueFrames(t, a[0], test.send)
			r, err := w.Request(t.Context(), d, Receive, nil)
			if (err != nil) != test.failed || r.Intact || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("%v, intact %v, %q; want failed %v and %q", err, r.Intact, r.Reason, test.failed, test.reason)
			}
		})
	}
}

func TestPacedValidate(t *testing.T) {
	for name, change := range map[string]func(*Paced){
		"kind":     func(w *Paced) { w.Kind = 9 },
		"count":    func(w *Paced) { w.Count = 0 },
		"duration": func(w *Paced) { w.Duration = 0 },
		"size":     func(w *Paced) { w.Size = MinMessage - 1 },
		"huge":     func(w *Paced) { w.Size = MaxMessage + 1 },
		"streams":  func(w *Paced) { w.Streams = 0 },
		"deadline": func(w *Paced) { w.Deadline = 0 },
		"response": func(w *Paced) { w.Response = 100 },
		"drain":    func(w *Paced) { w.Drain = -1 },
	} {
		w := frames()
		change(&w)
		if w.Validate() == nil {
			t.Errorf("%s: %+v is valid", name, w)
		}
	}
	if w := calls(); w.Validate() != nil || frames().Validate() != nil {
		t.Error("a sound exchange is not valid")
	}
}

func TestMessagesAreDueEvenly(t *testing.T) {
	w := Paced{Count: 1 << 40, Duration: maxPaced}
	if got, most := w.due(w.Count-1), int64(maxPaced); got >= most || got < most-int64(10*time.Millisecond) {
		t.Errorf("the last of many is due after %d of %d ns", got, most)
	}
	w = Paced{Count: 3, Duration: time.Second}
	if w.due(0) != 0 || w.due(1) != 333333333 || w.due(2) != 666666666 {
		t.Errorf("due after %d, %d, %d ns", w.due(0), w.due(1), w.due(2))
	}
	for all := range int64(5) {
		sum := int64(0)
		for k := range all + 1 {
			sum += w.on(k, all+1)
		}
		if sum != w.Count {
			t.Errorf("%d streams carry %d messages, want %d", all+1, sum, w.Count)
		}
	}
}

func FuzzParsePaced(f *testing.F) {
	for _, w := range []Paced{calls(), frames()} {
		f.Add(pacedRequest{Paced: w, role: Send, session: 1, sessions: 2}.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parsePaced(b)
		if err != nil {
			return
		}
		if again, err := parsePaced(r.append(nil)); err != nil || again != r {
			t.Errorf("%+v is written as %+v, %v", r, again, err)
		}
		if n := r.messages(); n < 0 || n > 0 && r.due(r.index(n-1)) >= int64(r.Duration) {
			t.Errorf("%+v: %d messages, the last due after %d", r, n, r.due(r.index(n-1)))
		}
	})
}

// FuzzPacedRead: whatever a peer sends, the flow says so or goes on.
func FuzzPacedRead(f *testing.F) {
	ask := pacedRequest{Paced: calls(), role: Receive, sessions: 1}.append(nil)
	f.Add(ask, uint8(1))
	f.Add(append(ask, make([]byte, 200)...), uint8(50))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		clock := int64(1)
		flow := NewPacedExchange(func() int64 { clock++; return clock }, nil).Serve()
		for len(b) > 0 {
			n := min(len(b), int(piece)+1)
			if flow.Read(b[:n]) != nil {
				return
			}
			b = b[n:]
			flow.Wrote(len(flow.Pending()))
			flow.Due()
		}
		_ = flow.End()
	})
}

// A message that is there before the clock starts, since it overtook the request of another
// stream, ends no gap.
func TestNoGapBeforeTheStart(t *testing.T) {
	now := int64(time.Hour)
	x := NewPacedExchange(func() int64 { return now }, nil)
	x.plan.Count = 2
	x.deliver(now)
	x.begin()
	now += int64(30 * time.Millisecond)
	x.deliver(now)
	if got := time.Duration(x.gap); got != 30*time.Millisecond {
		t.Errorf("the longest gap is %v, want 30 ms", got)
	}
}
