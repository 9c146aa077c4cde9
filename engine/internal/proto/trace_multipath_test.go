package proto

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/sched"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// lives notes what a connection traces about its paths.
type lives struct {
	states    map[wire.PathID][]string
	codes     map[wire.PathID]wire.ErrorCode
	decisions []TraceEvent
	again     []TraceEvent
	dropped   map[wire.PathID]int
}

func newLives() *lives {
	return &lives{states: map[wire.PathID][]string{}, codes: map[wire.PathID]wire.ErrorCode{}, dropped: map[wire.PathID]int{}}
}

func (l *lives) Trace(e *TraceEvent) {
	switch e.Kind {
	case TracePathState:
		l.states[e.Path] = append(l.states[e.Path], e.Trigger)
		if why, ok := e.Err.(*wire.TransportError); ok {
			l.codes[e.Path] = why.Code
		}
	case TraceScheduled:
		l.decisions = append(l.decisions, *e)
	case TraceReinjected:
		l.again = append(l.again, *e)
	case TracePacketDropped:
		l.dropped[e.Path]++
	}
}

// from returns the bytes that were sent again for one reason.
func (l *lives) from(path wire.PathID, why string) (n wire.ByteCount) {
	for _, e := range l.again {
		if e.Path == path && e.Trigger == why {
			n += e.Reinjection.Bytes
		}
	}
	return n
}

// tracedBond is newBond over two lines whose connections both are traced.
func tracedBond(t *testing.T, scheduler string) (*bond, [2]*lives) {
	t.Helper()
	pc := several(4)
	traces := [2]*lives{newLives(), newLives()}
	for i, c := range []*Config{&pc.client, &pc.server} {
		c.Scheduler = scheduler
		c.Tracer = func(wire.Perspective, wire.ConnID) Tracer { return traces[i] }
	}
	lines := []line{{delay: 10 * time.Millisecond, rate: 1e6}, {delay: 30 * time.Millisecond, rate: 1e6}}
	b := newBondOf(t, pc, lines)
	b.openAll()
	return b, traces
}

// carries has the client send that many bytes and waits until they are there.
func (b *bond) carries(bytes int) {
	b.t.Helper()
	x := newTransfer(b.pair, wire.Client, 1, bytes)
	b.run(time.Minute, x.done)
	x.check()
}

// carriesFor waits for so long, while a transfer goes on.
func (b *bond) carriesFor(x *transfer, d time.Duration) {
	b.t.Helper()
	until := b.now.Add(d)
	b.run(time.Minute, func() bool {
		if x.done() {
			b.t.Fatal("the transfer is over too early")
		}
		return b.now >= until
	})
}

func TestLivesOfPathsAreTraced(t *testing.T) {
	b, traces := tracedBond(t, "roundrobin")
	client := traces[wire.Client]
	b.carries(500_000)
	x := newTransfer(b.pair, wire.Client, 1, 1_000_000)
	b.carriesFor(x, 300*time.Millisecond)
	b.lines[1].down = true
	b.run(time.Minute, x.done)
	if n := client.from(1, reinjectedSilent); n == 0 {
		t.Errorf("nothing of path 1 is said to be sent again while it is silent: %+v", client.again)
	}
	b.lines[1].down = false
	b.idle(2 * time.Second)
	b.carries(200_000)
	x = newTransfer(b.pair, wire.Client, 1, 2_000_000)
	b.carriesFor(x, 200*time.Millisecond)
	under := b.client().pathByID(1).det.BytesInFlight()
	if err := b.client().ClosePath(b.now, 1, wire.PathUnstableOrPoor); err != nil {
		t.Fatal(err)
	}
	if n := client.from(1, reinjectedClosed); n == 0 || n > under {
		t.Errorf("%d bytes of the closed path are said to be sent again, want some of %d", n, under)
	}
	b.run(time.Minute, x.done)
	b.idle(5 * time.Second)

	got := slices.Compact(slices.Clone(client.states[1]))
	if want := []string{"validating", "active", "suspect", "dead", "active", "closing", "closed"}; !slices.Equal(got, want) {
		t.Errorf("the client's path 1 was %v, want %v", got, want)
	}
	if got := traces[wire.Server].states[1]; len(got) < 4 || !slices.Equal(got[:2], []string{"validating", "active"}) ||
		!slices.Equal(got[len(got)-2:], []string{"closing", "closed"}) {
		t.Errorf("the server's path 1 was %v", got)
	}
	for side, l := range traces {
		if l.codes[1] != wire.PathUnstableOrPoor {
			t.Errorf("the %v's path 1 closed with %v, want %v", wire.Perspective(side), l.codes[1], wire.PathUnstableOrPoor)
		}
		if got := l.states[0]; len(got) == 0 || got[0] != "active" {
			t.Errorf("the %v's path 0 was %v, want it active first", wire.Perspective(side), got)
		}
	}
	b.over()
}

// A path that was late when it was closed does not come back to life as its last packets
// are acknowledged.
func TestClosedPathStaysClosed(t *testing.T) {
	b, traces := tracedBond(t, "roundrobin")
	client := traces[wire.Client]
	x := newTransfer(b.pair, wire.Client, 1, 2_000_000)
	b.carriesFor(x, 300*time.Millisecond)
	b.lines[1].delay = 200 * time.Millisecond
	last := func() string { return client.states[1][len(client.states[1])-1] }
	b.run(time.Minute, func() bool { return last() == "suspect" })
	if err := b.client().ClosePath(b.now, 1, wire.ApplicationAbandonPath); err != nil {
		t.Fatal(err)
	}
	p, from := b.client().pathByID(1), b.client().pathByID(1).vitals.heard
	b.run(time.Minute, x.done)
	b.idle(5 * time.Second)
	if p.vitals.heard == from {
		t.Error("nothing more was acknowledged: the test tests nothing")
	}
	if got, want := client.states[1], []string{"validating", "active", "suspect", "closing", "closed"}; !slices.Equal(got, want) {
		t.Errorf("path 1 was %v, want %v", got, want)
	}
	b.over()
}

// A decision is traced when it is another one than before. The trains between them are all
// that left.
func TestDecisionsAreTraced(t *testing.T) {
	for _, name := range sched.Names() {
		t.Run(name, func(t *testing.T) {
			b, traces := tracedBond(t, name)
			client := traces[wire.Client]
			b.carries(2_000_000)
			var trains, picks uint64
			for i, e := range client.decisions {
				s := e.Scheduling
				trains += s.Trains
				if i > 0 {
					if o := client.decisions[i-1]; o.Path == e.Path && o.Scheduling.Wait == s.Wait {
						t.Errorf("decision %d is that before: path %d, waits %v", i, e.Path, s.Wait)
					}
				}
				if s.Room <= 0 || s.Ready <= 0 || e.Trigger != name || (s.Wait && s.SRTT > 0) {
					t.Errorf("decision %d of %q: %+v", i, e.Trigger, s)
				}
			}
			for _, p := range b.client().open {
				picks += p.picks
			}
			if trains+b.client().multi.scheduling.trains != picks || picks == 0 {
				t.Errorf("%d and %d trains were traced, %d left", trains, b.client().multi.scheduling.trains, picks)
			}
			if len(client.decisions) == 0 {
				t.Error("no decision was traced")
			}
			t.Logf("%d decisions for %d trains", len(client.decisions), picks)
			b.over()
		})
	}
}

// The end of what a slow path owes is said to be copied, from it to the fast one.
func TestCopiedTailsAreTraced(t *testing.T) {
	b, traces := tracedBond(t, "roundrobin")
	b.lines[1].delay = 200 * time.Millisecond
	b.carries(300_000)
	for range 5 {
		b.carries(200_000)
	}
	client := traces[wire.Client]
	if n := client.from(1, reinjectedTail); n == 0 {
		t.Fatalf("no tail of path 1 is said to be copied: %+v", client.again)
	}
	for _, e := range client.again {
		r := e.Reinjection
		if r.Bytes <= 0 || r.Frames <= 0 || r.Anywhere != (e.Trigger != reinjectedTail) || (!r.Anywhere && r.To == e.Path) {
			t.Errorf("%q from path %d: %+v", e.Trigger, e.Path, r)
		}
	}
	b.over()
}

// A packet that is dropped is of the path that its connection ID says.
func TestDroppedPacketsAreOfTheirPath(t *testing.T) {
	b, traces := tracedBond(t, "roundrobin")
	b.fate = func(from wire.Perspective, d *flying) (int, time.Duration) {
		n, late := b.carry(from, d)
		if b.lineOf(d.from) == &b.lines[1] {
			n *= 2
		}
		return n, late
	}
	server := traces[wire.Server]
	before := fmt.Sprint(server.dropped)
	b.carries(100_000)
	if server.dropped[1] == 0 || server.dropped[0] > 0 {
		t.Errorf("packets of paths %v were dropped, %s before, want some of path 1 alone", server.dropped, before)
	}
}
