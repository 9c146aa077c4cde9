package sim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// world is a scenario at play: two ends and the link between them.
type world struct {
	t        *testing.T
	scenario *scenario
	network  *simnet.Network
	link     *simnet.Link
	faults   [2]simnet.Faults // by simnet.Way, at the moment
	ends     [2]*end          // by wire.Perspective
	home     [2][]netip.Addr  // addresses; the client's second is one to migrate to
	log      hash.Hash        // of all datagrams and when they left

	began     clock.Time // the main connection
	confirmed bool       // it, by both sides
	settled   bool       // its applications are done, or it was closed
	ended     time.Duration
	failures  int
}

// newWorld builds what the scenario asks for.
func newWorld(t *testing.T, s *scenario) *world {
	t.Helper()
	w := &world{t: t, scenario: s, network: simnet.New(s.seed), faults: s.faults, log: sha256.New()}
	w.home = [2][]netip.Addr{{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.7")}, {netip.MustParseAddr("10.0.0.2")}}
	if s.v6 {
		w.home = [2][]netip.Addr{{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::7")}, {netip.MustParseAddr("fd00::2")}}
	}
	a, b := w.network.AddNode("client"), w.network.AddNode("server")
	var err error
	w.link, err = w.network.Connect(a, b, simnet.LinkConfig{Name: "link", MTU: s.mtu, Impairments: s.path, Faults: s.faults, Addresses: w.home})
	if err != nil {
		t.Fatal(err)
	}
	id, err := newIdentity(s.seed, func() time.Time { return calendar.Add(w.network.Elapsed()) })
	if err != nil {
		t.Fatal(err)
	}
	for side, node := range []*simnet.Node{a, b} {
		w.ends[side] = newEnd(w, wire.Perspective(side), id)
		node.Attach(w.ends[side])
	}
	w.network.SetBudget(uint64(2_000_000 + 2*s.bytes()))
	return w
}

// errorf notes a failure. One of a kind is enough.
func (w *world) errorf(format string, args ...any) {
	w.t.Helper()
	if w.failures++; w.failures <= 5 {
		w.t.Errorf("after %v: "+format, append([]any{w.network.Elapsed()}, args...)...)
	}
}

// play lets everything happen: a first connection if the scenario resumes one, then
// the one with the streams, then silence.
func (w *world) play() {
	w.t.Helper()
	var token []byte
	if w.scenario.resume != fresh {
		token = w.prelude()
	}
	if w.failures > 0 {
		return
	}
	w.began = w.network.Now()
	client := w.ends[wire.Client].dial(token)
	client.begin(&script{world: w, side: wire.Client})
	if c := w.scenario.close; c != nil {
		w.after(c.after, func() { w.cutShort(c.side) })
	}
	w.run("the streams", w.scenario.bound(), func() bool { return w.settled || w.over() })
	if !w.settled {
		return
	}
	w.ended = w.network.Elapsed()
	w.run("the connections' end", 3*patience+time.Minute, func() bool {
		return w.ends[0].endpoint.Len()+w.ends[1].endpoint.Len() == 0
	})
	w.run("the last packets", time.Hour, func() bool { return w.network.UnderWay() == 0 })
}

// prelude is a connection that brings a session ticket and an address token.
func (w *world) prelude() []byte {
	e := w.ends[wire.Client]
	c := e.dial(nil)
	got := func() bool { return (e.tickets.puts > 0 && c.token != nil) || c.closed != nil }
	w.run("a ticket and a token", 3*time.Minute, got)
	if c.closed != nil {
		w.errorf("the first connection ended: %v", c.closed)
		return nil
	}
	c.conn.Close(w.network.Now(), endCode, "until later")
	e.touch(c)
	w.run("the first connection's end", time.Minute, func() bool { return c.drained })
	if w.scenario.resume == refused {
		w.ends[wire.Server].allowOther()
	}
	return c.token
}

// run lets things happen until done, and fails when that does not come.
func (w *world) run(what string, bound time.Duration, done func() bool) {
	w.t.Helper()
	if w.failures > 0 {
		return
	}
	end := w.network.Now().Add(bound)
	err := w.network.Run(end, func() bool { return w.failures > 0 || done() })
	if stall, ok := errors.AsType[*simnet.StallError](err); ok {
		w.errorf("waiting for %s: %v", what, stall)
	} else if w.failures == 0 && !done() {
		w.errorf("waited %v for %s: the client waits for %s; the server for %s", bound, what, w.ends[0].Waiting(), w.ends[1].Waiting())
	}
}

// after plans a call.
func (w *world) after(d time.Duration, f func()) { w.network.At(w.network.Now().Add(d), f) }

// over reports whether the main connection has ended on a side that knows of it.
func (w *world) over() bool {
	for _, e := range w.ends {
		if m := e.main; m != nil && m.closed != nil {
			return true
		}
	}
	return false
}

// progress looks at how far the main connection is: the deeds begin when both sides
// have confirmed it, and when all is done, and both have the same keys, the client
// closes it.
func (w *world) progress() {
	c, s := w.ends[wire.Client].main, w.ends[wire.Server].main
	if c == nil || s == nil || w.settled {
		return
	}
	if !w.confirmed && c.confirmed && s.confirmed {
		w.confirmed = true
		for _, h := range w.scenario.happenings {
			w.after(h.at, func() { w.happen(h, 10) })
		}
	}
	if w.confirmed && c.script.done() && s.script.done() && c.phase() == s.phase() {
		w.settled = true
		c.conn.Close(w.network.Now(), endCode, "all is done")
		c.end.touch(c)
	}
}

// cutShort ends the main connection while it is at work, or the client's when the
// server has none yet.
func (w *world) cutShort(side wire.Perspective) {
	m := w.ends[side].main
	if m == nil {
		m = w.ends[wire.Client].main
	}
	if w.settled || m == nil || m.closed != nil {
		return
	}
	w.settled = true
	m.conn.Close(w.network.Now(), closeCode, "enough")
	m.end.touch(m)
}

// happen does a deed, or tries again later when the connection is not ready for it.
func (w *world) happen(h happening, tries int) {
	now := w.network.Now()
	if w.settled || w.over() {
		return
	}
	again := func() {
		if tries > 0 {
			w.after(w.scenario.rtt(), func() { w.happen(h, tries-1) })
		}
	}
	m := w.ends[h.side].main
	switch h.deed {
	case updateKeys:
		if m.conn.UpdateKeys(now) != nil {
			again()
		} else {
			m.end.touch(m)
		}
	case migrate:
		w.migrate(h, again)
	case blackout:
		for way := range w.faults {
			f := &w.faults[way]
			f.Blackouts = append(f.Blackouts, simnet.Blackout{From: now, To: now.Add(time.Second)})
		}
	case changeMTU:
		for way := range w.faults {
			f := &w.faults[way]
			f.MTUs = append(f.MTUs, simnet.MTUChange{At: now, MTU: h.n})
		}
	case rebindPort, rebindAddress:
		r := simnet.Rebinding{At: now, Ports: uint16(h.n)}
		if h.deed == rebindAddress {
			r.Address = netip.MustParseAddr("203.0.113.9")
			if w.scenario.v6 {
				r.Address = netip.MustParseAddr("2001:db8::9")
			}
		}
		f := &w.faults[simnet.Up]
		f.Rebindings = append(f.Rebindings, r)
	}
	for _, way := range []simnet.Way{simnet.Up, simnet.Down} {
		if err := w.link.SetFaults(way, w.faults[way]); err != nil {
			w.errorf("%v", err)
		}
	}
}

// migrate moves the client to its other address, and another port.
func (w *world) migrate(h happening, again func()) {
	m := w.ends[wire.Client].main
	local, _ := m.conn.Addresses()
	to := w.home[wire.Client][1]
	if local.Addr() == to {
		to = w.home[wire.Client][0]
	}
	if m.conn.Rebind(w.network.Now(), 0, netip.AddrPortFrom(to, uint16(h.n))) != nil {
		again()
		return
	}
	m.end.touch(m)
}

// note puts a datagram into the log.
func (w *world) note(now clock.Time, t *proto.Transmit, data []byte) {
	fmt.Fprintln(w.log, now, t.Local, t.Remote, t.ECN)
	w.log.Write(data)
}

// random returns a seeded source for one purpose.
func (w *world) random(id *identity, purpose string) *rand.ChaCha8 {
	return rand.NewChaCha8(id.key(purpose))
}
