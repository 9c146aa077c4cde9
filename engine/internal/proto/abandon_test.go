package proto

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// draft-ietf-quic-multipath-21, section 3.4: PATH_ABANDON MUST be answered by another one;
// the peer's connection IDs MUST be treated as retired at once, so nothing leaves on the
// path any more.
func TestAbandonIsAnswered(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.opens(clientLTE)
		token := p.peer.inUse.token
		e := s.pair.ends[side].endpoint
		if e.resets[token] != s.conn {
			t.Fatal("the path's reset token leads nowhere: the test shows nothing")
		}
		s.got = nil
		s.sends(wire.PathAbandon{Path: 1, Code: uint64(wire.PathResourceLimitReached)}) // on the path itself
		f, h := s.frame(wire.TypePathAbandon)
		if f != (wire.PathAbandon{Path: 1, Code: uint64(wire.PathResourceLimitReached)}) || h.path != 0 {
			t.Fatalf("%v: answered %+v in %+v", side, f, h)
		}
		if got := s.pair.ends[side].closed; len(got) != 1 || got[0] != 1 {
			t.Errorf("%v: PathClosed came for %v", side, got)
		}
		// A token of the path ends nothing any more.
		if e.resets[token] != nil || s.conn.isResetToken(token) {
			t.Errorf("%v: the path's reset token still ends the connection", side)
		}
		// The packet with PATH_ABANDON is acknowledged, on another path.
		s.waits(50 * time.Millisecond)
		acked := false
		for _, h := range s.got {
			for _, f := range h.frames {
				if a, ok := f.(wire.Ack); ok && a.Path == 1 && a.Largest == s.of(1).next-1 {
					acked = true
				}
			}
		}
		if !acked {
			t.Errorf("%v: the packet was not acknowledged: %v", side, s.heard())
		}
		// Whatever happens, nothing leaves on it.
		s.sends(wire.PathChallenge{}, wire.Padding{Size: 1150})
		s.home().acksAll(0)
		s.sends(wire.PathStatus{Path: 1, Backup: true}, wire.PathAbandon{Path: 1})
		s.conn.Ping()
		s.waits(time.Second)
		s.acksAll(0)
		s.waits(5 * time.Second)
		if on := s.heardOn(1); len(on) != 0 {
			t.Errorf("%v: sent %v on a path that is abandoned", side, on)
		}
		if n := s.count(wire.TypePathAbandon); n != 1 {
			t.Errorf("%v: PATH_ABANDON was said %d times, want once", side, n)
		}
		s.wantFine()
	}
}

// PATH_ABANDON is said again until it arrives (draft-ietf-quic-multipath-21, section 4.2), to
// a peer that never acknowledges it, too, while nothing else happens to the connection.
func TestAbandonIsNeverAnswered(t *testing.T) {
	s := newMulti(t, wire.Server, 4)
	s.opens(clientLTE)
	s.waits(time.Second)
	s.acksAll(0, 1)
	if err := s.conn.ClosePath(s.now(), 1, wire.ApplicationAbandonPath); err != nil {
		t.Fatal(err)
	}
	s.drain()
	s.home()
	routes := s.pair.ends[wire.Server].endpoint.Routes()
	for range 20 { // the peer lives, but says nothing about it
		s.waits(time.Second)
		s.sends(wire.Ping{})
	}
	if n := s.count(wire.TypePathAbandon); n < 3 || n > 60 {
		t.Errorf("PATH_ABANDON was said %d times", n)
	}
	if len(s.conn.lingering) != 1 || s.conn.err != nil || s.conn.multi.localMax != 3 {
		t.Errorf("%d paths linger, the limit is %d, ended with %v", len(s.conn.lingering), s.conn.multi.localMax, s.conn.err)
	}
	if got := s.pair.ends[wire.Server].endpoint.Routes(); got > routes {
		t.Errorf("%d routes, were %d", got, routes)
	}
	// It is acknowledged, yet not answered: the path is forgotten all the same.
	s.acksAll(0)
	s.waits(5 * time.Second)
	if len(s.conn.lingering) != 0 || s.conn.multi.localMax != 4 {
		t.Errorf("%d paths linger, the limit is %d", len(s.conn.lingering), s.conn.multi.localMax)
	}
}

// draft-ietf-quic-multipath-21, section 3.4: for three probe timeouts late packets of an
// abandoned path are acknowledged, on another path, and bring no stateless reset; then its
// packets MUST be considered lost (section 3.4.3), its IDs lead nowhere and frames about it
// MUST be ignored (section 4).
func TestAbandonedPathLingers(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.opens(clientLTE)
		s.waits(100 * time.Millisecond)
		s.acksAll(0, 1)
		id := s.dst
		e := s.pair.ends[side].endpoint
		if err := s.conn.ClosePath(s.now(), 1, wire.ApplicationAbandonPath); err != nil {
			t.Fatal(err)
		}
		s.drain()
		s.acksAll(0)
		// The peer's answer starts the time anew: it may have sent until then.
		s.waits(900 * time.Millisecond)
		s.home().sends(wire.PathAbandon{Path: 1})
		until := s.now().Add(lingerPTOs * s.conn.pto())
		if p.abandonment.until < until {
			t.Errorf("%v: the path is kept for %v, want %v", side, p.abandonment.until.Sub(s.now()), until.Sub(s.now()))
		}
		until = p.abandonment.until
		s.waits(until.Sub(s.now()) / 2)
		s.sends(wire.PathAbandon{Path: 1}) // but not for ever
		if p.abandonment.until > until {
			t.Errorf("%v: a repeated answer keeps the path for %v more", side, p.abandonment.until.Sub(s.now()))
		}
		s.on(1, s.facing(clientLTE))
		s.got = nil
		s.sends(wire.Ping{})
		s.wantFine()
		s.waits(50 * time.Millisecond)
		f, h := s.frame(wire.TypePathAck)
		if a, ok := f.(wire.Ack); !ok || a.Path != 1 || a.Largest != s.of(1).next-1 || h.path != 0 {
			t.Errorf("%v: a late packet was answered by %v", side, s.heard())
		}
		if r := e.Handle(s.now(), &Datagram{Local: s.at.local, Remote: s.at.remote, Data: s.packet(wire.PacketOneRTT, wire.Ping{})}); r.Conn != s.conn {
			t.Errorf("%v: a late packet leads nowhere", side)
		}
		s.home().acksAll(0)
		s.waits(5 * time.Second)
		s.acksAll(0)
		if s.conn.pathByID(1) != nil || e.routes[id] != nil || len(s.conn.lingering) != 0 {
			t.Errorf("%v: the path is remembered still", side)
		}
		for name, f := range map[string]appender{
			"PATH_ACK": pathAck(1, 0, 1), "PATH_ACK of the future": pathAck(1, 0, 1000), "PATH_ABANDON": wire.PathAbandon{Path: 1},
			"PATH_STATUS_BACKUP": wire.PathStatus{Path: 1, Sequence: 9, Backup: true}, "PATH_NEW_CONNECTION_ID": s.newPathID(1, 9, 9),
			"PATH_RETIRE_CONNECTION_ID": wire.RetireConnectionID{Path: 1, Multipath: true, Sequence: 99},
			"PATH_CIDS_BLOCKED":         wire.PathCIDsBlocked{Path: 1, NextSequence: 99},
		} {
			s.sends(f)
			if s.wantFine(); s.conn.pathByID(1) != nil {
				t.Errorf("%v: %s revived the path", side, name)
			}
		}
	}
}

// draft-ietf-quic-multipath-21, section 4: frames about a path that is given up, but not
// forgotten yet, MUST be ignored.
func TestFramesOfAnAbandonedPath(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.opens(clientLTE)
		s.home().sends(wire.PathAbandon{Path: 1})
		issued, spare, at := p.issued.next, len(p.peer.spare), p.tuple
		for _, f := range []appender{
			s.newPathID(1, 9, 9),
			wire.RetireConnectionID{Path: 1, Multipath: true, Sequence: 0},
			wire.RetireConnectionID{Path: 1, Multipath: true, Sequence: 1},
			wire.PathStatus{Path: 1, Sequence: 9},
			wire.PathAbandon{Path: 1},
			pathAck(1, 0, s.of(1).largest),
		} {
			s.sends(f)
			s.wantFine()
		}
		// Nor does it move.
		s.on(1, s.facing(stranger)).sends(wire.Ping{})
		if p.tuple != at || p.challenge.running() {
			t.Errorf("%v: an abandoned path moved to %v", side, p.tuple)
		}
		if p.issued.next != issued || len(p.peer.spare) != spare || p.peer.hasFrames() {
			t.Errorf("%v: connection IDs of the path changed", side)
		}
		if tokens := s.pair.ends[side].endpoint.conns[s.conn].tokens; len(tokens) > 1 {
			t.Errorf("%v: %d reset tokens for one path", side, len(tokens))
		}
	}
}

// draft-ietf-quic-multipath-21, section 3.4: an ID MUST NOT be used again: a later path has a
// new one, packet numbers and all.
func TestPathIDIsNeverUsedAgain(t *testing.T) {
	b := newBond(t, 3, "", []line{{delay: 10 * time.Millisecond}, {delay: 15 * time.Millisecond}})
	last := wire.PathID(0)
	for n := range 6 {
		id, err := b.open(1)
		if err != nil {
			t.Fatal(err)
		}
		if id <= last {
			t.Fatalf("path %d follows path %d", id, last)
		}
		last = id
		b.run(5*time.Second, func() bool { return b.active(wire.Client) == 2 && b.active(wire.Server) == 2 })
		x := newTransfer(b.pair, wire.Client, 1, 20_000)
		b.run(time.Minute, x.done)
		if n%2 == 0 {
			err = b.client().ClosePath(b.now, id, wire.ApplicationAbandonPath)
		} else {
			err = b.server().ClosePath(b.now, id, wire.PathUnstableOrPoor)
		}
		if err != nil {
			t.Fatal(err)
		}
		b.idle(5 * time.Second)
		if len(b.client().lingering) > 0 || len(b.server().lingering) > 0 {
			t.Fatalf("after 5 s %d and %d paths linger", len(b.client().lingering), len(b.server().lingering))
		}
		b.bounded()
	}
	b.over()
}

// draft-ietf-quic-multipath-21, section 3.4.3: what was under way on a path that is over MUST
// be considered lost: it is sent again, as is all else that the path owed.
func TestAbandonedPathOwesNothing(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		s.waits(time.Second)
		s.acksAll(0, 1)
		s.conn.path0.peerBackup = true // so that all of it goes on path 1
		out, err := s.conn.OpenStream(wire.Uni)
		if err != nil {
			t.Fatal(err)
		}
		s.got = nil
		if _, err := out.Write(make([]byte, 4000)); err != nil {
			t.Fatal(err)
		}
		s.drain()
		sent := 0
		for _, h := range s.heardOn(1) {
			for _, f := range h.frames {
				if d, ok := f.(wire.Stream); ok {
					sent += len(d.Data)
				}
			}
		}
		if sent != 4000 {
			t.Fatalf("%v: %d bytes left on path 1: the test shows nothing: %v", side, sent, s.heard())
		}
		s.got = nil
		s.home().sends(wire.PathAbandon{Path: 1})
		s.waits(20 * time.Millisecond) // for the pacer
		again := 0
		for _, h := range s.heardOn(0) {
			for _, f := range h.frames {
				if d, ok := f.(wire.Stream); ok {
					again += len(d.Data)
				}
			}
		}
		if again != 4000 {
			t.Errorf("%v: %d of 4000 bytes were sent again", side, again)
		}
	}
}

// draft-ietf-quic-multipath-21, section 3.4: a path may be abandoned before there was any
// traffic on it. It is answered (MUST), and a late packet of the path does no harm.
func TestAbandonBeforeAnyTraffic(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.sends(wire.PathAbandon{Path: 2})
		if f, _ := s.frame(wire.TypePathAbandon); f == nil || f.(wire.PathAbandon).Path != 2 {
			t.Fatalf("%v: not answered: %v", side, s.heard())
		}
		if n := s.pair.ends[side].seen[PathClosed]; n != 0 {
			t.Errorf("%v: PathClosed came for a path that never was", side)
		}
		for _, at := range []netip.AddrPort{clientLTE, clientAddr} {
			s.on(2, s.facing(at)).sends(wire.PathChallenge{}, wire.Padding{Size: 1150})
			s.wantDropped()
			s.sends(wire.Ping{})
			s.wantDropped()
		}
		if s.conn.err != nil || len(s.conn.open) != 1 || len(s.heardOn(2)) != 0 {
			t.Fatalf("%v: ended with %v, %d paths", side, s.conn.err, len(s.conn.open))
		}
		s.waits(time.Second)
		s.home().acksAll(0)
		s.waits(5 * time.Second)
		if s.conn.pathByID(2) != nil {
			t.Errorf("%v: the path is remembered still", side)
		}
		// The others are not touched by the gap.
		if p := s.opens(clientLTE); p.id != 1 {
			t.Errorf("%v: the next path is %d", side, p.id)
		}
		if p := s.opens(clientSat); p.id != 3 {
			t.Errorf("%v: the path after it is %d", side, p.id)
		}
	}
}

// Once path 0 is over, the connection lives on another: its ACK frames are ignored, and what
// 1-RTT CRYPTO data was lost with it goes elsewhere.
func TestWithoutPathZero(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		s.waits(200 * time.Millisecond)
		s.acksAll(0, 1)
		s.conn.path0.spaces[recovery.SpaceApplication].crypto.write([]byte("ticket"))
		s.conn.open[1].peerBackup = true
		s.drain()
		s.got = nil
		at := s.largest[recovery.SpaceApplication]
		s.conn.open[0].peerBackup, s.conn.open[1].peerBackup = false, true
		late := s.pings(1) // is never acknowledged while path 0 is known
		s.sends(wire.PathAbandon{Path: 0})
		s.waits(50 * time.Millisecond)
		if f, ok := s.frameOn(1, wire.TypeCrypto).(wire.Crypto); !ok || string(f.Data) != "ticket" {
			t.Errorf("%v: CRYPTO data was not sent again: %v", side, s.heard())
		}
		s.acksAll(1)
		if s.conn.wantsCrypto() {
			t.Errorf("%v: CRYPTO data is sent for ever", side)
		}
		s.sends(wire.Ack{Largest: at}) // still known
		s.wantFine()
		s.waits(5 * time.Second)
		s.acksAll(1)
		s.waits(time.Second)
		if s.conn.pathByID(0) != nil {
			t.Fatalf("%v: path 0 is remembered", side)
		}
		s.sends(wire.Ack{Largest: late}, pathAck(0, late, late), wire.NewConnectionID{Sequence: 9, RetirePriorTo: 9, ID: someID(9)}, wire.RetireConnectionID{Sequence: 77})
		s.wantFine()
		if got := s.conn.path0.det.LargestAcked(recovery.SpaceApplication); got >= late {
			t.Errorf("%v: packet %d of a path that is over was acknowledged", side, got)
		}
		if got := s.conn.path0.peer.current(); got == someID(9) {
			t.Errorf("%v: a new connection ID for a path that is over is used", side)
		}
		s.got = nil
		s.sends(wire.Ping{})
		s.waits(50 * time.Millisecond)
		s.wantFrame(wire.TypePathAck)
	}
}

// An acknowledgement of a PATH_ACK about a path that is forgotten is not one about another.
func TestAckOfAckOfForgottenPath(t *testing.T) {
	s := newMulti(t, wire.Server, 4)
	s.opens(clientLTE)
	s.waits(100 * time.Millisecond)
	s.of(1).next += 1000
	s.sends(wire.PathAbandon{Path: 1}) // packet 1000 and some, acknowledged on path 0
	s.home()
	s.waits(time.Second)
	var with, abandon wire.PacketNumber = -1, -1
	for _, h := range s.heardOn(0) {
		for _, f := range h.frames {
			if a, ok := f.(wire.Ack); ok && a.Path == 1 && a.Largest >= 1000 {
				with = h.number
			}
			if _, ok := f.(wire.PathAbandon); ok {
				abandon = h.number
			}
		}
	}
	if with < 0 || abandon < 0 || s.conn.pathByID(1) == nil {
		t.Fatalf("the test shows nothing: %v", s.heard())
	}
	s.conn.pathByID(1).abandonment.frame = frameKnown
	s.waits(5 * time.Second)
	if s.conn.pathByID(1) != nil {
		t.Fatal("path 1 is remembered: the test shows nothing")
	}
	a := &s.conn.path0.spaces[recovery.SpaceApplication].acks
	heard := a.heard
	s.sends(pathAck(0, with, with))
	if a.heard > heard {
		t.Errorf("path 0 takes packets up to %d, not %d, to be known as received", a.heard, heard)
	}
}

// What a path cannot acknowledge itself leaves on one that may speak, in time. When none may,
// the wait for it makes no timer due for ever.
func TestStrayAcksFindAWay(t *testing.T) {
	for _, tt := range []struct {
		name        string
		zero, one   bool // may speak
		onZero, any bool // where the acknowledgement leaves
	}{
		{"the dead path may speak", true, false, true, true},
		{"the other may", false, true, false, true},
		{"both may", true, true, false, true},
		{"none may", false, false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newMulti(t, wire.Server, 4)
			p := s.opens(clientLTE)
			for range 2 {
				s.waits(time.Second)
				s.acksAll(0, 1)
			}
			zero := s.conn.path0
			ping := s.home().packet(wire.PacketOneRTT, wire.Ping{})
			s.conn.HandleDatagram(s.now(), &Datagram{Local: serverAddr, Remote: clientAddr, Data: ping})
			zero.state, zero.vitals.suspect = PathDead, true
			zero.amp, p.amp = amplification{valid: tt.zero}, amplification{valid: tt.one}
			s.got = nil
			until := s.now().Add(2 * maxAckDelay)
			for n := 0; s.conn.NextTimeout() <= until; n++ {
				if n > 100 {
					t.Fatalf("a timer is due for ever: %v", s.conn.timers())
				}
				s.pair.now = max(s.now(), s.conn.NextTimeout())
				s.conn.HandleTimeout(s.now())
				s.drain()
			}
			if zero, one := len(s.heardOn(0)) > 0, len(s.heardOn(1)) > 0; zero != tt.onZero || (zero || one) != tt.any {
				t.Errorf("heard %v", s.heard())
			}
		})
	}
}
