package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

func TestLateness(t *testing.T) {
	const ms = time.Millisecond
	var l lateness
	now := clock.Time(0)
	observe := func(n int, d time.Duration) {
		for range n {
			now = now.Add(ms)
			l.observe(now, d)
		}
	}
	want := func(what string, d time.Duration, ok bool) {
		t.Helper()
		if got, enough := l.worst(); got != d || enough != ok {
			t.Errorf("%s: %v, %v; want %v, %v", what, got, enough, d, ok)
		}
	}
	observe(lateEnough-1, -3*ms)
	want("all early, one too few", 0, false)
	observe(1, 7*ms)
	want("one late", 7*ms, true)
	observe(10, 2*ms)
	want("less late", 7*ms, true)
	now = now.Add(lateFor)
	observe(1, 4*ms)
	want("a span later", 7*ms, true)
	now = now.Add(lateFor)
	observe(1, 3*ms)
	want("two spans later, with two acknowledgements", 4*ms, false)
	observe(lateEnough, ms)
	want("with more of them", 4*ms, true)
	now = now.Add(3 * lateFor)
	observe(lateEnough, ms)
	want("after a pause", ms, true)
}

// A path of even round trips is suspect soon after it falls silent, also when its round
// trip has just changed a lot.
func TestSlackIsLearned(t *testing.T) {
	b := newBond(t, 2, "minrtt", []line{{delay: 30 * time.Millisecond, rate: 2e6}, {delay: 40 * time.Millisecond, rate: 2e6}})
	b.openAll()
	c := b.server()
	p := c.pathByID(0)
	p.vitals.late = lateness{}
	if got, want := c.slack(p), c.mostSlack(p); got != want {
		t.Errorf("slack %v before any acknowledgement, want %v", got, want)
	}
	for range lateEnough {
		p.vitals.late.observe(b.now, 4*time.Millisecond)
	}
	if got, want := c.slack(p), 4*time.Millisecond*3/2+leastSlack; got != want || got >= c.mostSlack(p) {
		t.Errorf("slack %v with acknowledgements late by 4 ms, want %v, less than %v", got, want, c.mostSlack(p))
	}
	p.vitals.late.observe(b.now, time.Second)
	if got, want := c.slack(p), c.mostSlack(p); got != want {
		t.Errorf("slack %v after one was late by a second, want %v at most", got, want)
	}
}
