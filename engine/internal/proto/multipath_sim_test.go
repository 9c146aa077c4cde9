package proto

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/sched"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// timeline is what befalls the lines of a bond and what the application does with its
// paths, at random.
type timeline struct {
	b     *bond
	rng   *rand.Rand
	end   clock.Time // then all lines are well, for good
	next  clock.Time
	up    []clock.Time // when a line that is down comes back
	close clock.Time   // when a path may be closed again
	still int          // steps since time last passed
	last  clock.Time
	log   []string
	// opened counts the streams that a side opened: they stay open in one direction.
	opened [2]int
}

func newTimeline(b *bond, rng *rand.Rand, lasts time.Duration) *timeline {
	return &timeline{b: b, rng: rng, end: b.now.Add(lasts), up: make([]clock.Time, len(b.lines))}
}

func (l *timeline) note(format string, args ...any) {
	l.log = append(l.log, fmt.Sprintf("%v ", time.Duration(l.b.now))+fmt.Sprintf(format, args...))
}

// plays has both sides send to each other, one transfer after the other, until all that was
// to happen has.
func (l *timeline) plays(streams, bytes int) {
	b := l.b
	b.t.Helper()
	var at [2]*transfer
	bound, finished := l.end.Add(2*time.Minute), 0
	for busy := true; busy; {
		busy = false
		for side := range at {
			x := at[side]
			if x != nil && !x.done() {
				busy = true
				continue
			}
			if x != nil {
				x.check()
				finished++
			}
			at[side] = nil
			if b.now < l.end && l.opened[side]+streams <= defaultStreams {
				l.opened[side] += streams
				at[side], busy = newTransfer(b.pair, wire.Perspective(side), streams, bytes), true
			}
		}
		if b.now > bound || b.t.Failed() {
			b.t.Fatalf("%d transfers came to their end: client %v, server %v\n%v", finished, b.client().timers(), b.server().timers(), l.log)
		}
		// No longer than that, so that things happen while nothing is sent, too.
		b.step(b.now.Add(20 * time.Millisecond))
		l.tick()
	}
}

// tick does what is due, and checks that both sides stay within bounds.
func (l *timeline) tick() {
	b := l.b
	if b.now == l.last {
		if l.still++; l.still > 20_000 {
			b.t.Fatalf("time stands still at %v: client %v, server %v\n%v", time.Duration(b.now), b.client().timers(), b.server().timers(), l.log)
		}
	} else {
		l.still, l.last = 0, b.now
	}
	for side, e := range b.ends {
		if e.conn.err != nil {
			b.t.Fatalf("the %v ended with %v\n%v", wire.Perspective(side), e.conn.err, l.log)
		}
	}
	for i := range b.lines {
		if b.lines[i].down && (b.now >= l.up[i] || b.now >= l.end) {
			b.lines[i].down = false
			l.note("line %d is back", i)
		}
	}
	if b.now < l.next {
		return
	}
	for _, e := range b.ends {
		b.events(e)
	}
	b.bounded()
	l.reopen()
	if b.now < l.end {
		l.happens()
	}
	l.next = b.now.Add(time.Duration(20+l.rng.IntN(300)) * time.Millisecond)
}

// reopen has the client open a path over each line that has none.
func (l *timeline) reopen() {
	have := map[netip.Addr]bool{}
	for _, p := range l.b.client().open {
		have[p.local.Addr()] = true
	}
	for i := range l.b.lines {
		if !have[clientAt(i).Addr()] {
			if id, err := l.b.open(i); err == nil {
				l.note("path %d opened on line %d", id, i)
			}
		}
	}
}

// happens has one thing happen.
func (l *timeline) happens() {
	b, i := l.b, l.rng.IntN(len(l.b.lines))
	line := &b.lines[i]
	switch l.rng.IntN(7) {
	case 0:
		line.down, l.up[i] = true, b.now.Add(time.Duration(l.rng.IntN(3000))*time.Millisecond)
		l.note("line %d is down for %v", i, l.up[i].Sub(b.now))
	case 1:
		line.delay = time.Duration(1+l.rng.IntN(150)) * time.Millisecond
		l.note("line %d has a delay of %v", i, line.delay)
	case 2:
		line.loss = float64(l.rng.IntN(8)) / 100
		l.note("line %d loses %v", i, line.loss)
	case 3:
		outside := netip.AddrPortFrom(clientAt(i).Addr(), uint16(5000+l.rng.IntN(1000)))
		b.ends[wire.Client].nat[clientAt(i)] = outside
		l.note("line %d is rebound to %v", i, outside)
	case 4:
		if p := l.pick(); p != nil {
			l.note("path %d is backup: %v", p.id, b.client().SetBackup(b.now, p.id, !p.backup))
		}
	case 5, 6:
		// At times both sides do, of different paths: those may be all.
		if b.now < l.close || b.active(wire.Client) < 2 || b.active(wire.Server) < 2 {
			return
		}
		side := wire.Perspective(l.rng.IntN(2))
		p := l.pick()
		if p == nil {
			return
		}
		l.closes(side, p.id)
		// With an ID for each line and one more a way can be found.
		if q := l.pick(); q != nil && q != p && min(b.client().unusedPaths(), b.server().unusedPaths()) > len(b.lines) {
			l.closes(side.Peer(), q.id)
		}
		l.close = b.now.Add(4 * time.Second)
	}
}

func (l *timeline) closes(side wire.Perspective, id wire.PathID) {
	l.note("path %d is closed by the %v: %v", id, side, l.b.ends[side].conn.ClosePath(l.b.now, id, wire.ApplicationAbandonPath))
}

// unusedPaths returns how many paths can be opened.
func (c *Conn) unusedPaths() (n int) {
	for _, p := range c.paths {
		if p.state == PathUnused && len(p.issued.ids) > 0 && len(p.peer.spare) > 0 {
			n++
		}
	}
	return n
}

// pick returns an active path of the client, nil when there is none.
func (l *timeline) pick() *path {
	open := l.b.client().open
	if p := open[l.rng.IntN(len(open))]; p.state == PathActive {
		return p
	}
	return nil
}

// Two to eight paths with loss, outages, changing delays, rebindings, paths that are closed
// and opened again, under each scheduler: all that is sent arrives intact, nothing grows
// without bound, no timer is due for ever, and nothing is left at the end.
func TestRandomTimelines(t *testing.T) {
	names := sched.Names()
	for seed := range uint64(len(names)) {
		name := names[seed%uint64(len(names))]
		t.Run(fmt.Sprintf("seed=%d/scheduler=%s", seed, name), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 77))
			lines := make([]line, 2+rng.IntN(7))
			for i := range lines {
				lines[i] = line{
					delay: time.Duration(1+rng.IntN(100)) * time.Millisecond,
					loss:  float64(rng.IntN(4)) / 100,
					rate:  float64(100_000 + rng.IntN(500_000)),
					queue: time.Duration(30+rng.IntN(200)) * time.Millisecond,
				}
			}
			lines[0].loss = 0 // of the handshake
			b := newBond(t, min(2*len(lines)+2+rng.IntN(3), maxPaths), name, lines)
			b.ends[wire.Client].nat = map[netip.AddrPort]netip.AddrPort{}
			l := newTimeline(b, rng, 8*time.Second)
			l.plays(1+rng.IntN(3), 20_000+rng.IntN(200_000))
			b.over()
		})
	}
}
