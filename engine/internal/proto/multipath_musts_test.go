package proto

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// draft-ietf-quic-multipath-21, section 2.1: with the parameter both sides MUST have
// connection IDs; a peer without them MUST be a PROTOCOL_VIOLATION.
func TestMultipathWithoutConnectionIDs(t *testing.T) {
	s := newScripted(t, wire.Client, greeted, several(4))
	if s.conn.local.InitialSrcID.Len() == 0 {
		t.Error("the client has no connection ID of its own")
	}
	s.src = wire.ConnID{}
	s.sendsIn(wire.PacketInitial, wire.Ping{}) // it takes the server's ID: an empty one
	p := s.real.local
	p.InitialSrcID = wire.ConnID{}
	err := s.conn.setPeerParameters(s.now(), p.Append(nil, wire.Server))
	if got, ok := errors.AsType[*wire.TransportError](err); !ok || got.Code != wire.ProtocolViolation {
		t.Errorf("got %v, want a PROTOCOL_VIOLATION", err)
	}
	p.HasMultipath = false // without the parameter that is nobody's business
	if err := s.conn.setPeerParameters(s.now(), p.Append(nil, wire.Server)); err != nil {
		t.Errorf("without multipath: %v", err)
	}
}

// draft-ietf-quic-multipath-21, section 2.1: initial_max_path_id MUST NOT be remembered: a
// client knows of no multipath in 0-RTT, and a server takes 0-RTT whatever it said then.
func TestMultipathIsNotRemembered(t *testing.T) {
	server := Config{EarlyData: true, Paths: 4}
	p := newPair(t, pairConfig{client: Config{EarlyData: true, Paths: 4}, server: server})
	p.handshake()
	p.idle(100 * time.Millisecond)
	cfg := p.client().cfg
	p.client().Close(p.now, 0, "")
	p.idle(2 * time.Second)

	server.TLS = p.server().cfg.TLS
	server.Paths = 8
	if err := p.ends[wire.Server].endpoint.SetServer(&server); err != nil {
		t.Fatal(err)
	}
	p.dial(cfg, nil)
	if p.client().early != earlyOffered {
		t.Fatal("there is no 0-RTT: the test shows nothing")
	}
	if p.client().peer.HasMultipath || p.client().peer.InitialMaxPathID != 0 {
		t.Errorf("the client remembers initial_max_path_id %d", p.client().peer.InitialMaxPathID)
	}
	x := newTransfer(p, wire.Client, 1, 1000)
	p.run(time.Second, x.done)
	p.handshake()
	if p.client().early != earlyAccepted {
		t.Error("0-RTT was refused for another limit of paths")
	}
	if !p.client().Multipath() || p.client().multi.peerMax != 7 {
		t.Errorf("multipath %v, limit %d, want 7", p.client().Multipath(), p.client().multi.peerMax)
	}
}

// draft-ietf-quic-multipath-21, section 2.1: the value 0 has the extension on, with no
// further path yet; MAX_PATH_ID brings them.
func TestNoFurtherPathsYet(t *testing.T) {
	s := newScripted(t, wire.Client, greeted, several(4))
	s.sendsIn(wire.PacketInitial, wire.Ping{}) // it takes the server's ID
	p := s.real.local
	p.InitialMaxPathID = 0
	if err := s.conn.setPeerParameters(s.now(), p.Append(nil, wire.Server)); err != nil {
		t.Fatal(err)
	}
	s.conn.startMultipath()
	if !s.conn.Multipath() {
		t.Fatal("multipath is off")
	}
	// Section 3.2.1: no connection ID MUST be issued for a path ID above the limit.
	for _, p := range s.conn.paths[1:] {
		if n := len(p.issued.ids); n != 0 {
			t.Errorf("path %d has %d connection IDs", p.id, n)
		}
	}
	if err := s.conn.handleMaxPathID(2); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.conn.paths[1:] {
		if n := len(p.issued.ids); (n > 0) != (p.id <= 2) {
			t.Errorf("after MAX_PATH_ID 2 path %d has %d connection IDs", p.id, n)
		}
	}
}

// draft-ietf-quic-multipath-21, section 2.3: an ACK frame MUST be processed still, as one of
// path 0, whatever path it comes on.
func TestAckIsOfPathZero(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		s.home()
		at := s.pings(2)
		if got := s.conn.path0.det.LargestAcked(recovery.SpaceApplication); got >= at {
			t.Fatalf("packet %d was acknowledged before", got)
		}
		s.on(1, s.facing(clientLTE))
		s.sends(wire.Ack{Largest: at})
		s.wantFine()
		if got := s.conn.path0.det.LargestAcked(recovery.SpaceApplication); got != at {
			t.Errorf("%v: the largest acknowledged packet of path 0 is %d, want %d", side, got, at)
		}
	}
}

// frameTypes counts the types of the frames that a side sends in 1-RTT packets.
type frameTypes map[wire.FrameType]int

func (f frameTypes) Trace(e *TraceEvent) {
	if e.Kind != TracePacketSent || e.PacketType != wire.PacketOneRTT {
		return
	}
	for b := e.Payload; len(b) > 0; {
		t, _, n, err := wire.ParseFrame(b)
		if err != nil {
			return
		}
		f[t]++
		b = b[n:]
	}
}

// draft-ietf-quic-multipath-21, section 2.3: after the handshake packets are acknowledged by
// PATH_ACK, those of 0-RTT, too.
func TestEarlyDataIsAcknowledgedByPathAck(t *testing.T) {
	sent := frameTypes{}
	server := Config{EarlyData: true, Paths: 2, Tracer: func(wire.Perspective, wire.ConnID) Tracer { return sent }}
	p := newPair(t, pairConfig{client: Config{EarlyData: true, Paths: 2}, server: server})
	p.handshake()
	p.idle(100 * time.Millisecond)
	cfg := p.client().cfg
	p.client().Close(p.now, 0, "")
	p.idle(2 * time.Second)
	clear(sent)
	p.dial(cfg, nil)
	x := newTransfer(p, wire.Client, 1, 1000)
	p.run(time.Second, x.done)
	early := p.client().path0.spaces[recovery.SpaceApplication].next - 1
	p.handshake()
	p.idle(time.Second)
	if p.client().early != earlyAccepted || early < 0 {
		t.Fatal("there was no 0-RTT: the test shows nothing")
	}
	if got := p.client().path0.det.LargestAcked(recovery.SpaceApplication); got < early {
		t.Errorf("packet %d is acknowledged, want %d, the last of 0-RTT", got, early)
	}
	if sent[wire.TypePathAck] == 0 {
		t.Errorf("the server sent %v", sent)
	}
}

// draft-ietf-quic-multipath-21, section 2.4: the path ID is part of the nonce. A packet that
// is sealed for another path than its connection ID's is dropped.
func TestPacketSealedForAnotherPath(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		for _, id := range []wire.PathID{0, 2, 3} {
			s.id = id // the connection ID stays that of path 1
			s.sends(wire.Ping{})
			s.wantDropped()
		}
		s.id = 1
		s.sends(wire.Ping{})
		s.wantFine()
	}
}

// A slow path and a fast one: what lasts some probe timeouts lasts those of the slow one.
func slowAndFast(t *testing.T) *bond {
	b := newBond(t, 2, "", []line{{delay: 10 * time.Millisecond}, {delay: 300 * time.Millisecond}})
	b.openAll()
	x := newTransfer(b.pair, wire.Client, 1, 200_000)
	b.run(time.Minute, x.done)
	b.idle(2 * time.Second)
	return b
}

// draft-ietf-quic-multipath-21, section 2.5: between key updates three of the largest probe
// timeout of all paths SHOULD pass; the update works on all paths.
func TestKeyUpdateWaitsForTheSlowestPath(t *testing.T) {
	b := slowAndFast(t)
	c := b.client()
	small, large := c.open[0].pto(), c.open[1].pto()
	if large < 4*small {
		t.Fatalf("probe timeouts of %v and %v: the test shows nothing", small, large)
	}
	if err := c.UpdateKeys(b.now); err != nil {
		t.Fatal(err)
	}
	x := newTransfer(b.pair, wire.Client, 1, 300_000)
	b.run(time.Minute, x.done)
	acked := b.now
	for ; c.UpdateKeys(b.now) != nil; b.idle(small) {
		if b.now > acked.Add(5*large) {
			t.Fatal("it is too early for ever")
		}
	}
	if waited := b.now.Sub(acked); waited < 2*large {
		t.Errorf("the second update was allowed after %v; probe timeouts are %v and %v", waited, small, large)
	}
	x = newTransfer(b.pair, wire.Client, 1, 300_000)
	b.run(time.Minute, x.done)
	x.check()
	if got := b.server().Stats().PeerKeyUpdates; got != 2 {
		t.Errorf("the server saw %d updates, want 2", got)
	}
	for _, p := range b.client().Stats().Paths {
		if p.LostPackets > 0 {
			t.Errorf("path %d lost %d packets to key updates", p.ID, p.LostPackets)
		}
	}
}

// draft-ietf-quic-multipath-21, section 2.6: closing and draining last three of the largest
// probe timeout of all paths.
func TestClosingWaitsForTheSlowestPath(t *testing.T) {
	b := slowAndFast(t)
	c := b.client()
	large := c.open[1].pto()
	c.Close(b.now, 0, "")
	if got := c.closing.until.Sub(b.now); got != 3*large {
		t.Errorf("closing lasts %v, want three times %v", got, large)
	}
	large = b.server().open[1].pto()
	b.run(time.Second, func() bool { return b.server().state == stateDraining })
	if got := b.server().closing.until.Sub(b.now); got != 3*large {
		t.Errorf("draining lasts %v, want three times %v", got, large)
	}
}

// draft-ietf-quic-multipath-21, section 3.1: a path is opened with a new connection ID of an
// unused path ID (MUST), and its address MUST be validated by the client.
func TestClientOpensPath(t *testing.T) {
	s := newMulti(t, wire.Client, 4)
	spare := s.conn.pathByID(1).peer.spare[0].id
	s.got = nil
	id, err := s.conn.OpenPath(s.now(), clientLTE, serverAddr)
	if err != nil || id != 1 {
		t.Fatalf("path %d, %v", id, err)
	}
	x := newTransfer(s.pair, wire.Client, 1, 1000)
	s.pair.ends[wire.Client].conn = s.conn
	x.pump()
	s.drain()
	on := s.heardOn(1)
	if len(on) != 1 || on[0].dst != spare || on[0].size != int(minUDPPayload) || on[0].to != (tuple{clientLTE, serverAddr}) {
		t.Fatalf("heard %+v, want one datagram of 1200 bytes to %v", on, spare)
	}
	if s.frameOn(1, wire.TypePathChallenge) == nil || s.frameOn(1, wire.TypeStream) != nil {
		t.Errorf("the first packet has %v", on[0].types)
	}
	// Nothing but challenges leaves on it before the answer.
	s.waits(400 * time.Millisecond)
	for _, p := range s.heardOn(1) {
		for _, typ := range p.types {
			if typ != wire.TypePathChallenge && typ != wire.TypePadding {
				t.Errorf("sent %v on a path that is not validated", p.types)
			}
		}
	}
	s.on(1, s.facing(clientLTE)).validates(s.conn.pathByID(1))
	if s.conn.pathByID(1).state != PathActive || s.pair.ends[wire.Client].seen[PathValidated] != 1 {
		t.Error("the answer does not validate the path")
	}
}

// draft-ietf-quic-multipath-21, section 3: only a client opens paths.
func TestServerOpensNoPath(t *testing.T) {
	s := newMulti(t, wire.Server, 4)
	if _, err := s.conn.OpenPath(s.now(), serverMore, clientAddr); err == nil {
		t.Error("a server opened a path")
	}
	s = newMulti(t, wire.Client, 4)
	s.on(1, tuple{clientLTE, serverAddr}).sends(wire.PathChallenge{}, wire.Padding{Size: 1150})
	s.wantDropped()
	if len(s.conn.open) != 1 {
		t.Error("a client took a path that the server opened")
	}
}

// draft-ietf-quic-multipath-21, section 3.1: before data is sent a server MUST validate the
// address of a new path, and the anti-amplification limit holds until then; a first packet
// without a PATH_CHALLENGE is valid; its answers bear connection IDs of the same path ID
// (MUST).
func TestServerValidatesNewPath(t *testing.T) {
	for name, first := range map[string][]appender{
		"challenged": {wire.PathChallenge{Data: [8]byte{7}}, wire.Padding{Size: 1150}},
		"small":      {wire.PathChallenge{Data: [8]byte{7}}},
		"a PING":     {wire.Ping{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMulti(t, wire.Server, 4)
			out, err := s.conn.OpenStream(wire.Uni)
			if err != nil {
				t.Fatal(err)
			}
			s.got = nil
			in := 0
			send := func(frames ...appender) {
				b := s.packet(wire.PacketOneRTT, frames...)
				in += len(b)
				s.sendsDatagram(b)
			}
			s.on(1, s.facing(clientLTE))
			send(first...)
			if _, err := out.Write(make([]byte, 500_000)); err != nil {
				t.Fatal(err)
			}
			s.drain()
			s.waits(500 * time.Millisecond)
			bytes := 0
			for _, p := range s.heardOn(1) {
				bytes += p.size
				if p.to != s.facing(clientLTE) {
					t.Errorf("sent to %v", p.to)
				}
				for _, typ := range p.types {
					if typ.IsStream() {
						t.Fatal("data was sent to an address not validated")
					}
				}
			}
			if bytes == 0 || bytes > 3*in {
				t.Errorf("%d bytes sent for %d received", bytes, in)
			}
			if name != "a PING" && s.frameOn(1, wire.TypePathResponse) == nil {
				t.Errorf("no answer on the path, but %v", s.heard())
			}
			if _, p := s.frame(wire.TypePathResponse); p != nil && p.path != 1 {
				t.Errorf("the answer came on path %d", p.path)
			}
			// Section 3.1: MUST validate, too, that the path carries 1200 bytes.
			for n := 0; s.conn.pathByID(1).challenge.running() || s.conn.pathByID(1).state != PathActive; n++ {
				if n == 3 {
					t.Fatal("validation never ends")
				}
				send(wire.Ping{}, wire.Padding{Size: 1150}) // to be allowed a challenge
				s.waits(time.Second)
				s.validates(s.conn.pathByID(1))
			}
			var full bool
			for _, p := range s.heardOn(1) {
				for _, typ := range p.types {
					full = full || (typ == wire.TypePathChallenge && p.size >= int(minUDPPayload))
				}
			}
			if !full {
				t.Error("1200 bytes were never tried")
			}
		})
	}
}

// draft-ietf-quic-multipath-21, section 3.1: a PATH_RESPONSE MUST be sent on the path of the
// PATH_CHALLENGE, with a connection ID of the same path ID.
func TestResponseStaysOnItsPath(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		s.opens(clientSat)
		for _, at := range []struct {
			id     wire.PathID
			client netip.AddrPort
		}{{1, clientLTE}, {2, clientSat}, {0, clientAddr}} {
			s.got = nil
			s.on(at.id, s.facing(at.client)).sends(wire.PathChallenge{Data: [8]byte{byte(at.id), 5}}, wire.Padding{Size: 1150})
			f, p := s.frame(wire.TypePathResponse)
			if f == nil || p.path != at.id || p.to != s.facing(at.client) || s.count(wire.TypePathResponse) != 1 {
				t.Errorf("%v: a challenge on path %d was answered by %+v", side, at.id, s.got)
			}
		}
	}
}

// draft-ietf-quic-multipath-21, section 3.1: a tuple that was validated needs no validation
// again: two paths can have one 4-tuple, and are paths of their own.
func TestTwoPathsOnOneTuple(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.got = nil
		p := s.begins(clientAddr)
		if p.state != PathActive || s.frameOn(1, wire.TypePathChallenge) != nil {
			t.Fatalf("%v: path %d is %v, heard %v", side, p.id, p.state, s.heard())
		}
		s.sends(wire.Ping{})
		s.waits(50 * time.Millisecond)
		s.home().sends(wire.Ping{})
		s.waits(50 * time.Millisecond)
		if p.tuple != s.conn.path0.tuple || p.receivedPackets == 0 || s.conn.path0.receivedPackets == 0 {
			t.Errorf("%v: %d and %d packets came", side, p.receivedPackets, s.conn.path0.receivedPackets)
		}
		s.conn.abandon(s.now(), s.conn.path0, wire.ApplicationAbandonPath) // one goes, the other stays
		s.on(1, s.facing(clientAddr)).sends(wire.Ping{})
		s.wantFine()
		if len(s.conn.open) != 1 || s.conn.open[0] != p {
			t.Errorf("%v: %d paths are open", side, len(s.conn.open))
		}
	}
}

// draft-ietf-quic-multipath-21, section 3.1: a path that cannot be validated MUST NOT be used
// and MUST be closed explicitly.
func TestValidationOfPathFails(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.begins(clientLTE)
		s.home()
		for range 12 {
			s.waits(500 * time.Millisecond)
			s.acksAll(0)
		}
		f := s.frameOn(0, wire.TypePathAbandon)
		if want := (wire.PathAbandon{Path: 1, Code: uint64(wire.PathUnstableOrPoor)}); f != want {
			t.Errorf("%v: got %+v, want %+v on path 0", side, f, want)
		}
		if s.pair.ends[side].seen[PathClosed] != 1 || len(s.conn.open) != 1 || p.state != PathClosing {
			t.Errorf("%v: the path is %v", side, p.state)
		}
		s.wantFine()
	}
}

// draft-ietf-quic-multipath-21, section 3.1: a packet of a path from another 4-tuple MUST be
// taken for a migration of that path: its ID stays, the connection IDs MUST be of it, and
// once the address is validated congestion control and round-trip times begin anew.
func TestPathMigrates(t *testing.T) {
	for name, rotate := range map[string]bool{"a NAT's doing": false, "on purpose": true} {
		t.Run(name, func(t *testing.T) {
			s := newMulti(t, wire.Server, 4)
			p := s.opens(clientLTE)
			s.sends(wire.Ping{})
			s.waits(30 * time.Millisecond)
			s.acksAll(1)
			if !p.det.RTT().HasSample {
				t.Fatal("the path has no round-trip time: the test shows nothing")
			}
			zero, before := s.conn.path0.tuple, p.peer.current()
			numbers := s.conn.pathByID(1).spaces[recovery.SpaceApplication].next
			s.got = nil
			s.at = s.facing(stranger)
			if rotate {
				s.dst = p.issued.ids[1].id
			}
			s.sends(wire.Ping{}, wire.Padding{Size: 1150})
			if p.tuple != s.at || p.id != 1 || s.conn.path0.tuple != zero || len(s.conn.open) != 2 {
				t.Fatalf("path 1 is at %v, path 0 at %v", p.tuple, s.conn.path0.tuple)
			}
			for _, h := range s.got {
				if h.to.remote == stranger && h.path != 1 {
					t.Errorf("path %d's connection ID was used", h.path)
				}
			}
			if got := p.peer.current(); (got != before) != rotate || s.owner(got) != 1 {
				t.Errorf("the connection ID in use was %v and is %v", before, got)
			}
			var to *wire.PathChallenge
			for _, h := range s.got {
				for _, f := range h.frames {
					if c, ok := f.(wire.PathChallenge); ok && h.to.remote == stranger {
						to = &c
					}
				}
			}
			if to == nil {
				t.Fatalf("the new address is not challenged: %v", s.heard())
			}
			s.sends(wire.PathResponse{Data: to.Data}, wire.Padding{Size: 1150})
			if p.det.RTT().HasSample || !p.amp.validated() {
				t.Error("what was learnt at the old address still holds")
			}
			if !s.conn.path0.det.RTT().HasSample {
				t.Error("path 0 began anew, too")
			}
			if p.spaces[recovery.SpaceApplication].next < numbers {
				t.Error("packet numbers begin anew")
			}
			if n := s.pair.ends[wire.Server].seen[PathChanged]; n != 1 {
				t.Errorf("PathChanged came %d times", n)
			}
		})
	}
}

// draft-ietf-quic-multipath-21, section 3.2.1: connection IDs MUST NOT be issued for path IDs
// above the peer's limit; they are for all below it, without gaps.
func TestConnectionIDsKeepTheLimit(t *testing.T) {
	pc := several(4)
	pc.server.Paths = 3
	s := newScripted(t, wire.Client, confirmed, pc)
	issued := func() (ids []wire.PathID) {
		for _, p := range s.conn.paths {
			if len(p.issued.ids) > 0 {
				ids = append(ids, p.id)
			}
			for _, d := range p.issued.ids {
				if !d.out {
					t.Errorf("an ID of path %d was not sent", p.id)
				}
			}
		}
		return ids
	}
	if got := issued(); len(got) != 3 || got[2] != 2 {
		t.Errorf("paths %v have connection IDs, want 0 to 2", got)
	}
	// Section 4.6: a limit that does not increase MUST be ignored.
	s.sends(wire.MaxPathID{Max: 2})
	s.wantFine()
	if got := issued(); len(got) != 3 {
		t.Errorf("after a limit that does not increase paths %v have connection IDs", got)
	}
	s.got = nil
	s.sends(wire.MaxPathID{Max: 100})
	s.acksAll(0)
	s.waits(50 * time.Millisecond)
	if got := issued(); len(got) != 4 || got[3] != 3 {
		t.Errorf("with a limit of 100 paths %v have connection IDs, want 0 to 3", got)
	}
	if f := s.frameOn(0, wire.TypePathNewConnectionID); f == nil || f.(wire.NewConnectionID).Path != 3 {
		t.Errorf("the last one issued is %+v", f)
	}
	s.sends(wire.MaxPathID{Max: 2}) // late
	s.wantFine()
	if s.conn.multi.peerMax != 100 {
		t.Errorf("the limit is %d", s.conn.multi.peerMax)
	}
}

// draft-ietf-quic-multipath-21, section 3.2.2: who changes its connection ID MUST take one of
// the same path ID. Retire Prior To is of one path, too.
func TestRotationStaysOnThePath(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.opens(clientLTE)
		spare := len(s.conn.pathByID(2).peer.spare)
		zero := s.conn.path0.peer.current()
		f := s.newPathID(1, 7, 7)
		s.got = nil
		s.sends(f)
		if p.peer.current() != f.ID {
			t.Errorf("%v: path 1 uses %v, want %v", side, p.peer.current(), f.ID)
		}
		if s.conn.path0.peer.current() != zero || len(s.conn.pathByID(2).peer.spare) != spare {
			t.Errorf("%v: other paths' connection IDs were retired", side)
		}
		retired := 0
		for _, h := range s.got {
			for _, f := range h.frames {
				if r, ok := f.(wire.RetireConnectionID); ok {
					if retired++; !r.Multipath || r.Path != 1 || r.Sequence >= 7 {
						t.Errorf("%v: retired %+v", side, r)
					}
				}
			}
		}
		if retired != 2 {
			t.Errorf("%v: %d were retired, want 2", side, retired)
		}
		s.got = nil
		s.sends(wire.PathChallenge{}, wire.Padding{Size: 1150})
		if on := s.heardOn(1); len(on) == 0 || on[len(on)-1].dst != f.ID {
			t.Errorf("%v: answered by %v", side, s.heard())
		}
	}
}

// NEW_CONNECTION_ID and RETIRE_CONNECTION_ID are of path 0 with multipath, too.
// draft-ietf-quic-multipath-21, sections 4.4 and 4.5: and of no other.
func TestOldFramesAreOfPathZero(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		own := s.conn.pathByID(1).peer.current()
		f := wire.NewConnectionID{Sequence: 9, RetirePriorTo: 9, ID: someID(9)}
		s.given = map[wire.ConnID]wire.PathID{f.ID: 0}
		s.sends(f) // on path 1
		if s.conn.path0.peer.current() != f.ID || s.conn.pathByID(1).peer.current() != own {
			t.Errorf("%v: path 0 uses %v, path 1 %v", side, s.conn.path0.peer.current(), s.conn.pathByID(1).peer.current())
		}
		s.sends(wire.RetireConnectionID{Sequence: 0})
		s.wantFine()
		if s.conn.path0.issued.ids[0].seq != 1 || s.conn.pathByID(1).issued.ids[0].seq != 0 {
			t.Errorf("%v: retired another ID", side)
		}
	}
}

// draft-ietf-quic-multipath-21, section 4.3: sequence numbers of a path's status MUST
// increase; one that is not newer than the last of the same path MUST be ignored.
func TestStatusIsTheNewest(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.opens(clientLTE)
		for _, step := range []struct {
			f    wire.PathStatus
			want bool
		}{
			{wire.PathStatus{Path: 1, Sequence: 3, Backup: true}, true},
			{wire.PathStatus{Path: 1, Sequence: 3}, true},
			{wire.PathStatus{Path: 1, Sequence: 0}, true},
			{wire.PathStatus{Path: 0, Sequence: 9}, true}, // of another path
			{wire.PathStatus{Path: 1, Sequence: 4}, false},
			{wire.PathStatus{Path: 1, Sequence: 3, Backup: true}, false},
		} {
			s.sends(step.f)
			s.wantFine()
			if p.peerBackup != step.want {
				t.Errorf("%v: after %+v backup is %v", side, step.f, p.peerBackup)
			}
		}
		// Of a path that is not in use yet, too.
		s.sends(wire.PathStatus{Path: 3, Backup: true})
		if s.wantFine(); !s.conn.pathByID(3).peerBackup {
			t.Errorf("%v: the status of an unused path is not kept", side)
		}

		s.got = nil
		var last uint64
		for n := range 5 {
			if err := s.conn.SetBackup(s.now(), 1, n%2 == 0); err != nil {
				t.Fatal(err)
			}
			s.drain()
			s.acksAll(0, 1)
			s.waits(30 * time.Millisecond)
			_, heard := s.frame(wire.TypePathStatusBackup)
			if n%2 == 1 {
				_, heard = s.frame(wire.TypePathStatusAvailable)
			}
			if heard == nil {
				t.Fatalf("%v: change %d was not said: %v", side, n, s.heard())
			}
			for _, f := range heard.frames {
				if st, ok := f.(wire.PathStatus); ok {
					if st.Path != 1 || st.Backup != (n%2 == 0) || (n > 0 && st.Sequence <= last) {
						t.Errorf("%v: change %d was said as %+v, after number %d", side, n, st, last)
					}
					last = st.Sequence
				}
			}
			s.got = nil
		}
	}
}

// Of several status frames that were lost only the newest is sent again.
// draft-ietf-quic-multipath-21, section 4.3: SHOULD.
func TestNewestStatusIsSentAgain(t *testing.T) {
	s := newMulti(t, wire.Server, 4)
	s.opens(clientLTE)
	s.waits(200 * time.Millisecond)
	s.acksAll(1)
	s.acksAll(0)
	s.home()
	for n := range 3 {
		if err := s.conn.SetBackup(s.now(), 1, n%2 == 0); err != nil {
			t.Fatal(err)
		}
		s.drain()
		s.waits(time.Millisecond)
	}
	s.got = nil
	s.waits(3 * time.Second) // probe timeouts
	for _, h := range s.got {
		for _, f := range h.frames {
			if st, ok := f.(wire.PathStatus); ok && (st.Sequence != 2 || !st.Backup) {
				t.Errorf("sent again: %+v", st)
			}
		}
	}
	if s.count(wire.TypePathStatusBackup) == 0 {
		t.Errorf("the newest was not sent again: %v", s.heard())
	}
}

// draft-ietf-quic-multipath-21, section 4.6: a limit MUST NOT fall below the initial one, and
// rises when a path is over, so that the connection never runs out of them.
func TestLimitRisesWithEachPath(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 3)
		for n := range wire.PathID(5) {
			p := s.opens(clientLTE)
			s.home().sends(wire.PathAbandon{Path: p.id})
			s.acksAll(0)
			s.waits(5 * time.Second)
			f, ok := s.frameOn(0, wire.TypeMaxPathID).(wire.MaxPathID)
			if !ok || f.Max != 3+n {
				t.Fatalf("%v: after the end of path %d came %+v, want a limit of %d", side, p.id, f, 3+n)
			}
			s.sends(wire.MaxPathID{Max: f.Max}, s.newPathID(f.Max, 0, 0))
			s.acksAll(0)
			s.waits(50 * time.Millisecond)
			s.wantFine()
		}
	}
}

// OpenPath says what it lacks, once: draft-ietf-quic-multipath-21, section 3.2.1.
func TestOpenPathIsBlocked(t *testing.T) {
	s := newMulti(t, wire.Client, 3)
	for _, at := range []netip.AddrPort{clientLTE, clientSat} {
		s.opens(at)
	}
	s.home()
	for range 3 {
		if _, err := s.conn.OpenPath(s.now(), stranger, serverAddr); !errors.Is(err, ErrPathsBlocked) {
			t.Fatalf("got %v, want %v", err, ErrPathsBlocked)
		}
		s.drain()
		s.acksAll(0)
	}
	if f, _ := s.frame(wire.TypePathsBlocked); f == nil || f.(wire.PathsBlocked).Max != 2 || s.count(wire.TypePathsBlocked) != 1 {
		t.Errorf("heard %v", s.heard())
	}

	// There are path IDs, but no connection IDs for them.
	s = newMulti(t, wire.Client, 4)
	for id := range wire.PathID(4) {
		if id > 0 {
			s.conn.pathByID(id).peer.spare = nil
		}
	}
	for range 3 {
		if _, err := s.conn.OpenPath(s.now(), stranger, serverAddr); !errors.Is(err, ErrPathsBlocked) {
			t.Fatalf("got %v, want %v", err, ErrPathsBlocked)
		}
		s.drain()
	}
	if f, _ := s.frame(wire.TypePathCIDsBlocked); f == nil || f.(wire.PathCIDsBlocked).Path != 1 || s.count(wire.TypePathCIDsBlocked) != 1 {
		t.Errorf("heard %v", s.heard())
	}
	if s.pair.ends[wire.Client].seen[PathsAvailable] != 0 {
		t.Error("there are paths")
	}
	s.sends(s.newPathID(1, 5, 0))
	if s.pair.ends[wire.Client].seen[PathsAvailable] != 1 {
		t.Error("it is not said that there are paths again")
	}
	if id, err := s.conn.OpenPath(s.now(), stranger, serverAddr); err != nil || id != 1 {
		t.Errorf("path %d, %v", id, err)
	}
}

// draft-ietf-quic-multipath-21, section 3.1: without a connection ID of the client for the
// same path nothing can be answered (MUST): the packet is not taken, and the path opens once
// the connection ID is there.
func TestPathWithoutConnectionIDsOfThePeer(t *testing.T) {
	s := newMulti(t, wire.Server, 4)
	p := s.conn.pathByID(1)
	p.peer.spare = nil
	s.got = nil
	s.on(1, s.facing(clientLTE)).sends(wire.PathChallenge{Data: [8]byte{1}}, wire.Padding{Size: 1150})
	s.wantDropped()
	if p.state != PathUnused || len(s.heardOn(1)) != 0 || len(s.conn.open) != 1 {
		t.Fatalf("the path is %v, heard %v", p.state, s.heard())
	}
	f := s.newPathID(1, 5, 0)
	s.home().sends(f)
	s.on(1, s.facing(clientLTE)).sends(wire.PathChallenge{Data: [8]byte{2}}, wire.Padding{Size: 1150})
	s.wantFine()
	if on := s.heardOn(1); len(on) == 0 || on[0].dst != f.ID {
		t.Errorf("heard %v", s.heard())
	}
	s.validates(p)
	if p.state != PathActive {
		t.Errorf("the path is %v", p.state)
	}
}

// RFC 9000, section 13.3: what a lost packet carried MUST be sent again; of the extension's
// frames what still holds, until it is acknowledged.
func TestLostMultipathFramesAreSentAgain(t *testing.T) {
	for kind, trigger := range map[wire.FrameType]func(s *scripted){
		wire.TypePathNewConnectionID: func(s *scripted) {
			s.sends(wire.RetireConnectionID{Path: 1, Multipath: true, Sequence: 1})
		},
		wire.TypePathRetireConnectionID: func(s *scripted) { s.sends(s.newPathID(1, 9, 2)) },
		wire.TypePathAbandon:            func(s *scripted) { s.sends(wire.PathAbandon{Path: 2}) },
		wire.TypePathStatusBackup: func(s *scripted) {
			if err := s.conn.SetBackup(s.now(), 1, true); err != nil {
				t.Fatal(err)
			}
			s.drain()
		},
		wire.TypeMaxPathID: func(s *scripted) {
			p := s.conn.pathByID(2)
			s.sends(wire.PathAbandon{Path: 2})
			s.acksAll(0)
			s.waits(p.abandonment.until.Sub(s.now()))
		},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			s := newMulti(t, wire.Server, 4)
			s.opens(clientLTE)
			s.home()
			s.waits(time.Second)
			s.acksAll(0)
			s.conn.open[1].peerBackup = true // it is said on path 0
			s.got = nil
			trigger(s)
			s.wantFrame(kind)
			s.got = nil
			s.waits(1500 * time.Millisecond) // a probe timeout
			s.wantFrame(kind)
			s.acksAll(0)
			s.waits(200 * time.Millisecond)
			s.acksAll(0)
			s.got = nil
			s.waits(3 * time.Second)
			if s.count(kind) != 0 {
				t.Errorf("sent again, though it was acknowledged: %v", s.heard())
			}
			s.wantFine()
		})
	}
}
