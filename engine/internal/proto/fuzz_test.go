package proto

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// invariants fails when the connection is in a state that it must never be in.
func (s *scripted) invariants() {
	s.t.Helper()
	typed(s.t, s.conn)
	p := s.conn.path0
	if !p.amp.valid && p.amp.out > amplificationFactor*p.amp.in {
		s.t.Errorf("%d bytes sent to an address not validated, for %d", p.amp.out, p.amp.in)
	}
	most := activeIDLimit
	if s.conn.err != nil {
		most++ // the one that broke the limit
	}
	if n := 1 + len(p.peer.spare); n > most {
		s.t.Errorf("the peer has %d active IDs; ended with %v", n, s.conn.err)
	}
	if len(s.conn.waiting) > maxWaiting {
		s.t.Errorf("%d packets wait for keys", len(s.conn.waiting))
	}
	if s.conn.state == stateActive && s.conn.NextTimeout() > s.now().Add(time.Hour) {
		s.t.Errorf("no timer ends the connection: %v", s.conn.timers())
	}
}

// FuzzDatagram: a server that is handed any datagram, in each stage.
func FuzzDatagram(f *testing.F) {
	f.Add(byte(0), []byte{0x40, 1, 2, 3})
	f.Add(byte(1), append([]byte{0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xb0}, make([]byte, 1200)...))
	f.Add(byte(2), append([]byte{0xe0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x40, 0x20}, make([]byte, 32)...))
	f.Add(byte(3), append([]byte{0xf0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0}, make([]byte, 40)...))
	f.Add(byte(3), append([]byte{0x80, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0}, 0xba, 0xbe, 0xca, 0xfe))
	f.Fuzz(func(t *testing.T, where byte, data []byte) {
		s := newScripted(t, wire.Perspective(where>>1&1), stage(where&1), pairConfig{})
		s.sendsDatagram(slices.Clone(data))
		if len(data) > 14 { // the same, addressed to the connection
			if wire.IsLong(data[0]) {
				copy(data[1:], []byte{0, 0, 0, 1, connIDLen})
				copy(data[6:], s.dst.Bytes())
			} else {
				copy(data[1:], s.dst.Bytes())
			}
			s.sendsDatagram(data)
		}
		s.invariants()
		if s.conn.err != nil {
			t.Errorf("%v ended with %v: nothing was authentic", s.conn.side, s.conn.err)
		}
	})
}

// FuzzFrames1RTT: a peer that sends any payload in a valid packet.
func FuzzFrames1RTT(f *testing.F) {
	for _, frame := range []appender{
		wire.Ping{},
		wire.Ack{Largest: 3},
		wire.Stream{Data: []byte("data"), Fin: true},
		wire.ResetStream{FinalSize: 3},
		wire.StopSending{},
		wire.Crypto{Data: []byte{4, 0, 0, 1, 0}},
		wire.MaxData{Max: 1 << 30},
		wire.MaxStreams{Max: 1 << 20},
		wire.PathChallenge{},
		wire.NewConnectionID{Sequence: 9, RetirePriorTo: 3, ID: someID(9)},
		wire.RetireConnectionID{Sequence: 1},
		wire.ConnectionClose{Code: 1, Reason: []byte("why")},
		wire.HandshakeDone{},
		wire.NewToken{Token: []byte{1}},
		wire.Datagram{Data: []byte{1}},
	} {
		f.Add(false, frame.Append(nil))
		f.Add(true, frame.Append(nil))
	}
	f.Fuzz(func(t *testing.T, server bool, payload []byte) {
		if len(payload) > 1200 {
			return
		}
		side := wire.Client
		if server {
			side = wire.Server
		}
		s := newScripted(t, side, confirmed, pairConfig{})
		for range 2 {
			s.sends(bytesFrame(payload))
			s.invariants()
		}
		s.waits(2 * time.Second)
		s.invariants()
	})
}

// FuzzMultipathFrames: a peer that sends any payload in a valid packet on any of several
// paths, one of which it opened.
func FuzzMultipathFrames(f *testing.F) {
	for _, frame := range multipathFrames(&scripted{}) {
		for path := range byte(3) {
			f.Add(path, frame.Append(nil))
			f.Add(path|0x80, frame.Append(nil))
		}
	}
	f.Add(byte(1), wire.PathAbandon{Path: 0}.Append(wire.PathAbandon{Path: 2}.Append(nil)))
	f.Add(byte(2), wire.PathChallenge{}.Append(wire.Ping{}.Append(nil)))
	f.Add(byte(0x11), wire.PathStatus{Path: 1}.Append(wire.PathResponse{}.Append(nil)))
	f.Fuzz(func(t *testing.T, where byte, payload []byte) {
		if len(payload) > 1200 {
			return
		}
		s := newMulti(t, wire.Perspective(where>>7), 3)
		s.opens(clientLTE)
		at := []netip.AddrPort{clientAddr, clientLTE, clientSat, stranger}
		id := wire.PathID(where & 3 % 3)
		from := at[(id+wire.PathID(where>>4&3))%4]
		for range 2 {
			if p := s.conn.pathByID(id); p == nil || len(p.issued.ids) == 0 || s.conn.err != nil {
				break
			}
			s.on(id, s.facing(from)).sends(bytesFrame(payload))
			s.multiInvariants()
			s.waits(200 * time.Millisecond)
		}
		s.waits(5 * time.Second)
		s.multiInvariants()
		if s.conn.state == stateActive && s.conn.NextTimeout() <= s.now() {
			t.Errorf("a timer is due for ever: %v", s.conn.timers())
		}
	})
}
