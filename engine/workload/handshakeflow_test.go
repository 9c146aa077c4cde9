package workload

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// hands is both sides' books with a clock that the test turns.
type hands struct {
	t        *testing.T
	at       int64
	dialler  *HandshakeDialler
	listener *HandshakeListener
	control  *DiallerControl
	serves   *ListenerControl
}

func newHands(t *testing.T) *hands {
	h := &hands{t: t, at: int64(time.Hour)}
	plan := Handshake{Seed: 7, Parallel: 1, Duration: time.Second, Bound: time.Second}
	now := func() int64 { return h.at }
	h.dialler = NewHandshakeDialler(plan, Receive, now, nil)
	h.listener = NewHandshakeListener(plan, Send, now, nil)
	h.control, h.serves = h.dialler.Control(), h.listener.Control()
	return h
}

func (h *hands) wait(d time.Duration) { h.at += int64(d) }

// end is one end of a stream.
type end interface {
	Pending() []byte
	Wrote(n int)
	Read(data []byte) error
}

// carry moves what from has to say to the other end, byte after byte.
func (h *hands) carry(from, to end) error {
	h.t.Helper()
	for len(from.Pending()) > 0 {
		b := from.Pending()[0]
		from.Wrote(1)
		if err := to.Read([]byte{b}); err != nil {
			return err
		}
	}
	return nil
}

func (h *hands) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// session is one that is open after 3 ms, and whose answer begins 4 ms and ends 5 ms
// later.
func (h *hands) session() {
	h.t.Helper()
	ask, answer := h.dialler.Dial(), h.listener.Answer()
	h.wait(3 * time.Millisecond)
	ask.Opened()
	h.wait(2 * time.Millisecond)
	h.must(h.carry(ask, answer))
	h.wait(2 * time.Millisecond)
	first := answer.Pending()[:1]
	h.must(ask.Read(first))
	answer.Wrote(1)
	h.wait(time.Millisecond) // for the rest, which no time counts to
	h.must(h.carry(answer, ask))
	if !ask.Done() {
		h.t.Fatal("no answer came")
	}
}

func TestHandshakeFlows(t *testing.T) {
	h := newHands(t)
	if _, ok := h.listener.Overdue(); ok {
		t.Error("the listener waits for a dialler that has said nothing")
	}
	h.must(h.carry(h.control, h.serves))
	h.dialler.Start()
	if at, ok := h.listener.Overdue(); !ok || at != h.at+int64(3*time.Second) {
		t.Errorf("the listener waits until %v, %v; want a duration and two bounds", time.Duration(at-h.at), ok)
	}
	for range 3 {
		h.session()
	}
	failed := h.dialler.Dial()
	if at, why := failed.Overdue(); at != h.at+int64(time.Second) || !strings.Contains(why.Error(), "no answer after 1s") {
		t.Errorf("overdue at %v for %v", time.Duration(at-h.at), why)
	}
	failed.Fail(errors.New("the cable is cut"))
	if !h.dialler.More() {
		t.Error("no more sessions before the time is over")
	}
	h.wait(time.Second - 24*time.Millisecond)
	if h.dialler.More() {
		t.Error("more sessions although the time is over")
	}
	h.dialler.End()
	h.control.Over()
	h.must(h.carry(h.control, h.serves))
	if !h.serves.Over() {
		t.Fatal("the listener does not know that all is over")
	}
	h.must(h.carry(h.serves, h.control))
	if !h.control.Done() {
		t.Error("no verdict came")
	}
	d, l := h.dialler.Report(nil), h.listener.Report(nil)
	if !d.Intact || !l.Intact || d.Role != Receive || l.Role != Send || d.Bytes != 3*answerSize || l.Bytes != 3*answerSize {
		t.Errorf("dialler %+v, listener %+v; want three answers, intact", d, l)
	}
	r := d.Handshake
	if r.Done != 3 || r.Failed != 1 || r.Reason != "the cable is cut" || r.Elapsed != time.Second || r.MaxGap != time.Second-24*time.Millisecond {
		t.Errorf("%+v", r)
	}
	// The histogram's digits: 3 and 7 ms are exact within 0.1 %.
	for name, times := range map[string][2]time.Duration{
		"dial": {r.Dial.Max, 3 * time.Millisecond}, "first byte": {r.FirstByte.Max, 7 * time.Millisecond},
	} {
		if got, want := times[0], times[1]; got < want || got > want+want/1000 {
			t.Errorf("%s took %v, want %v", name, got, want)
		}
	}
}

// What is no answer, no ask, no word or no verdict is an error on the side that reads it.
func TestHandshakeFlowsRefuse(t *testing.T) {
	h := newHands(t)
	ask := h.dialler.Dial()
	ask.Opened()
	tests := []struct {
		name string
		to   end
		text string
		want string
	}{
		{"an answer", ask, "ANSWERED", "the answer to session 1 is wrong"},
		{"an ask", h.listener.Answer(), "TQL-PONG12345678", "is no ask"},
		{"a word", h.serves, "TQL-WHAT", "another word was due"},
		{"a verdict", h.control, strings.Repeat("x", verdictSize), "no verdict"},
	}
	for _, tt := range tests {
		if err := tt.to.Read([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if r := h.dialler.Report(nil); r.Intact || !strings.Contains(r.Reason, "session 1") {
		t.Errorf("%+v: want it not intact", r)
	}
}

// A listener that says that it has answered less than was read is found out.
func TestHandshakeVerdictIsCompared(t *testing.T) {
	h := newHands(t)
	h.must(h.carry(h.control, h.serves))
	h.dialler.Start()
	h.session()
	h.dialler.End()
	err := h.control.Read(verdict{bytes: 0, intact: true}.append(nil))
	if err == nil || !strings.Contains(err.Error(), "the dialler has read 1 answers") {
		t.Errorf("got %v, want the contradiction", err)
	}
}
