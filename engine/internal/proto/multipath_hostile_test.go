package proto

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// multiInvariants fails when a connection with several paths is in a state that it must
// never be in.
func (s *scripted) multiInvariants() {
	s.t.Helper()
	typed(s.t, s.conn)
	for _, p := range s.conn.open {
		if !p.amp.valid && p.amp.out > amplificationFactor*p.amp.in {
			s.t.Errorf("path %d: %d bytes sent to an address not validated, for %d", p.id, p.amp.out, p.amp.in)
		}
	}
	if text := unbounded(s.conn, s.pair.ends[s.conn.side].endpoint); text != "" {
		s.t.Error(text)
	}
	if s.conn.state == stateActive && s.conn.NextTimeout() > s.now().Add(time.Hour) {
		s.t.Errorf("no timer ends the connection: %v", s.conn.timers())
	}
}

// Floods of multipath frames that are fine one by one: memory stays bounded.
func TestMultipathFloods(t *testing.T) {
	lte := func(s *scripted) { s.opens(clientLTE) }
	for _, tt := range []struct {
		name  string
		count uint64
		begin func(s *scripted)
		frame func(s *scripted, n uint64) []appender
	}{
		{"PATH_CHALLENGE on a second path", 3000, lte, func(_ *scripted, n uint64) []appender {
			return []appender{wire.PathChallenge{Data: [8]byte{byte(n), byte(n >> 8)}}}
		}},
		{"PATH_CHALLENGE on a path that is never validated", 3000, func(s *scripted) { s.begins(clientLTE) }, func(_ *scripted, n uint64) []appender {
			return []appender{wire.PathChallenge{Data: [8]byte{byte(n), byte(n >> 8)}}}
		}},
		{"PATH_STATUS", 3000, lte, func(_ *scripted, n uint64) []appender {
			return []appender{wire.PathStatus{Path: wire.PathID(n % 4), Sequence: n, Backup: n%2 == 0}}
		}},
		{"MAX_PATH_ID", 3000, lte, func(_ *scripted, n uint64) []appender {
			return []appender{wire.MaxPathID{Max: wire.PathID(3 + n<<10)}}
		}},
		{"blocked frames", 3000, lte, func(_ *scripted, n uint64) []appender {
			return []appender{wire.PathsBlocked{Max: wire.PathID(n % 4)}, wire.PathCIDsBlocked{Path: wire.PathID(n % 4), NextSequence: n % 2}}
		}},
		{"PATH_NEW_CONNECTION_ID of a path in use", 2000, lte, func(s *scripted, n uint64) []appender {
			return []appender{s.newPathID(1, 10+n, 10+n), pathAck(1, 0, s.of(1).largest)}
		}},
		{"PATH_NEW_CONNECTION_ID of an unused path", 2000, lte, func(s *scripted, n uint64) []appender {
			return []appender{s.newPathID(3, 10+n, 10+n), pathAck(1, 0, s.of(1).largest)}
		}},
		{"PATH_NEW_CONNECTION_ID, retirements never acknowledged", 2000, lte, func(s *scripted, n uint64) []appender {
			return []appender{s.newPathID(3, 10+n, 10+n)}
		}},
		{"PATH_RETIRE_CONNECTION_ID of an unused path", 2000, lte, func(_ *scripted, n uint64) []appender {
			return []appender{wire.RetireConnectionID{Path: 2, Multipath: true, Sequence: n}}
		}},
		{"PATH_RETIRE_CONNECTION_ID of its own path", 2000, lte, func(s *scripted, n uint64) []appender {
			if p := s.conn.pathByID(1); p != nil {
				s.dst = p.issued.ids[len(p.issued.ids)-1].id
			}
			return []appender{wire.RetireConnectionID{Path: 1, Multipath: true, Sequence: n}}
		}},
		{"PATH_ABANDON again and again", 3000, lte, func(_ *scripted, _ uint64) []appender {
			return []appender{wire.PathAbandon{Path: 2}, wire.PathAbandon{Path: 3}}
		}},
		{"gaps on a second path", 3000, lte, func(s *scripted, _ uint64) []appender {
			s.of(1).next++
			return []appender{wire.Ping{}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newMulti(t, wire.Server, 4)
			tt.begin(s)
			before := heap()
			for n := uint64(0); n < tt.count && s.conn.err == nil; n++ {
				s.sends(tt.frame(s, n)...)
				s.got = s.got[:0]
				clear(s.given)
				s.pair.now = s.pair.now.Add(50 * time.Microsecond)
				if n%64 == 0 {
					s.multiInvariants()
				}
			}
			s.multiInvariants()
			for _, p := range s.conn.open {
				if in, window := p.det.BytesInFlight(), p.det.State().Window; in > window+minUDPPayload {
					t.Errorf("path %d: %d bytes in flight, the window is %d", p.id, in, window)
				}
			}
			if after := heap(); after > before+8<<20 {
				t.Errorf("the heap grew from %d to %d bytes", before, after)
			}
			runtime.KeepAlive(s)
		})
	}
}

// A client that abandons every path ID as soon as it may: each costs it three probe
// timeouts, and the server remembers a bounded part.
func TestAbandonStorm(t *testing.T) {
	for name, use := range map[string]bool{"unused": false, "in use": true} {
		t.Run(name, func(t *testing.T) {
			s := newMulti(t, wire.Server, 8)
			e := s.pair.ends[wire.Server].endpoint
			routes := e.Routes()
			before := heap()
			for round := range 60 {
				for _, p := range slices.Clone(s.conn.paths[1:]) {
					if p.state != PathUnused || s.conn.err != nil {
						continue
					}
					if use && len(p.peer.spare) > 0 {
						s.on(p.id, s.facing(clientLTE)).sends(wire.PathChallenge{}, wire.Padding{Size: 1150})
						s.validates(p)
					}
					s.home().sends(wire.PathAbandon{Path: p.id})
				}
				s.multiInvariants()
				if n := len(s.conn.paths); n != 8 {
					t.Fatalf("round %d: %d paths, want 8", round, n)
				}
				most := s.conn.multi.localMax
				s.acksAll(0)
				s.waits(5 * time.Second)
				s.home()
				for id := most + 1; id <= s.conn.multi.localMax; id++ {
					s.sends(wire.MaxPathID{Max: id}, s.newPathID(id, 0, 0))
				}
				s.acksAll(0)
				s.got = s.got[:0]
			}
			s.wantFine()
			s.multiInvariants()
			if s.conn.multi.localMax < 300 {
				t.Errorf("the limit of path IDs is %d: there was no storm", s.conn.multi.localMax)
			}
			if got := e.Routes(); got > routes+8 {
				t.Errorf("%d routes, were %d", got, routes)
			}
			if len(s.conn.stats.gone) > maxGone || len(s.conn.Stats().Paths) > maxGone+8 {
				t.Errorf("statistics of %d paths are kept", len(s.conn.stats.gone))
			}
			clear(s.more)
			clear(s.given)
			if after := heap(); after > before+4<<20 {
				t.Errorf("the heap grew from %d to %d bytes", before, after)
			}
			runtime.KeepAlive(s)
		})
	}
}

// Path IDs, however many a client opens: no more than the limit, at any time.
func TestPathFlood(t *testing.T) {
	s := newMulti(t, wire.Server, 16)
	for n := range 200 {
		for _, p := range s.conn.paths {
			if p.state == PathUnused && len(p.issued.ids) > 0 {
				s.on(p.id, s.facing(netip.AddrPortFrom(stranger.Addr(), uint16(1000+n)))).sends(wire.Ping{})
			}
		}
		s.waits(10 * time.Millisecond)
		s.multiInvariants()
		s.got = s.got[:0]
	}
	if n := len(s.conn.open); n > 16 {
		t.Errorf("%d paths are open, 16 are allowed", n)
	}
	// None of them was validated: they go, and the connection is as before.
	s.home()
	for range 40 {
		s.waits(500 * time.Millisecond)
		s.acksAll(0)
		s.sends(wire.Ping{})
	}
	if len(s.conn.open) != 1 || s.conn.err != nil {
		t.Errorf("%d paths are open, ended with %v", len(s.conn.open), s.conn.err)
	}
}

// RFC 9000, section 8: more than three times what came MUST NOT go to an address that is not
// validated, however a client has the server change between such addresses on a new path.
func TestSpoofedAddressesOfANewPath(t *testing.T) {
	victim := netip.MustParseAddrPort("203.0.113.200:53")
	for name, script := range map[string][]netip.AddrPort{
		"from a victim, then from its own": {victim, clientLTE, clientLTE},
		"to and fro":                       {victim, clientLTE, victim, clientLTE, victim, victim},
		"its own, then a victim's":         {clientLTE, victim, victim},
		"ever another":                     {victim, stranger, clientSat, victim, stranger, clientLTE, victim},
	} {
		for kind, frames := range map[string][]appender{
			"PING": {wire.Ping{}}, "PATH_CHALLENGE": {wire.PathChallenge{Data: [8]byte{1}}}, "both": {wire.Ping{}, wire.PathChallenge{Data: [8]byte{1}}},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				s := newMulti(t, wire.Server, 4)
				out, err := s.conn.OpenStream(wire.Uni)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := out.Write(make([]byte, 200_000)); err != nil {
					t.Fatal(err)
				}
				s.got = nil
				in := map[netip.AddrPort]int{}
				for round := range 3 {
					for _, from := range script {
						s.on(1, s.facing(from))
						b := s.packet(wire.PacketOneRTT, frames...)
						in[from] += len(b)
						s.sendsDatagram(b)
						if round == 1 {
							s.waits(50 * time.Millisecond)
						}
					}
				}
				s.waits(4 * time.Second)
				for from, n := range in {
					if bytes, _ := s.answers(from); bytes > 3*n {
						t.Errorf("%d bytes went to %v, from where %d came", bytes, from, n)
					}
				}
			})
		}
	}
}

// A path of which the address was validated moves to a victim's: no more than three times
// what came goes there, and the path goes back.
func TestSpoofedMoveOfAPath(t *testing.T) {
	victim := netip.MustParseAddrPort("203.0.113.200:53")
	s := newMulti(t, wire.Server, 4)
	p := s.opens(clientLTE)
	s.waits(time.Second)
	s.acksAll(0, 1)
	s.got = nil
	s.at = s.facing(victim)
	b := s.packet(wire.PacketOneRTT, wire.Ping{})
	s.sendsDatagram(b)
	out, err := s.conn.OpenStream(wire.Uni)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(make([]byte, 200_000)); err != nil {
		t.Fatal(err)
	}
	s.drain()
	s.waits(challengePTOs*s.conn.challengePeriod(p) + time.Second)
	if bytes, _ := s.answers(victim); bytes > 3*len(b) {
		t.Errorf("%d bytes went to the victim, %d came", bytes, len(b))
	}
	if p.state != PathClosing && p.tuple.remote != clientLTE {
		t.Errorf("the path is at %v, %v", p.tuple, p.state)
	}
}

// Packets that claim path IDs that they are not sealed for, connection IDs that are guessed,
// bits that flip: each is dropped, none changes a path.
func TestForgedPathIDs(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		s.opens(clientLTE)
		rng := rand.New(rand.NewPCG(1, 2))
		good := map[wire.PathID]tuple{0: s.facing(clientAddr), 1: s.facing(clientLTE), 2: s.facing(clientSat), 3: s.facing(clientSat)}
		for n := range 4000 {
			id := wire.PathID(rng.IntN(4))
			s.on(id, good[id])
			switch n % 3 {
			case 0: // sealed for another
				s.id = (id + 1 + wire.PathID(rng.IntN(3))) % 4
				s.sends(wire.PathAbandon{Path: id})
			case 1: // damaged
				b := s.packet(wire.PacketOneRTT, wire.PathAbandon{Path: id})
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
				s.sendsDatagram(b)
			case 2: // garbage for it
				b := make([]byte, 30+rng.IntN(50))
				for i := range b {
					b[i] = byte(rng.Uint32())
				}
				b[0] = b[0]&0x3f | 0x40
				copy(b[1:], s.dst.Bytes())
				s.sendsDatagram(b)
			}
		}
		if s.conn.err != nil || len(s.conn.open) != 2 || len(s.conn.lingering) != 0 {
			t.Errorf("%v: ended with %v, %d paths open", side, s.conn.err, len(s.conn.open))
		}
		s.multiInvariants()
	}
}

// Random frames of the extension in valid packets, on any path: a typed close, or nothing.
func TestRandomMultipathFrames(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 9))
		s := newMulti(t, wire.Perspective(seed&1), 4)
		s.opens(clientLTE)
		small := func(n int) uint64 { return uint64(rng.IntN(n)) }
		for n := 0; n < 60 && s.conn.err == nil; n++ {
			id := wire.PathID(small(4))
			var f appender
			switch rng.IntN(11) {
			case 0:
				f = wire.PathAbandon{Path: id, Code: small(100)}
			case 1:
				f = wire.PathStatus{Path: id, Sequence: small(5), Backup: small(2) == 0}
			case 2:
				f = s.newPathID(id, small(6)+4, small(5))
			case 3:
				f = wire.RetireConnectionID{Path: id, Multipath: true, Sequence: small(3)}
			case 4:
				f = wire.MaxPathID{Max: 3 + wire.PathID(small(20))}
			case 5:
				f = wire.PathsBlocked{Max: id}
			case 6:
				f = wire.PathCIDsBlocked{Path: id, NextSequence: small(3)}
			case 7:
				f = wire.PathChallenge{Data: [8]byte{byte(n)}}
			case 8:
				f = pathAck(id, 0, wire.PacketNumber(small(4)))
			case 9:
				f = wire.Stream{ID: wire.NewStreamID(s.real.side, wire.Bidi, 0), Data: []byte("data")}
			case 10:
				f = wire.Ack{Largest: wire.PacketNumber(small(4))}
			}
			on := wire.PathID(small(4))
			if p := s.conn.pathByID(on); p == nil || len(p.issued.ids) == 0 || !p.issued.ids[0].out {
				continue
			}
			s.on(on, s.facing([]netip.AddrPort{clientAddr, clientLTE, clientSat, stranger}[(on+wire.PathID(small(5)/4))%4]))
			s.sends(f)
			s.waits(time.Duration(small(400)) * time.Millisecond)
			s.multiInvariants()
			if s.conn.state == stateActive && s.conn.NextTimeout() <= s.now() {
				t.Fatalf("seed %d: a timer is due for ever: %v", seed, s.conn.timers())
			}
		}
		s.waits(5 * time.Minute) // three probe timeouts may be longer than the idle timeout
		if s.conn.state != stateDrained {
			t.Fatalf("seed %d: it never ends: state %d, %v", seed, s.conn.state, s.conn.err)
		}
		if n := s.pair.ends[s.conn.side].endpoint.Routes(); n != 0 {
			t.Errorf("seed %d: %d routes are left", seed, n)
		}
	}
}

// The whole way of an endpoint: a client with ever new connections, paths and all, leaves
// nothing behind on either side.
func TestNoRoutesAreLeft(t *testing.T) {
	b := newBond(t, 4, "", []line{{delay: 10 * time.Millisecond}, {delay: 20 * time.Millisecond}, {delay: 30 * time.Millisecond}})
	b.openAll()
	if err := b.client().ClosePath(b.now, 1, wire.ApplicationAbandonPath); err != nil {
		t.Fatal(err)
	}
	b.ends[wire.Client].nat = map[netip.AddrPort]netip.AddrPort{clientAt(2): netip.AddrPortFrom(clientAt(2).Addr(), 999)}
	x := newTransfer(b.pair, wire.Server, 1, 100_000)
	b.run(time.Minute, x.done)
	x.check()
	b.bounded()
	b.over()
}
