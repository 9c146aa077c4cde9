package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// withoutIDs returns a server that has no connection ID of the client for path 1.
func withoutIDs(t *testing.T) (*scripted, *path) {
	t.Helper()
	s := newMulti(t, wire.Server, 4)
	p := s.conn.pathByID(1)
	p.peer.spare = nil
	s.got = nil
	return s, p
}

// comes has a packet of path 1 come.
func (s *scripted) comes(n byte) {
	s.t.Helper()
	s.on(1, s.facing(clientLTE)).sends(wire.PathChallenge{Data: [8]byte{n}}, wire.Padding{Size: 1150})
}

// draft-ietf-quic-multipath-21, sections 3.1, 4.2.1: a client that opens a path and gives no
// connection ID for it is asked for one, then told why the path is given up.
func TestPathIsAbandonedForWantOfIDs(t *testing.T) {
	s, p := withoutIDs(t)
	for n := range byte(5) {
		s.comes(n)
		s.wantDropped()
		s.waits(100 * time.Millisecond)
	}
	if f := s.frameOn(0, wire.TypePathCIDsBlocked); f != (wire.PathCIDsBlocked{Path: 1}) {
		t.Errorf("asked by %+v: %v", f, s.heard())
	}
	if p.state != PathUnused || len(s.heardOn(1)) != 0 {
		t.Fatalf("the path is %v, heard %v", p.state, s.heard())
	}
	s.home().acksAll(0)
	s.waits(p.missing.Sub(s.now()))
	if f := s.frameOn(0, wire.TypePathAbandon); f != (wire.PathAbandon{Path: 1, Code: uint64(wire.NoCIDAvailableForPath)}) {
		t.Errorf("abandoned by %+v: %v", f, s.heard())
	}
	if at := s.conn.NextTimeout(); at <= s.now() {
		t.Errorf("a timer is due for ever: %v", s.conn.timers())
	}
	// Too late: the path is over, and another one takes its place.
	s.sends(s.newPathID(1, 5, 0), wire.PathAbandon{Path: 1})
	s.comes(9)
	s.wantDropped()
	s.home().acksAll(0)
	s.waits(5 * time.Second)
	s.acksAll(0)
	if s.conn.pathByID(1) != nil || s.conn.multi.localMax != 4 || s.conn.err != nil || s.conn.multi.missing != 0 {
		t.Errorf("the path is remembered, the limit is %d, ended with %v", s.conn.multi.localMax, s.conn.err)
	}
	if n := s.pair.ends[wire.Server].seen[PathClosed]; n > 0 {
		t.Errorf("a path that never was is closed")
	}
	if q := s.opens(clientLTE); q.id != 2 {
		t.Errorf("the next path is %d", q.id)
	}
}

// The connection ID comes in time: nothing is given up, though another path is.
func TestMissingIDsCome(t *testing.T) {
	s, p := withoutIDs(t)
	s.conn.pathByID(2).peer.spare = nil
	s.comes(1)
	s.home().acksAll(0)
	s.waits(200 * time.Millisecond)
	s.on(2, s.facing(clientSat)).sends(wire.Ping{})
	s.home().sends(s.newPathID(1, 5, 0))
	s.acksAll(0)
	s.comes(2)
	s.wantFine()
	s.validates(p)
	for range 5 {
		s.waits(time.Second)
		s.acksAll(0, 1)
	}
	if p.state != PathActive || s.conn.err != nil {
		t.Errorf("the path is %v, ended with %v", p.state, s.conn.err)
	}
	if s.count(wire.TypePathAbandon) == 0 || s.frameOn(0, wire.TypePathAbandon) == (wire.PathAbandon{Path: 1, Code: uint64(wire.NoCIDAvailableForPath)}) {
		t.Errorf("the wrong path was given up: %v", s.heard())
	}
}

// PATH_CIDS_BLOCKED is said again when it was lost, while it holds
// (draft-ietf-quic-multipath-21, section 4.7: MAY).
func TestLostQuestionForIDs(t *testing.T) {
	for _, come := range []bool{false, true} {
		s, p := withoutIDs(t)
		s.comes(1)
		s.home()
		s.wantFrame(wire.TypePathCIDsBlocked)
		if come {
			s.sends(s.newPathID(1, 5, 0))
		}
		s.got = nil
		s.acks(0, s.pings(4)) // three more than what is lost by it
		s.waits(20 * time.Millisecond)
		if n := s.count(wire.TypePathCIDsBlocked); (n > 0) == come {
			t.Errorf("IDs came: %v, and %d more questions: %v", come, n, s.heard())
		}
		if (p.missing == 0) != come {
			t.Errorf("IDs came: %v, they are waited for until %v", come, p.missing)
		}
	}
}

// A path that would move, but has no spare connection ID for it, asks for one, on either side.
func TestMoveAsksForIDs(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.opens(clientLTE)
		p.peer.spare = nil
		s.got = nil
		if side == wire.Client {
			if err := s.conn.Rebind(s.now(), 1, clientSat); err == nil {
				t.Error("the path moved")
			}
			s.drain()
		} else {
			s.dst = p.issued.ids[1].id
			s.at = s.facing(clientSat)
			s.sends(wire.Ping{})
		}
		want := wire.PathCIDsBlocked{Path: 1, NextSequence: p.peer.expected()}
		if f, _ := s.frame(wire.TypePathCIDsBlocked); f != want {
			t.Errorf("%v: asked %+v, want %+v: %v", side, f, want, s.heard())
		}
		if p.tuple != s.facing(clientLTE) {
			t.Errorf("%v: the path is at %v", side, p.tuple)
		}
	}
}

// A client whose new path is given up for want of connection IDs has the reason, and lives on.
func TestClientIsToldOfMissingIDs(t *testing.T) {
	s := newMulti(t, wire.Client, 4)
	p := s.begins(clientLTE)
	s.home().sends(wire.PathAbandon{Path: 1, Code: uint64(wire.NoCIDAvailableForPath)})
	s.wantFine()
	if p.state != PathClosing || p.abandonment.code != wire.NoCIDAvailableForPath || s.pair.ends[wire.Client].seen[PathClosed] != 1 {
		t.Errorf("the path is %v for %v", p.state, p.abandonment.code)
	}
	if q := s.opens(clientLTE); q.id != 2 {
		t.Errorf("the next path is %d", q.id)
	}
}
