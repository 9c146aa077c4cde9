package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

func TestIdleTimeout(t *testing.T) {
	// RFC 9000, section 10.1: the smaller one of both, or the only one; it MUST be at
	// least three times the PTO.
	tests := []struct {
		name            string
		own, peer, pto  time.Duration
		want            time.Duration // 0: never
		keepAlive, ping time.Duration // 0: never
	}{
		{name: "own is less", own: 10 * time.Second, peer: 20 * time.Second, want: 10 * time.Second},
		{name: "the peer's is less", own: 30 * time.Second, peer: 20 * time.Second, want: 20 * time.Second},
		{name: "own only", own: 30 * time.Second, want: 30 * time.Second},
		{name: "the peer's only", peer: 20 * time.Second, want: 20 * time.Second},
		{name: "none"},
		{name: "none of ours", own: -1},
		{name: "three PTOs", own: time.Second, pto: 400 * time.Millisecond, want: 1200 * time.Millisecond},
		{name: "keep-alive", own: 30 * time.Second, want: 30 * time.Second, keepAlive: 10 * time.Second, ping: 10 * time.Second},
		{name: "keep-alive before the end", own: 30 * time.Second, peer: 10 * time.Second, want: 10 * time.Second, keepAlive: 10 * time.Second, ping: 5 * time.Second},
		{name: "keep-alive without a timeout", keepAlive: time.Second, ping: time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var i idle
			i.init(partsTestStart, tt.own, tt.keepAlive)
			i.setPeer(tt.peer)
			idleTestWant(t, "timeout", i.deadline(tt.pto), tt.want)
			idleTestWant(t, "keep-alive", i.keepAliveDeadline(), tt.ping)
		})
	}
}

func idleTestWant(t *testing.T, what string, got clock.Time, after time.Duration) {
	t.Helper()
	want := clock.Never
	if after > 0 {
		want = partsTestStart.Add(after)
	}
	if got != want {
		t.Errorf("%s at %d, want %d", what, got, want)
	}
}

func TestIdleRestarts(t *testing.T) {
	// RFC 9000, section 10.1: on receipt, and on the first ack-eliciting packet sent
	// after one.
	var i idle
	i.init(partsTestStart, 30*time.Second, 20*time.Second)
	at := func(s int) clock.Time { return partsTestStart.Add(time.Duration(s) * time.Second) }
	want := func(timeout, ping int) {
		t.Helper()
		idleTestWant(t, "timeout", i.deadline(0), time.Duration(timeout)*time.Second)
		idleTestWant(t, "keep-alive", i.keepAliveDeadline(), time.Duration(ping)*time.Second)
	}
	want(30, 15)
	i.sentEliciting(at(5))
	want(35, 20)
	i.sentEliciting(at(6))
	want(35, 21)
	i.received(at(7))
	want(37, 22)
	i.sentEliciting(at(8))
	want(38, 23)
	i.sentEliciting(at(9))
	want(38, 24)
}
