package workload

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// pair is the two flows of one stream and a clock that they share.
type pair struct {
	*testing.T
	now              int64
	dialler, other   *Flow
	dialled, serving *Exchange
}

func newPair(t *testing.T, b Bulk, role Role) *pair {
	p := &pair{T: t, now: 1}
	clock := func() int64 { return p.now }
	p.dialled, p.serving = NewExchange(clock, nil), NewExchange(clock, nil)
	f, err := p.dialled.Dial(b, role, 1, Place{})
	if err != nil {
		t.Fatal(err)
	}
	p.dialler, p.other = f, p.serving.Serve()
	return p
}

// shift moves up to n bytes from one flow to the other, and its end when it comes to
// that; false when there was nothing to do.
func (p *pair) shift(from, to *Flow, n int, ended *bool) bool {
	p.Helper()
	out := from.Pending()
	out = out[:min(n, len(out))]
	if err := to.Read(out); err != nil {
		p.Fatal(err)
	}
	from.Wrote(len(out))
	if len(out) > 0 {
		return true
	}
	if from.Ending() && !*ended {
		*ended = true
		if err := to.End(); err != nil {
			p.Fatal(err)
		}
		return true
	}
	return false
}

// Whatever the pieces in which the bytes travel, both sides end, and agree.
func TestFlowsInPieces(t *testing.T) {
	for _, role := range []Role{Send, Receive} {
		for _, b := range []Bulk{
			{Seed: 3, Bytes: 700_001, Streams: 1},
			{Seed: 4, Duration: 300 * time.Millisecond, Streams: 1},
		} {
			p := newPair(t, b, role)
			rng := rand.New(rand.NewPCG(1, uint64(b.Seed)))
			var ends [2]bool
			for p.now < int64(time.Minute) && !(p.dialler.Done() && p.other.Done()) {
				p.now += int64(time.Millisecond)
				there := p.shift(p.dialler, p.other, 1+rng.IntN(5000), &ends[0])
				back := p.shift(p.other, p.dialler, 1+rng.IntN(5000), &ends[1])
				if !there && !back {
					t.Fatalf("%v: stuck: the dialler waits for %s, the listener for %s", role, p.dialler.Waiting(), p.other.Waiting())
				}
			}
			d, s := p.dialled.Report(nil), p.serving.Report(nil)
			if !d.Intact || !s.Intact || d.Bytes != s.Bytes || d.Bytes == 0 || d.Role != role || s.Role != role.peer() {
				t.Errorf("%v: reports %+v and %+v do not agree on an intact transfer", role, d, s)
			}
			if b.Bytes > 0 && d.Bytes != b.Bytes {
				t.Errorf("%v: %d bytes, want %d", role, d.Bytes, b.Bytes)
			}
			sender := d
			if role == Receive {
				sender = s
			}
			// What was begun before the time was up is written out: one segment more.
			if took := time.Duration(sender.LastNS - sender.StartNS); b.Duration > 0 && (took < b.Duration || took > b.Duration+300*time.Millisecond) {
				t.Errorf("%v: it sent for %v, want %v and a segment", role, took, b.Duration)
			}
		}
	}
}

// Once the receiver's verdict is there, the dialler has nothing to wait for, and the
// listener only for the dialler.
func TestWhoWaitsForWhom(t *testing.T) {
	for _, role := range []Role{Send, Receive} {
		p := newPair(t, Bulk{Seed: 1, Bytes: 1000, Streams: 1}, role)
		var ends [2]bool
		for !p.dialler.Ending() && !p.other.Ending() {
			if !p.shift(p.dialler, p.other, 1<<20, &ends[0]) {
				p.shift(p.other, p.dialler, 1<<20, &ends[1])
			}
		}
		switch role {
		case Send:
			if !p.dialler.Done() || !p.other.Lingering() {
				t.Errorf("the dialler sent: it is done %v, the listener lingers %v; want both", p.dialler.Done(), p.other.Lingering())
			}
		case Receive:
			if p.dialler.Done() || !p.other.Ending() || !p.other.Lingering() {
				t.Errorf("the dialler received: it is done %v before the listener, which has had the verdict, ended", p.dialler.Done())
			}
		}
		if p.dialler.Lingering() {
			t.Errorf("%v: the dialler lingers", role)
		}
	}
}

func TestFlowRefusesWhatIsNotDue(t *testing.T) {
	b := Bulk{Seed: 1, Bytes: 10, Streams: 1}
	tests := []struct {
		name string
		do   func(p *pair) error
		want string
	}{
		{"the end before a request", func(p *pair) error { return p.other.End() }, "read a request: unexpected EOF"},
		{"the end before the data", func(p *pair) error { return p.dialler.End() }, "read at offset 0: unexpected EOF"},
		{"garbage for a request", func(p *pair) error { return p.other.Read(make([]byte, requestSize)) }, "no request"},
		{"a second request for the stream", func(p *pair) error {
			again := p.dialler.Pending()
			if err := p.other.Read(again); err != nil {
				return err
			}
			return p.serving.Serve().Read(again)
		}, "contradicts an earlier one"},
		{"a request that turns the roles round", func(p *pair) error {
			if err := p.other.Read(p.dialler.Pending()); err != nil {
				return err
			}
			other := request{role: Send, stream: 1, streams: 2, seed: 1, bytes: 10}
			return p.serving.Serve().Read(other.append(nil))
		}, "contradicts an earlier one"},
		{"bytes after the data", func(p *pair) error {
			var ended bool
			for !p.dialler.cut.ended {
				p.shift(p.dialler, p.other, 1000, &ended)
				p.shift(p.other, p.dialler, 1000, &ended)
			}
			return p.dialler.Read([]byte{0})
		}, "1 more bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(newPair(t, b, Receive))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
		})
	}
	p := newPair(t, b, Send)
	if err := p.dialler.Read([]byte{0}); err == nil {
		t.Error("a sender took bytes before it had sent its own")
	}
}
