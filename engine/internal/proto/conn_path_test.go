package proto

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

var stranger = netip.MustParseAddrPort("203.0.113.9:9")

// answers returns how many bytes and PATH_RESPONSE frames went to an address.
func (s *scripted) answers(to netip.AddrPort) (bytes, responses int) {
	for _, p := range s.got {
		if p.to.remote != to {
			continue
		}
		bytes += p.size
		for _, t := range p.types {
			if t == wire.TypePathResponse {
				responses++
			}
		}
	}
	return bytes, responses
}

// RFC 9000, section 8.2.2: a challenge MUST be answered on its path, in a datagram of
// 1200 bytes, once; on an address not validated within the anti-amplification limit.
func TestChallengeIsAnswered(t *testing.T) {
	data := wire.PathChallenge{Data: [8]byte{1, 2, 3}}
	t.Run("on the path in use", func(t *testing.T) {
		s := newScripted(t, wire.Server, confirmed, pairConfig{})
		s.got = nil
		s.sends(data)
		f, p := s.frame(wire.TypePathResponse)
		if f == nil || f.(wire.PathResponse).Data != data.Data || p.size != int(minUDPPayload) || p.to != s.conn.path0.tuple {
			t.Fatalf("answered %+v in %+v", f, p)
		}
		s.waits(5 * time.Second) // never acknowledged
		if n := s.count(wire.TypePathResponse); n != 1 {
			t.Errorf("answered %d times", n)
		}
	})
	t.Run("small, from another address", func(t *testing.T) {
		s := newScripted(t, wire.Server, confirmed, pairConfig{})
		s.got, s.at.remote = nil, stranger
		b := s.packet(wire.PacketOneRTT, data, data, data, data)
		size := len(b)
		s.sendsDatagram(b)
		if bytes, n := s.answers(stranger); n == 0 || bytes > 3*size {
			t.Errorf("%d answers of %d bytes to a datagram of %d", n, bytes, size)
		}
	})
	t.Run("large, from another address", func(t *testing.T) {
		s := newScripted(t, wire.Server, confirmed, pairConfig{})
		s.got, s.at.remote = nil, stranger
		s.sends(data, wire.Padding{Size: 1100})
		if bytes, n := s.answers(stranger); n != 1 || bytes != int(minUDPPayload) {
			t.Errorf("%d answers of %d bytes", n, bytes)
		}
		// Section 9.3: a probe does not move the connection.
		if _, remote := s.conn.Addresses(); remote != clientAddr {
			t.Errorf("the connection moved to %v", remote)
		}
	})
	t.Run("from many addresses", func(t *testing.T) {
		s := newScripted(t, wire.Server, confirmed, pairConfig{})
		for n := range uint16(50) {
			s.got, s.at.remote = nil, netip.AddrPortFrom(stranger.Addr(), 1+n%3)
			b := s.packet(wire.PacketOneRTT, data, data)
			size := len(b)
			s.sendsDatagram(b)
			if bytes, _ := s.answers(s.at.remote); bytes > 3*size {
				t.Fatalf("%d bytes for %d", bytes, size)
			}
		}
	})
	t.Run("a flood", func(t *testing.T) {
		s := newScripted(t, wire.Server, confirmed, pairConfig{})
		for range 5000 {
			s.sends(data)
		}
		if in, window := s.conn.path0.det.BytesInFlight(), s.conn.path0.det.State().Window; in > window {
			t.Errorf("%d bytes in flight, the window is %d", in, window)
		}
	})
}

// RFC 9000, section 9.3: a peer that moved MUST be validated at its new address; section
// 9.3.3: at the old one MUST, too; sections 8 and 8.1: until then MUST NOT be sent more
// than three times what came.
func TestPeerMoves(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	s.got, s.at.remote = nil, stranger
	b := s.packet(wire.PacketOneRTT, wire.Ping{})
	size := len(b)
	s.sendsDatagram(b)
	if _, remote := s.conn.Addresses(); remote != stranger {
		t.Fatalf("the connection stays at %v", remote)
	}
	if bytes, _ := s.answers(stranger); bytes > 3*size {
		t.Errorf("%d bytes sent for %d received", bytes, size)
	}
	var small *wire.PathChallenge
	toOld := false
	for _, p := range s.got {
		for _, f := range p.frames {
			if c, ok := f.(wire.PathChallenge); ok {
				toOld = toOld || (p.to.remote == clientAddr && p.size == int(minUDPPayload))
				if p.to.remote == stranger {
					small = &c
				}
			}
		}
	}
	if small == nil || !toOld {
		t.Fatalf("challenged the new address: %v, the old one: %v", small != nil, toOld)
	}
	// Section 8.2.1: the challenge was in a small datagram, so a second one MUST follow in
	// one of 1200 bytes.
	s.got = nil
	s.sends(wire.PathResponse{Data: small.Data})
	if !s.conn.path0.amp.validated() {
		t.Fatal("the new address is not validated by its answer")
	}
	if f, p := s.frame(wire.TypePathChallenge); f == nil || p.size != int(minUDPPayload) || p.to.remote != stranger {
		t.Errorf("no challenge in a full datagram, but %v", s.heard())
	} else {
		s.sends(wire.PathResponse{Data: f.(wire.PathChallenge).Data})
	}
	if n := s.pair.ends[wire.Server].seen[PathChanged]; n != 1 {
		t.Errorf("PathChanged came %d times", n)
	}
	if s.conn.path0.challenge.running() {
		t.Error("validation never ends")
	}
	s.wantFine()
}

// RFC 9000, section 9.3.2: when nobody answers at the new address, the connection MUST go
// back to the one that was validated, though nothing comes from there either.
func TestUnansweredMoveIsTakenBack(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, quiet())
	s.at.remote = stranger
	s.sends(wire.Ping{})
	if _, remote := s.conn.Addresses(); remote != stranger {
		t.Fatalf("the connection stays at %v", remote)
	}
	s.waits(3 * s.conn.challengePeriod(s.conn.path0))
	if _, remote := s.conn.Addresses(); remote != clientAddr || !s.conn.path0.amp.validated() {
		t.Errorf("the connection is at %v, validated %v; want %v", remote, s.conn.path0.amp.validated(), clientAddr)
	}
}

// RFC 9000, section 9.3: an old packet from another address does not move the connection.
func TestReorderedPacketDoesNotMove(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	old := s.packet(wire.PacketOneRTT, wire.Ping{})
	s.sends(wire.Ping{})
	s.at.remote = stranger
	s.sendsDatagram(old)
	s.wantFine()
	if _, remote := s.conn.Addresses(); remote != clientAddr {
		t.Errorf("the connection moved to %v", remote)
	}
}

// RFC 9000, section 9.5: a connection ID MUST NOT be used towards two addresses, when the
// peer moved on purpose.
func TestMoveWithoutSpareID(t *testing.T) {
	s := newScripted(t, wire.Server, confirmed, pairConfig{})
	s.conn.path0.peer.spare = nil
	s.at.remote, s.dst = stranger, s.conn.path0.issued.ids[1].id
	s.sends(wire.Ping{})
	if _, remote := s.conn.Addresses(); remote != clientAddr {
		t.Errorf("the connection moved to %v with the connection ID of the old path", remote)
	}
	before := s.conn.path0.peer.current()
	s.sends(wire.NewConnectionID{Sequence: 9, ID: someID(9)})
	s.sends(wire.Ping{})
	if _, remote := s.conn.Addresses(); remote != stranger || s.conn.path0.peer.current() == before {
		t.Errorf("with a spare ID the connection is at %v", remote)
	}
}

// RFC 9000, section 9: MUST NOT migrate before the handshake is confirmed, nor when the
// peer forbids it; section 9.5: nor without an unused connection ID.
func TestRebindIsRefused(t *testing.T) {
	local := netip.MustParseAddrPort("192.0.2.77:77")
	s := newScripted(t, wire.Client, greeted, pairConfig{})
	if err := s.conn.Rebind(s.now(), 0, local); err == nil {
		t.Error("migrated before the handshake was confirmed")
	}
	s = newScripted(t, wire.Client, confirmed, pairConfig{server: Config{DisableMigration: true}})
	if err := s.conn.Rebind(s.now(), 0, local); err == nil {
		t.Error("migrated though the server forbids it")
	}
	s = newScripted(t, wire.Client, confirmed, pairConfig{})
	s.conn.path0.peer.spare = nil
	if err := s.conn.Rebind(s.now(), 0, local); err == nil {
		t.Error("migrated without a connection ID for it")
	}
	if at, _ := s.conn.Addresses(); at == local {
		t.Error("the refused move took place")
	}
	s = newScripted(t, wire.Server, confirmed, pairConfig{})
	if err := s.conn.Rebind(s.now(), 0, local); err == nil {
		t.Error("a server migrated")
	}
}

// RFC 9000, section 8.2.4: with no other path to go to an endpoint may wait for the one
// that answers nothing. It asks ever less often and ends by being idle, silently.
func TestMoveIntoTheVoid(t *testing.T) {
	s := newScripted(t, wire.Client, confirmed, pairConfig{})
	if err := s.conn.Rebind(s.now(), 0, netip.MustParseAddrPort("192.0.2.77:77")); err != nil {
		t.Fatal(err)
	}
	s.got = nil
	s.waits(defaultIdleTimeout + 5*time.Second)
	got, ok := errors.AsType[*TimeoutError](s.conn.err)
	if n := s.count(wire.TypePathChallenge); !ok || got.Handshake || s.count(wire.TypeCloseTransport) != 0 || n < 3 || n > 15 {
		t.Errorf("ended with %v and sent %v", s.conn.err, s.heard())
	}
}

// RFC 9000, section 9: a client MUST NOT migrate before the handshake is confirmed, though
// it may have spare connection IDs by then.
func TestNoMoveBeforeConfirmation(t *testing.T) {
	s := newScripted(t, wire.Client, confirmed, pairConfig{})
	if len(s.conn.path0.peer.spare) == 0 {
		t.Fatal("there is no spare ID: the test shows nothing")
	}
	s.conn.confirmed = false
	to := netip.MustParseAddrPort("192.0.2.77:77")
	if err := s.conn.Rebind(s.now(), 0, to); err == nil || s.conn.path0.local == to {
		t.Errorf("moved to %v: %v", s.conn.path0.local, err)
	}
}

// Any path moves to another address, in the midst of a transfer over all: it keeps its ID, its
// connection IDs are of it (draft-ietf-quic-multipath-21, section 3.2.2: MUST), congestion
// control begins anew (RFC 9000, section 9.4: MUST), and the others notice nothing. Without
// path 0 it is the same.
func TestRebindOfAnyPath(t *testing.T) {
	for _, id := range []wire.PathID{0, 1, 2} {
		t.Run(fmt.Sprint(id), func(t *testing.T) {
			b := newBond(t, 4, "roundrobin", []line{{delay: 10 * time.Millisecond}, {delay: 15 * time.Millisecond}, {delay: 20 * time.Millisecond}})
			b.openAll()
			to := netip.AddrPortFrom(clientAt(int(id)).Addr(), 6006)
			e := b.ends[wire.Client]
			e.more = append(e.more, to)
			for n := range 2 {
				x := newTransfer(b.pair, wire.Client, 1, 3<<20)
				b.run(time.Minute, func() bool { x.pump(); return x.arrived() > 1<<20 })
				p, q := b.client().pathByID(id), b.server().pathByID(id)
				before, used, seen := p.peer.current(), q.peer.current(), e.seen[PathChanged]
				at := map[wire.PathID]tuple{}
				for _, o := range b.client().open {
					at[o.id] = o.tuple
				}
				if err := b.client().Rebind(b.now, id, to); err != nil {
					t.Fatal(err)
				}
				b.run(time.Minute, x.done)
				x.check()
				b.run(5*time.Second, func() bool { return e.seen[PathChanged] == seen+1 && !q.challenge.running() })
				for _, o := range b.client().open {
					if o.id != id && (o.tuple != at[o.id] || !o.det.RTT().HasSample) {
						t.Errorf("path %d is at %v, was at %v", o.id, o.tuple, at[o.id])
					}
				}
				if p.local != to || q.tuple.remote != to || p.state != PathActive || q.state != PathActive {
					t.Errorf("the path is %v at %v, for the server %v at %v", p.state, p.tuple, q.state, q.tuple)
				}
				if p.peer.current() == before || q.peer.current() == used || p.sentBytes == 0 {
					t.Error("a connection ID is used on two paths")
				}
				if id != 0 && b.client().path0.state == PathActive {
					if err := b.client().ClosePath(b.now, 0, wire.ApplicationAbandonPath); err != nil {
						t.Fatal(err)
					}
				}
				to = clientAt(int(id)) // and back
				b.idle(5 * time.Second)
				// What answers the server at the old address says nothing of a move back.
				if client, server := e.seen[PathChanged], b.ends[wire.Server].seen[PathChanged]; client != n+1 || server != n+1 {
					t.Errorf("after %d moves the client changed paths %d times, the server %d times", n+1, client, server)
				}
			}
			if local, _ := b.client().Addresses(); id != 0 && local == clientAddr {
				t.Errorf("the connection is at %v, where it has no path", local)
			}
			b.over()
		})
	}
}

// A path that is not open, or not validated yet, does not move.
func TestRebindOfNoPath(t *testing.T) {
	s := newMulti(t, wire.Client, 4)
	p := s.begins(clientLTE)
	for id := range wire.PathID(5) {
		if err := s.conn.Rebind(s.now(), id, clientSat); (err == nil) != (id == 0) {
			t.Errorf("path %d: %v", id, err)
		}
	}
	if p.local != clientLTE || s.conn.path0.local != clientSat {
		t.Errorf("the paths are at %v and %v", s.conn.path0.local, p.local)
	}
}
