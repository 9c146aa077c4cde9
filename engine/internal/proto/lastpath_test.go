package proto

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Each side abandons another path, so that none is left, at times when neither can know of
// the other's choice: the connection goes on over a new one, and all that was under way
// arrives.
func TestBothSidesAbandonDifferentPaths(t *testing.T) {
	const oneWay = 20 * time.Millisecond
	for _, ahead := range []time.Duration{-oneWay, -7 * time.Millisecond, 0, 7 * time.Millisecond, oneWay} {
		for _, loss := range []float64{0, 0.05} {
			t.Run(fmt.Sprintf("server %v ahead, loss %v", ahead, loss), func(t *testing.T) {
				b := newBond(t, 4, "", []line{{delay: oneWay, rate: 500_000}, {delay: oneWay, rate: 500_000}})
				b.openAll()
				up, down := newTransfer(b.pair, wire.Client, 1, 400_000), newTransfer(b.pair, wire.Server, 1, 400_000)
				for range 40 { // a part of them
					b.step(b.now.Add(10 * time.Millisecond))
					up.done()
					down.done()
				}
				sides := []wire.Perspective{wire.Server, wire.Client}
				if ahead < 0 {
					slices.Reverse(sides)
				}
				for i, side := range sides {
					if err := b.ends[side].conn.ClosePath(b.now, wire.PathID(side.Peer()), wire.ApplicationAbandonPath); err != nil {
						t.Fatal(err)
					}
					b.flush(side)
					if i == 0 {
						b.idle(max(ahead, -ahead) - 1)
					}
				}
				b.lines[0].loss, b.lines[1].loss = loss, loss
				b.run(time.Minute, func() bool {
					if up.done() && down.done() {
						return true
					}
					if err := errors.Join(b.client().err, b.server().err); err != nil {
						t.Fatal(err)
					}
					return false
				})
				up.check()
				down.check()
				b.run(10*time.Second, func() bool {
					n := b.active(wire.Client)
					return n == len(b.client().open) && n == b.active(wire.Server) && n == len(b.server().open)
				})
				for side, e := range b.ends {
					if loss > 0 { // it may have tried the other addresses, too
						continue
					}
					// The server closed path 0, which was the client's last one.
					at := e.conn.open[0].tuple
					if side == int(wire.Server) {
						at.local, at.remote = at.remote, at.local
					}
					if len(e.conn.open) != 1 || e.conn.open[0].id != 2 || e.seen[PathOpened] != 1-side || at.local != clientAt(0) {
						t.Errorf("%v: %d paths are open, %d by itself; the first is between %v", wire.Perspective(side), len(e.conn.open), e.seen[PathOpened], at)
					}
				}
				b.idle(10 * time.Second)
				if n := len(b.client().lingering) + len(b.server().lingering); n > 0 {
					t.Errorf("%d abandoned paths are remembered for ever", n)
				}
				// Others can be opened still.
				n := len(b.client().open)
				b.lines[0].loss, b.lines[1].loss = 0, 0
				if _, err := b.open(1); err != nil {
					t.Error(err)
				}
				b.run(5*time.Second, func() bool { return b.active(wire.Server) == n+1 || n > 1 })
				b.bounded()
				b.over()
			})
		}
	}
}

// The same, when what the server says of it is lost: it can say it on no path that is left,
// and the client does not know that it has none either.
func TestAbandonOfLastPathIsLost(t *testing.T) {
	b := newBond(t, 4, "", []line{{delay: 20 * time.Millisecond}, {delay: 20 * time.Millisecond}})
	b.openAll()
	if err := b.server().ClosePath(b.now, 0, wire.ApplicationAbandonPath); err != nil {
		t.Fatal(err)
	}
	b.lines[0].down, b.lines[1].down = true, true
	b.flush(wire.Server)
	b.lines[0].down, b.lines[1].down = false, false
	if err := b.client().ClosePath(b.now, 1, wire.ApplicationAbandonPath); err != nil {
		t.Fatal(err)
	}
	x := newTransfer(b.pair, wire.Server, 1, 100_000)
	b.run(2*time.Second, x.done)
	x.check()
	b.idle(5 * time.Second)
	for side, e := range b.ends {
		if len(e.conn.open) != 1 || e.conn.open[0].id != 2 || e.conn.err != nil || len(e.conn.lingering) > 0 {
			t.Errorf("%v: %d paths are open, %d linger, ended with %v", wire.Perspective(side), len(e.conn.open), len(e.conn.lingering), e.conn.err)
		}
	}
	b.over()
}

// draft-ietf-quic-multipath-21, section 3.4: ClosePath leaves a path that is validated.
func TestLastPathIsNotClosed(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		if err := s.conn.ClosePath(s.now(), 0, wire.ApplicationAbandonPath); err == nil {
			t.Errorf("%v: the only path was closed", side)
		}
		s.begins(clientLTE)
		if err := s.conn.ClosePath(s.now(), 0, wire.ApplicationAbandonPath); err == nil {
			t.Errorf("%v: the only path that is validated was closed", side)
		}
		s.validates(s.conn.pathByID(1))
		s.home().sends(wire.PathAbandon{Path: 0})
		if s.conn.err != nil || len(s.conn.open) != 1 {
			t.Fatalf("%v: ended with %v", side, s.conn.err)
		}
		if err := s.conn.Rebind(s.now(), 0, clientSat); err == nil {
			t.Errorf("%v: a path that is over was moved", side)
		}
	}
}

// draft-ietf-quic-multipath-21, section 3.4: a client whose only path is abandoned may try a
// new one. It does so between the same addresses, which it validates again, and says there
// what else MUST be said.
func TestClientWithoutPathOpensAnother(t *testing.T) {
	s := newMulti(t, wire.Client, 4)
	s.sends(wire.PathAbandon{Path: 0, Code: uint64(wire.ApplicationAbandonPath)})
	p := s.conn.pathByID(1)
	if s.conn.err != nil || p.state != PathValidating || p.tuple != s.conn.path0.tuple {
		t.Fatalf("ended with %v, path 1 is %v at %v", s.conn.err, p.state, p.tuple)
	}
	if got := s.pair.ends[wire.Client].seen; got[PathOpened] != 1 || got[PathClosed] != 1 {
		t.Errorf("%d paths opened, %d closed", got[PathOpened], got[PathClosed])
	}
	if f := s.frameOn(1, wire.TypePathAbandon); f != (wire.PathAbandon{Path: 0, Code: uint64(wire.ApplicationAbandonPath)}) {
		t.Errorf("answered %+v: %v", f, s.heard())
	}
	n := len(s.heardOn(0))
	s.on(1, s.facing(clientAddr)).validates(p)
	if p.state != PathActive || s.pair.ends[wire.Client].seen[PathValidated] != 1 {
		t.Errorf("path 1 is %v", p.state)
	}
	s.conn.Ping()
	s.waits(10 * time.Second)
	s.acksAll(1)
	if got := len(s.heardOn(0)); got > n || s.count(wire.TypePathChallenge) != 1 || len(s.conn.open) != 1 {
		t.Errorf("%d packets left on the path that is over, %d challenges, %d paths: %v", got-n, s.count(wire.TypePathChallenge), len(s.conn.open), s.heard())
	}
	s.wantFine()
}

// draft-ietf-quic-multipath-21, section 3.4: a client closes the connection when no new path
// can be validated. It tries what addresses it knows, those that were called poor last.
func TestClientWithoutPathTriesAllAddresses(t *testing.T) {
	s := newMulti(t, wire.Client, 8)
	s.opens(clientLTE)
	s.opens(clientSat)
	s.sends(wire.PathAbandon{Path: 0}, wire.PathAbandon{Path: 1}, wire.PathAbandon{Path: 2, Code: uint64(wire.PathUnstableOrPoor)})
	at := func() (remotes []string) {
		for _, p := range s.conn.open {
			remotes = append(remotes, p.local.String())
		}
		return remotes
	}
	period := s.conn.challengePeriod(s.conn.open[0])
	want := []string{clientLTE.String(), clientAddr.String(), clientSat.String()}
	for n := range want {
		if got := at(); !slices.Equal(got, want[:n+1]) {
			t.Fatalf("after %d periods paths are at %v, want %v", n, got, want[:n+1])
		}
		s.waits(period)
	}
	s.waits(10 * period)
	got, ok := errors.AsType[*wire.TransportError](s.conn.err)
	if !ok || got.Code != wire.NoViablePath {
		t.Fatalf("ended with %v, want NO_VIABLE_PATH", s.conn.err)
	}
	if n := s.pair.ends[wire.Client].seen[PathOpened]; n != len(want) {
		t.Errorf("%d paths were opened, want %d", n, len(want))
	}
	s.wantFrame(wire.TypeCloseTransport)
}

// A server may forbid a client all paths to the address of the handshake
// (draft-ietf-quic-multipath-21, section 2.2), the new one, too.
func TestClientWithoutPathMayNotOpenAnother(t *testing.T) {
	pc := several(4)
	pc.server.DisableMigration = true
	s := newScripted(t, wire.Client, confirmed, pc)
	s.sends(wire.PathAbandon{Path: 0})
	s.wantClose(wire.NoViablePath)
	if n := len(s.heardOn(1)); n > 0 {
		t.Errorf("%d packets on another path", n)
	}
}

// draft-ietf-quic-multipath-21, section 3.4: a server may wait for a client that opens another
// path, for a short time. Then it closes the connection, and says so where the client still
// listens.
func TestServerWithoutPathWaits(t *testing.T) {
	for _, comes := range []bool{true, false} {
		s := newMulti(t, wire.Server, 4)
		s.sends(wire.PathAbandon{Path: 0})
		if s.conn.err != nil || len(s.conn.open) != 0 || len(s.heardOn(0)) != 0 {
			t.Fatalf("ended with %v, %d paths, heard %v", s.conn.err, len(s.conn.open), s.heard())
		}
		out, err := s.conn.OpenStream(wire.Uni)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		s.sends(wire.Ping{}) // late, on the path that is over
		s.sends(wire.PathAbandon{Path: 0}, wire.PathAbandon{Path: 3})
		s.waits(2900 * time.Millisecond)
		if s.conn.err != nil || len(s.got) != 0 {
			t.Fatalf("ended with %v, heard %v", s.conn.err, s.heard())
		}
		if len(s.conn.Stats().Paths) == 0 {
			t.Error("no path is in the statistics")
		}
		if !comes {
			s.waits(s.conn.multi.rescue.next.Sub(s.now()))
			s.wantClose(wire.NoViablePath)
			if _, h := s.frame(wire.TypeCloseTransport); h.path != 0 {
				t.Errorf("the close came on path %d", h.path)
			}
			// Packets are answered for a while.
			s.got = nil
			s.sends(wire.Ping{})
			s.wantFrame(wire.TypeCloseTransport)
			s.waits(s.conn.closing.until.Sub(s.now()))
			if s.conn.state != stateDrained || s.pair.ends[wire.Server].endpoint.Routes() != 0 {
				t.Errorf("the connection is in state %v, %d routes", s.conn.state, s.pair.ends[wire.Server].endpoint.Routes())
			}
			continue
		}
		p := s.opens(clientLTE)
		for range 5 {
			s.waits(time.Second)
			s.acksAll(1)
		}
		if p.state != PathActive || s.conn.err != nil {
			t.Errorf("the path is %v, ended with %v", p.state, s.conn.err)
		}
		if s.frameOn(1, wire.TypePathAbandon) == nil || s.count(wire.TypePathAbandon) != 2 {
			t.Errorf("%d paths were answered for: %v", s.count(wire.TypePathAbandon), s.heard())
		}
		s.wantFrame(wire.TypeStream)
	}
}

// A path that is being validated is the last one: it is waited for. A client soon tries the
// addresses before, too, a server waits for the client; then the connection ends
// (draft-ietf-quic-multipath-21, section 3.4).
func TestLastPathIsNotValidated(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.begins(clientLTE)
		s.home().sends(wire.PathAbandon{Path: 0})
		if s.conn.err != nil {
			t.Fatalf("%v: ended with %v before the other path failed", side, s.conn.err)
		}
		s.sends(wire.Ping{}) // late, on the path that is over
		if at := s.conn.NextTimeout(); at <= s.now() {
			t.Errorf("%v: a timer is due for ever: %v", side, s.conn.timers())
		}
		period := s.conn.challengePeriod(p)
		s.waits(period)
		if q := s.conn.pathByID(2); (q.state == PathValidating) != (side == wire.Client) || (q.state == PathValidating && q.tuple != s.conn.path0.tuple) {
			t.Errorf("%v: another path is %v, at %v", side, q.state, q.tuple)
		}
		s.waits(3 * period)
		if s.conn.err != nil && side == wire.Server || p.state != PathClosing {
			t.Fatalf("%v: ended with %v, the path is %v", side, s.conn.err, p.state)
		}
		s.waits(6 * period)
		got, ok := errors.AsType[*wire.TransportError](s.conn.err)
		if !ok || got.Code != wire.NoViablePath {
			t.Errorf("%v: ended with %v, want NO_VIABLE_PATH", side, s.conn.err)
		}
	}
	s := newMulti(t, wire.Server, 4)
	p := s.begins(clientLTE)
	s.home().sends(wire.PathAbandon{Path: 0})
	s.on(1, s.facing(clientLTE)).validates(p)
	if p.state != PathActive || s.conn.err != nil {
		t.Errorf("the path is %v, ended with %v", p.state, s.conn.err)
	}
}
