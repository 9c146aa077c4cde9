package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// judge looks at a world after its play.
func (w *world) judge() {
	w.t.Helper()
	for _, e := range w.ends {
		if m := e.main; m != nil && !w.natural(m.closed) {
			w.errorf("the %v's connection ended: %v; it waited for %s", e.side, m.closed, e.Waiting())
		}
	}
	if w.failures > 0 {
		return
	}
	w.noLeak()
	w.noStorm()
	w.noHoard()
}

// noLeak: with the connections gone nothing of them is left.
func (w *world) noLeak() {
	for _, e := range w.ends {
		if n := e.pool.InUse(); n != 0 {
			w.errorf("the %v leaks %d buffers of sent data", e.side, n)
		}
		if n := e.endpoint.Len(); n != 0 || len(e.conns) != 0 {
			w.errorf("the %v's endpoint has %d connections left, its owner %d", e.side, n, len(e.conns))
		}
		if n := e.endpoint.Routes(); n != 0 {
			w.errorf("the %v's endpoint has %d routes left", e.side, n)
		}
	}
	if n, size := w.network.Kept(); n != 0 {
		w.errorf("%d buffers of received data leak, %d bytes", n, size)
	}
}

// noStorm: calls and packets are in proportion to the data and the time.
func (w *world) noStorm() {
	seconds := w.network.Elapsed().Seconds()
	for _, e := range w.ends {
		if most := w.mostPackets(); e.sent > most {
			w.errorf("%d datagrams of the %v in %.0f s, at most %d are sound", e.sent, e.side, seconds, most)
		}
		packets := e.sent + e.received
		if most := packets + uint64(5*seconds) + 100; e.timeouts > most {
			w.errorf("%d timeouts of the %v for %d packets in %.0f s, at most %d are sound", e.timeouts, e.side, packets, seconds, most)
		}
	}
}

// mostPackets returns how many datagrams a side needs at most, roughly: for the bytes
// in the pieces that windows and buffers allow, for each stream's coming and going,
// and a few a second for what is lost or waited for.
func (w *world) mostPackets() uint64 {
	s := w.scenario
	piece := 1200
	for side := range s.paces {
		piece = min(piece, int(s.stream[side].start)/4, int(s.conn[side].start)/4)
		if b := int(s.sendBuffer[side]); b > 0 {
			piece = min(piece, b/4)
		}
		if c := s.paces[side].chunk; c > 0 {
			piece = min(piece, c)
		}
	}
	arrive := 1.0
	for _, p := range s.path {
		arrive *= 1 - p.Loss
	}
	return uint64(float64(2*s.bytes()/piece)/arrive + 5*w.network.Elapsed().Seconds() + float64(10*len(s.streams)+100))
}

// noHoard: memory is bounded by the windows and the send buffers.
func (w *world) noHoard() {
	kept := 0
	for _, e := range w.ends {
		if most := e.mostSent(); e.sendPeak > most {
			w.errorf("the %v kept %d bytes of buffers with sent data, at most %d are sound", e.side, e.sendPeak, most)
		}
		kept += e.mostKept()
	}
	for _, e := range w.ends {
		if e.keptPeak > kept {
			w.errorf("%d bytes of buffers with received data were kept, at most %d are sound", e.keptPeak, kept)
		}
	}
}

// mostSent returns how many bytes of buffers the streams of this end need at most: a
// buffer each that is not full, and those for what is neither acknowledged nor freed.
func (e *end) mostSent() int {
	s := e.world.scenario
	limit := int(s.sendBuffer[e.side])
	if limit == 0 {
		limit = 4 << 20
	}
	chunks := 0
	for _, p := range s.streams {
		chunks += 2 + min(p.halves[e.side].size, limit)/e.pool.Size()
	}
	return chunks * e.pool.Size()
}

// mostKept returns the same of received data: what a reassembler says it takes, for
// all of them together, and the datagrams that wait.
func (e *end) mostKept() int {
	s := e.world.scenario
	const pinned, waiting = 512 << 10, 1 << 20
	return 3*min(int(s.conn[e.side].most), s.bytes()) + pinned*len(s.streams) + waiting
}

// tally counts over all seeds what took place, to know that it did.
type tally struct {
	worlds                                   int
	seconds                                  float64
	packets                                  uint64
	retried, early, refused, updated, moved  int
	raised, resets, stops, datagrams, closed int
}

func (a *tally) add(w *world) {
	c, s := w.ends[wire.Client].main, w.ends[wire.Server].main
	a.worlds++
	a.seconds += w.network.Elapsed().Seconds()
	a.packets += w.ends[0].sent + w.ends[1].sent
	if c == nil || s == nil {
		return
	}
	add := func(n *int, ok bool) {
		if ok {
			*n++
		}
	}
	cs, ss := c.conn.Stats(), s.conn.Stats()
	add(&a.retried, cs.Retried)
	add(&a.early, cs.EarlyData)
	add(&a.refused, c.seen[proto.EarlyRejected] > 0)
	add(&a.updated, cs.KeyUpdates > 0 && ss.KeyUpdates > 0)
	add(&a.moved, s.seen[proto.PathChanged] > 0)
	add(&a.raised, cs.Paths[0].MTU > 1472)
	add(&a.datagrams, len(c.script.got) > 0)
	add(&a.closed, w.scenario.close != nil)
	for _, p := range c.script.parts {
		add(&a.stops, p.lost)
	}
	for _, p := range w.scenario.streams {
		add(&a.resets, p.halves[0].resetAt != never)
	}
}

// String returns the counts.
func (a *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d worlds, %.0f s of virtual time, %d packets: ", a.worlds, a.seconds, a.packets)
	for _, c := range a.counts() {
		fmt.Fprintf(&b, "%s %d, ", c.what, c.n)
	}
	return strings.TrimSuffix(b.String(), ", ")
}

type counted struct {
	what string
	n    int
}

func (a *tally) counts() []counted {
	return []counted{
		{"Retry", a.retried},
		{"0-RTT taken", a.early},
		{"0-RTT refused", a.refused},
		{"keys updated by both", a.updated},
		{"moved", a.moved},
		{"large MTU", a.raised},
		{"resets", a.resets},
		{"stops", a.stops},
		{"datagrams", a.datagrams},
		{"closed early", a.closed},
	}
}

// check: a scenario that never comes about tests nothing.
func (a *tally) check(t *testing.T) {
	t.Helper()
	for _, c := range a.counts() {
		if c.n == 0 {
			t.Errorf("in %d worlds: %s 0 times", a.worlds, c.what)
		}
	}
}
