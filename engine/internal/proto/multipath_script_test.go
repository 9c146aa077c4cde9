package proto

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Further addresses of the two sides.
var (
	clientLTE  = netip.MustParseAddrPort("203.0.113.5:4002")
	clientSat  = netip.MustParseAddrPort("192.0.2.99:4003")
	serverMore = netip.MustParseAddrPort("198.51.100.2:443")
)

// several is a pair that allows paths paths each, and does not probe for large packets.
func several(paths int) pairConfig {
	return pairConfig{
		client: Config{Paths: paths, MaxUDPPayload: minUDPPayload},
		server: Config{Paths: paths, MaxUDPPayload: minUDPPayload},
	}
}

// newMulti returns a scripted peer, once both sides have each other's connection IDs.
func newMulti(t testing.TB, underTest wire.Perspective, paths int) *scripted {
	t.Helper()
	s := newScripted(t, underTest, confirmed, several(paths))
	s.conn.tokens.mint = nil // nobody acknowledges the tokens for new addresses
	return s
}

// on has the script send on a path from now on, with the oldest connection ID of it.
func (s *scripted) on(id wire.PathID, at tuple) *scripted {
	s.t.Helper()
	p := s.conn.pathByID(id)
	if p == nil || len(p.issued.ids) == 0 {
		s.t.Fatalf("there is no connection ID to send on path %d with", id)
	}
	s.id, s.at, s.dst = id, at, p.issued.ids[0].id
	return s
}

// home has the script send on path 0 again.
func (s *scripted) home() *scripted {
	s.id, s.at, s.dst = 0, s.conn.path0.tuple, s.conn.local.InitialSrcID
	return s
}

// facing returns the one under test's addresses of a path between a client's address and
// the server's.
func (s *scripted) facing(client netip.AddrPort) tuple {
	if s.conn.side == wire.Client {
		return tuple{client, serverAddr}
	}
	return tuple{serverAddr, client}
}

// heardOn returns the packets of a path.
func (s *scripted) heardOn(id wire.PathID) (out []heard) {
	for _, p := range s.got {
		if p.kind == wire.PacketOneRTT && p.path == id {
			out = append(out, p)
		}
	}
	return out
}

// frameOn returns the newest frame of that type on a path, nil when there is none.
func (s *scripted) frameOn(id wire.PathID, t wire.FrameType) any {
	on := s.heardOn(id)
	for _, p := range slices.Backward(on) {
		for i, have := range p.types {
			if have == t {
				return p.frames[i]
			}
		}
	}
	return nil
}

// begins has the next path opened between the server and a client's address, and answers
// nothing yet.
func (s *scripted) begins(client netip.AddrPort) *path {
	s.t.Helper()
	at := s.facing(client)
	if s.conn.side == wire.Client {
		id, err := s.conn.OpenPath(s.now(), at.local, at.remote)
		if err != nil {
			s.t.Fatal(err)
		}
		s.drain()
		s.on(id, at)
		return s.conn.pathByID(id)
	}
	for _, p := range s.conn.paths {
		if p.state == PathUnused {
			s.on(p.id, at).sends(wire.PathChallenge{Data: [8]byte{9}}, wire.Padding{Size: 1150})
			return p
		}
	}
	s.t.Fatal("there is no unused path")
	return nil
}

// opens has the next path opened between the server and a client's address, and stays on
// it.
func (s *scripted) opens(client netip.AddrPort) *path {
	s.t.Helper()
	p := s.begins(client)
	if p.state == PathValidating {
		s.validates(p)
	}
	if p.state != PathActive {
		s.t.Fatalf("path %d is %v, heard %v", p.id, p.state, s.heard())
	}
	return p
}

// validates answers the newest challenge on a path.
func (s *scripted) validates(p *path) {
	s.t.Helper()
	f, ok := s.frameOn(p.id, wire.TypePathChallenge).(wire.PathChallenge)
	if !ok {
		s.t.Fatalf("no challenge came on path %d, but %v", p.id, s.heard())
	}
	s.sends(wire.PathResponse(f), wire.Padding{Size: 1150})
}

// pathAck acknowledges packets of a path.
func pathAck(id wire.PathID, first, last wire.PacketNumber) appender {
	return bytesFrame(wire.AppendAck(nil, wire.Ack{Path: id, Multipath: true}, []wire.Range{{Smallest: first, Largest: last}}))
}

// acksAll acknowledges everything that was heard on the paths and was not acknowledged so.
func (s *scripted) acksAll(ids ...wire.PathID) {
	s.t.Helper()
	for _, id := range ids {
		var ranges []wire.Range // of single packets: descending, and as many as fit
		var rest []packetOf
		for _, p := range slices.Backward(s.owed) {
			switch n := len(ranges); {
			case p.path != id || n == 200:
				rest = append(rest, p)
			case n > 0 && ranges[n-1].Smallest == p.number+1:
				ranges[n-1].Smallest--
			case n > 0 && ranges[n-1].Smallest <= p.number:
				rest = append(rest, p) // out of order: the next time
			default:
				ranges = append(ranges, wire.Range{Smallest: p.number, Largest: p.number})
			}
		}
		slices.Reverse(rest)
		s.owed = rest
		if len(ranges) > 0 {
			s.sends(bytesFrame(wire.AppendAck(nil, wire.Ack{Path: id, Multipath: true}, ranges)))
		}
	}
}

// newPathID is the frame with the n-th connection ID that the script gives for a path
// itself.
func (s *scripted) newPathID(path wire.PathID, seq, before uint64) wire.NewConnectionID {
	id := someID(uint64(path)<<8 | seq)
	if s.given == nil {
		s.given = map[wire.ConnID]wire.PathID{}
	}
	s.given[id] = path
	return wire.NewConnectionID{Path: path, Multipath: true, Sequence: seq, RetirePriorTo: before, ID: id, Token: wire.ResetToken{byte(path), byte(seq)}}
}

// The script itself: it opens a path of either side, and both hear each other on it.
func TestScriptOpensPaths(t *testing.T) {
	for _, side := range []wire.Perspective{wire.Client, wire.Server} {
		s := newMulti(t, side, 4)
		p := s.opens(clientLTE)
		if p.id != 1 || s.pair.ends[side].seen[PathValidated] != 1 {
			t.Errorf("%v: path %d was validated %d times", side, p.id, s.pair.ends[side].seen[PathValidated])
		}
		s.got = nil
		s.sends(wire.Ping{})
		s.waits(50 * time.Millisecond)
		s.wantFine()
		if f, _ := s.frame(wire.TypePathAck); f == nil || f.(wire.Ack).Path != 1 {
			t.Errorf("%v: acknowledged by %+v", side, f)
		}
		if q := s.opens(clientSat); q.id != 2 {
			t.Errorf("%v: the next path is %d", side, q.id)
		}
	}
}
