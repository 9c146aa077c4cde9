package proto

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// What closes a connection with several paths, frame by frame. Both sides allow path IDs 0
// to 3.
func TestMultipathFrameThatBreaksTheProtocol(t *testing.T) {
	over := wire.PathID(4)
	for _, tt := range []struct {
		name  string
		frame func(s *scripted) []appender
		want  wire.ErrorCode
	}{
		// draft-ietf-quic-multipath-21, section 4: a path ID above the announced maximum MUST be
		// a PROTOCOL_VIOLATION.
		{"PATH_ACK above the maximum", one(wire.Ack{Path: over, Multipath: true}), wire.ProtocolViolation},
		{"PATH_ACK with ECN above the maximum", one(wire.Ack{Path: over, Multipath: true, HasECN: true}), wire.ProtocolViolation},
		{"PATH_ABANDON above the maximum", one(wire.PathAbandon{Path: over}), wire.ProtocolViolation},
		{"PATH_STATUS_BACKUP above the maximum", one(wire.PathStatus{Path: over, Backup: true}), wire.ProtocolViolation},
		{"PATH_STATUS_AVAILABLE above the maximum", one(wire.PathStatus{Path: over}), wire.ProtocolViolation},
		{"PATH_NEW_CONNECTION_ID above the maximum", func(s *scripted) []appender {
			return []appender{s.newPathID(over, 0, 0)}
		}, wire.ProtocolViolation},
		{"PATH_RETIRE_CONNECTION_ID above the maximum", one(wire.RetireConnectionID{Path: over, Multipath: true}), wire.ProtocolViolation},
		// Section 4.7: a maximum or a path ID above the local maximum MUST be a
		// PROTOCOL_VIOLATION, a next sequence number above the next one, too.
		{"PATHS_BLOCKED above the maximum", one(wire.PathsBlocked{Max: over}), wire.ProtocolViolation},
		{"PATH_CIDS_BLOCKED above the maximum", one(wire.PathCIDsBlocked{Path: over}), wire.ProtocolViolation},
		{"PATH_CIDS_BLOCKED for a later ID", one(wire.PathCIDsBlocked{Path: 1, NextSequence: unusedIDs + 1}), wire.ProtocolViolation},
		// Section 4.6: a maximum below the initial one, or above 2^32-1, MUST be a
		// PROTOCOL_VIOLATION.
		{"MAX_PATH_ID below the initial one", one(wire.MaxPathID{Max: 2}), wire.ProtocolViolation},
		{"MAX_PATH_ID above 2^32-1", one(bytesFrame{0x7e, 0x7a, 0xc0, 0, 0, 1, 0, 0, 0, 0}), wire.ProtocolViolation},
		// RFC 9000, section 13.1: an acknowledgment of what was not sent.
		{"PATH_ACK of a path not in use", one(pathAck(2, 0, 0)), wire.ProtocolViolation},
		{"PATH_ACK of the future", one(pathAck(0, 0, 1<<30)), wire.ProtocolViolation},
		// RFC 9000, section 19.16: of an ID that was never sent, or that the packet itself
		// bears, MUST be a PROTOCOL_VIOLATION, path by path.
		{"PATH_RETIRE_CONNECTION_ID of none", one(wire.RetireConnectionID{Path: 1, Multipath: true, Sequence: unusedIDs}), wire.ProtocolViolation},
		{"PATH_RETIRE_CONNECTION_ID of its own", one(wire.RetireConnectionID{Multipath: true}), wire.ProtocolViolation},
		// RFC 9000, section 5.1.1: more IDs than the limit MUST be a CONNECTION_ID_LIMIT_ERROR;
		// draft-ietf-quic-multipath-21, section 2.2: the limit is per path.
		{"too many IDs of a path", func(s *scripted) (f []appender) {
			for n := range uint64(activeIDLimit) {
				f = append(f, s.newPathID(2, 20+n, 0))
			}
			return f
		}, wire.ConnectionIDLimitError},
		// Section 3.2.1: connection IDs are unique whatever the path.
		{"an ID of two paths", func(s *scripted) []appender {
			f := s.newPathID(2, 9, 9)
			g := f
			g.Path = 3
			return []appender{f, g}
		}, wire.ProtocolViolation},
		{"an ID of path 0 and another", func(s *scripted) []appender {
			f := s.newPathID(2, 9, 9)
			return []appender{f, wire.NewConnectionID{Sequence: 9, RetirePriorTo: 9, ID: f.ID}}
		}, wire.ProtocolViolation},
		// RFC 9000, section 5.1.2: an ID with two numbers.
		{"an ID with two numbers", func(s *scripted) []appender {
			f := s.newPathID(2, 9, 9)
			g := f
			g.Sequence = 10
			return []appender{f, g}
		}, wire.ProtocolViolation},
		// RFC 9000, section 19.15: a Retire Prior To above the number MUST be a
		// FRAME_ENCODING_ERROR.
		{"Retire Prior To above", func(s *scripted) []appender { return []appender{s.newPathID(1, 9, 10)} }, wire.FrameEncodingError},
		// draft-ietf-quic-multipath-21, section 3.4: the only path, with no other to be opened.
		{"PATH_ABANDON of all paths", func(*scripted) (f []appender) {
			for id := range wire.PathID(4) {
				f = append(f, wire.PathAbandon{Path: 3 - id, Code: uint64(wire.ApplicationAbandonPath)})
			}
			return f
		}, wire.NoViablePath},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, side := range []wire.Perspective{wire.Client, wire.Server} {
				s := newMulti(t, side, 4)
				s.sends(tt.frame(s)...)
				s.wantClose(tt.want)
			}
		})
	}
}

// multipathFrames are the frames of the extension, of path 0 or 1.
func multipathFrames(s *scripted) map[string]appender {
	return map[string]appender{
		"PATH_ACK":                  wire.Ack{Multipath: true},
		"PATH_ACK with ECN":         wire.Ack{Multipath: true, HasECN: true},
		"PATH_ABANDON":              wire.PathAbandon{Path: 1},
		"PATH_STATUS_BACKUP":        wire.PathStatus{Path: 1, Backup: true},
		"PATH_STATUS_AVAILABLE":     wire.PathStatus{Path: 1},
		"PATH_NEW_CONNECTION_ID":    s.newPathID(1, 0, 0),
		"PATH_RETIRE_CONNECTION_ID": wire.RetireConnectionID{Path: 1, Multipath: true},
		"MAX_PATH_ID":               wire.MaxPathID{Max: 9},
		"PATHS_BLOCKED":             wire.PathsBlocked{Max: 1},
		"PATH_CIDS_BLOCKED":         wire.PathCIDsBlocked{Path: 1},
	}
}

// draft-ietf-quic-multipath-21, section 4: a frame of the extension in an Initial,
// Handshake or 0-RTT packet MUST be a PROTOCOL_VIOLATION.
func TestMultipathFrameInTheWrongPacket(t *testing.T) {
	for name := range multipathFrames(&scripted{}) {
		t.Run(name, func(t *testing.T) {
			for _, kind := range []wire.PacketType{wire.PacketInitial, wire.PacketHandshake} {
				s := newScripted(t, wire.Server, greeted, several(4))
				s.sendsIn(kind, multipathFrames(s)[name])
				s.wantClose(wire.ProtocolViolation)
			}
			frame := multipathFrames(&scripted{})[name].Append(nil)
			typ, _, err := wire.ParseFrameType(frame)
			if err != nil {
				t.Fatal(err)
			}
			for _, on := range []bool{false, true} { // 0-RTT comes before and after the handshake
				got, ok := allowed(typ, wire.PacketZeroRTT, extensions{multipath: on, multipathOffered: true}).(*wire.TransportError)
				if !ok || got.Code != wire.ProtocolViolation {
					t.Errorf("in a 0-RTT packet: %v", got)
				}
			}
		})
	}
}

// draft-ietf-quic-multipath-21, section 2: without the parameter of both sides nothing of the
// extension MUST be used, and its frames are unknown ones.
func TestMultipathOfOneSide(t *testing.T) {
	for name, pc := range map[string]pairConfig{
		"the client's": {client: Config{Paths: 4}}, "the server's": {server: Config{Paths: 4}}, "nobody's": {},
	} {
		t.Run(name, func(t *testing.T) {
			for _, side := range []wire.Perspective{wire.Client, wire.Server} {
				s := newScripted(t, side, confirmed, pc)
				if s.conn.Multipath() || len(s.conn.paths) != 1 {
					t.Fatalf("%v: multipath is on", side)
				}
				if _, err := s.conn.OpenPath(s.now(), clientLTE, serverAddr); err == nil {
					t.Errorf("%v: opened a path", side)
				}
				for _, err := range []error{s.conn.SetBackup(s.now(), 0, true), s.conn.ClosePath(s.now(), 0, wire.ApplicationAbandonPath), s.conn.SetWeight(0, 2)} {
					if err == nil {
						t.Errorf("%v: a path was changed", side)
					}
				}
				// A new ID is given, one retired, a packet acknowledged: by RFC 9000's frames.
				s.sends(wire.NewConnectionID{Sequence: 9, RetirePriorTo: 4, ID: someID(9)})
				s.dst = s.conn.path0.issued.ids[1].id
				s.sends(wire.RetireConnectionID{Sequence: 0}, wire.Ping{})
				s.waits(50 * time.Millisecond)
				for _, p := range s.got {
					for _, typ := range p.types {
						if typ == wire.TypePathAck || typ == wire.TypePathAckECN || (typ >= wire.TypePathAbandon && typ <= wire.TypePathCIDsBlocked) {
							t.Errorf("%v: sent %v", side, typ)
						}
					}
				}
				for _, want := range []wire.FrameType{wire.TypeNewConnectionID, wire.TypeRetireConnectionID, wire.TypeAck} {
					s.wantFrame(want)
				}
				for frame := range multipathFrames(s) {
					s := newScripted(t, side, confirmed, pc)
					s.sends(multipathFrames(s)[frame])
					s.wantClose(wire.FrameEncodingError)
				}
			}
		})
	}
}

// A frame of the extension that is fine, in each side's hands.
func TestMultipathFrameThatIsFine(t *testing.T) {
	for name := range multipathFrames(&scripted{}) {
		t.Run(name, func(t *testing.T) {
			for _, side := range []wire.Perspective{wire.Client, wire.Server} {
				s := newMulti(t, side, 4)
				f := multipathFrames(s)[name]
				if name == "PATH_NEW_CONNECTION_ID" {
					f = s.newPathID(1, 2, 2)
				}
				s.sends(f)
				s.wantFine()
				s.waits(time.Second)
				s.sends(f)
				s.wantFine()
			}
		})
	}
}
