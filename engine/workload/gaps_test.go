package workload

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// metered is a meter whose clock the test turns.
type metered struct {
	meter
	at atomic.Int64
}

func newMetered() *metered {
	m := &metered{}
	m.now, m.progress = m.at.Load, new(Progress)
	m.at.Store(int64(time.Hour)) // clocks are not at zero when a transfer starts
	return m
}

// wait turns the clock on, and has a byte come.
func (m *metered) wait(d time.Duration) {
	m.at.Add(int64(d))
	m.moved(1)
}

func TestGaps(t *testing.T) {
	const ms = time.Millisecond
	m := newMetered()
	m.begin()
	for _, d := range []time.Duration{30 * ms, 5 * ms, 20*ms - 1, 20 * ms, 0, 300 * ms, ms} {
		m.wait(d)
	}
	want := []Gap{{At: 0, For: 30 * ms}, {At: 55*ms - 1, For: 20 * ms}, {At: 75*ms - 1, For: 300 * ms}}
	r := m.report(Receive, nil, nil)
	if diff := gocmp.Diff(want, r.Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if r.MaxGap != 300*ms {
		t.Errorf("longest gap %v, want 300ms", r.MaxGap)
	}
	if r := m.report(Send, nil, nil); r.Gaps != nil || r.MaxGap != 0 {
		t.Errorf("the sender has gaps %v", r.Gaps)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(text, &again); err != nil || !slices.Equal(again.Gaps, r.Gaps) {
		t.Errorf("read back: %v, %v", again.Gaps, err)
	}
	if text, err := json.Marshal(Report{}); err != nil || strings.Contains(string(text), "gaps") {
		t.Errorf("a report without gaps is %s, %v", text, err)
	}
}

// What comes before the start is no end of a gap, and none begins before it.
func TestGapsCountFromTheStart(t *testing.T) {
	m := newMetered()
	m.wait(time.Second)
	m.wait(time.Second)
	m.at.Add(int64(time.Second))
	m.begin()
	m.wait(50 * time.Millisecond)
	r := m.report(Receive, nil, nil)
	if want := []Gap{{At: 0, For: 50 * time.Millisecond}}; !slices.Equal(r.Gaps, want) || r.MaxGap != want[0].For {
		t.Errorf("gaps %v, the longest %v; want %v", r.Gaps, r.MaxGap, want)
	}
	m = newMetered()
	m.start.Store(m.at.Load()) // a stream is in the middle of begin while another reads
	m.wait(time.Millisecond)
	if r := m.report(Receive, nil, nil); r.MaxGap != time.Millisecond {
		t.Errorf("longest gap %v, want 1ms", r.MaxGap)
	}
}

// Of more gaps than there is room for the longest are kept, in order of time.
func TestLongestGapsAreKept(t *testing.T) {
	m := newMetered()
	m.begin()
	rng := rand.New(rand.NewPCG(1, 2))
	var all []Gap
	at := time.Duration(0)
	for _, n := range rng.Perm(500) {
		gap := Gap{At: at, For: MinGap + time.Duration(n)*time.Millisecond}
		all = append(all, gap)
		at += gap.For
		m.wait(gap.For)
	}
	slices.SortFunc(all, func(a, b Gap) int { return cmp.Compare(b.For, a.For) })
	want := all[:MaxGaps]
	slices.SortFunc(want, func(a, b Gap) int { return cmp.Compare(a.At, b.At) })
	if diff := gocmp.Diff(want, m.report(Receive, nil, nil).Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

// Streams that read at the same time share one list: each gap is in it once, however
// many of them see it end.
func TestGapsOfSeveralStreams(t *testing.T) {
	m := newMetered()
	const rounds, streams, step = 20, 8, 25 * time.Millisecond
	m.begin()
	for range rounds {
		m.at.Add(int64(step))
		var all sync.WaitGroup
		for range streams {
			all.Go(func() {
				for range 100 {
					m.moved(1)
				}
			})
		}
		all.Wait()
	}
	r := m.report(Receive, nil, nil)
	var want []Gap
	for i := range rounds {
		want = append(want, Gap{At: time.Duration(i) * step, For: step})
	}
	if diff := gocmp.Diff(want, r.Gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if got := m.progress.Bytes(); got != rounds*streams*100 {
		t.Errorf("%d bytes counted, want all", got)
	}
}

// A stream that read the clock and was held up before it could say so makes no gap of
// the time for which others have read.
func TestLateStreamMakesNoGap(t *testing.T) {
	m := newMetered()
	m.begin()
	m.wait(time.Millisecond)
	early := m.at.Load()
	for range 100 {
		m.wait(time.Millisecond)
	}
	late := m.at.Swap(early)
	m.moved(1)
	m.at.Store(late)
	m.wait(time.Millisecond)
	if r := m.report(Receive, nil, nil); len(r.Gaps) != 0 || r.MaxGap != time.Millisecond {
		t.Errorf("gaps %v, the longest %v; want none above 1ms", r.Gaps, r.MaxGap)
	}
}

func TestMovedDoesNotAllocate(t *testing.T) {
	m := newMetered()
	m.begin()
	if n := testing.AllocsPerRun(100, func() { m.wait(time.Millisecond); m.wait(time.Second) }); n != 0 {
		t.Errorf("%v allocations a read", n)
	}
}
