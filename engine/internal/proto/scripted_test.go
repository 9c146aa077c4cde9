package proto

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/handshake"
	"github.com/tquiclab/tquiclab/engine/internal/recovery"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// scripted is a peer that says what a test wants, with the keys and connection IDs of a
// real one, against the connection under test.
type scripted struct {
	t    testing.TB
	pair *pair
	conn *Conn // under test
	real *Conn // whose part is played
	at   tuple // of what is sent, from where conn stands
	ecn  wire.ECN
	bits byte // set in the first byte, under header protection
	mask byte // cleared there, after it is applied
	// small leaves a client's Initial packets unpadded; token is what Initial ones carry.
	small bool
	token []byte

	initialSeal *handshake.Sealer
	initialOpen *handshake.Opener
	next        [recovery.NumSpaces]wire.PacketNumber
	largest     [recovery.NumSpaces]wire.PacketNumber
	dst         wire.ConnID
	src         wire.ConnID

	// Of several paths: the one that 1-RTT packets go on, what is sent and heard of those
	// beside path 0, and the connection IDs that the script gave away itself.
	id    wire.PathID
	more  map[wire.PathID]*numbers
	given map[wire.ConnID]wire.PathID
	owed  []packetOf // 1-RTT packets not acknowledged by acksAll

	got     []heard
	dropped uint64 // packets, before the last datagram
}

// numbers are the packet numbers of a path.
type numbers struct {
	next, largest wire.PacketNumber // to send; heard
}

// packetOf is a packet of a path.
type packetOf struct {
	path   wire.PathID
	number wire.PacketNumber
}

// heard is a packet from the connection under test.
type heard struct {
	kind   wire.PacketType
	path   wire.PathID
	dst    wire.ConnID // of a 1-RTT packet
	number wire.PacketNumber
	frames []any
	types  []wire.FrameType
	size   int // of its datagram
	to     tuple
}

// appender is a frame.
type appender interface{ Append([]byte) []byte }

// bytesFrame is a frame as its bytes.
type bytesFrame []byte

func (f bytesFrame) Append(b []byte) []byte { return append(b, f...) }

// stage is how far the handshake is when a script begins.
type stage uint8

const (
	// greeted: the one under test has sent its first flight, which the peer has, and heard
	// no more. A client has Initial keys only; a server all but 1-RTT ones to read with.
	greeted stage = iota
	confirmed
)

// newScripted returns a peer of a connection on that side.
func newScripted(t testing.TB, underTest wire.Perspective, at stage, pc pairConfig) *scripted {
	t.Helper()
	p := newPair(t, pc)
	if at == confirmed {
		p.handshake()
		p.idle(100 * time.Millisecond)
	} else {
		p.fate = func(from wire.Perspective, _ *flying) (int, time.Duration) {
			if underTest == wire.Client && from == wire.Server {
				return 0, 0
			}
			return 1, 0
		}
		p.run(time.Second, func() bool {
			s := p.server()
			return s != nil && s.keys.oneRTT != nil && (underTest == wire.Client || p.client().complete)
		})
	}
	s := &scripted{t: t, pair: p, conn: p.ends[underTest].conn, real: p.ends[underTest.Peer()].conn}
	p.air, p.fate = nil, nil
	p.ends[underTest.Peer()].conn = nil // it says nothing of its own any more
	t.Cleanup(func() { s.real.Close(p.now, 0, "") })
	s.at = s.conn.path0.tuple
	s.dst, s.src = s.conn.local.InitialSrcID, s.real.local.InitialSrcID
	id := s.conn.originalID
	if s.conn.retried {
		id = s.conn.retryID
	}
	s.initialSeal, s.initialOpen = handshake.InitialKeys(wire.Version1, id, underTest.Peer())
	for i := range s.next {
		s.next[i] = s.real.path0.spaces[i].next
		s.largest[i] = s.real.path0.spaces[i].acks.largest()
	}
	s.drain()
	s.got = nil
	return s
}

// now is the test's time.
func (s *scripted) now() clock.Time { return s.pair.now }

// packet seals frames in a packet of that type.
func (s *scripted) packet(kind wire.PacketType, frames ...appender) []byte {
	s.t.Helper()
	const pnLen = 4
	sp := spaceOf(kind)
	number := s.next[sp]
	if kind == wire.PacketOneRTT && s.id > 0 {
		number = s.of(s.id).next
		s.of(s.id).next++
	} else {
		s.next[sp]++
	}
	var payload []byte
	for _, f := range frames {
		payload = f.Append(payload)
	}
	if kind == wire.PacketInitial && s.conn.side == wire.Server && !s.small && len(payload) < 1200 {
		payload = append(payload, make([]byte, 1200-len(payload))...)
	}
	if kind == wire.PacketOneRTT {
		k := s.real.keys.oneRTT
		h := wire.AppendShort(nil, s.dst, k.Phase(), number, pnLen)
		h[0] |= s.bits
		b, err := k.Seal(append([]byte(nil), h...), h, payload, s.id, number)
		if err != nil {
			s.t.Fatal(err)
		}
		k.Protect(b, len(h)-pnLen, pnLen)
		b[0] &^= s.mask
		return b
	}
	seal := s.real.keys.sealer(kind)
	if kind == wire.PacketInitial {
		seal = s.initialSeal
	}
	if seal == nil {
		s.t.Fatalf("the peer has no keys for %v packets", kind)
	}
	h := wire.AppendLong(nil, wire.LongHeader{
		Type: kind, Version: wire.Version1, DstID: s.dst, SrcID: s.src, Token: s.token, Length: pnLen + len(payload) + tagSize,
	}, number, pnLen)
	h[0] |= s.bits
	b := seal.Seal(append([]byte(nil), h...), h, payload, 0, number)
	seal.Protect(b, len(h)-pnLen, pnLen)
	b[0] &^= s.mask
	return b
}

// sends sends frames in a 1-RTT packet.
func (s *scripted) sends(frames ...appender) { s.t.Helper(); s.sendsIn(wire.PacketOneRTT, frames...) }

// sendsIn sends frames in a packet of that type.
func (s *scripted) sendsIn(kind wire.PacketType, frames ...appender) {
	s.t.Helper()
	s.sendsDatagram(s.packet(kind, frames...))
}

// sendsDatagram sends any bytes.
func (s *scripted) sendsDatagram(b []byte) {
	s.t.Helper()
	s.dropped = s.conn.stats.droppedPackets
	s.conn.HandleDatagram(s.now(), &Datagram{Local: s.at.local, Remote: s.at.remote, ECN: s.ecn, Data: b})
	s.drain()
}

// waits lets time pass for the connection under test.
func (s *scripted) waits(d time.Duration) {
	until := s.now().Add(d)
	for n := 0; s.conn.NextTimeout() <= until; n++ {
		if n > 100_000 {
			s.t.Fatalf("timers that never end: %v at %v, heard %v", s.conn.timers(), s.now(), s.heard()[max(0, len(s.heard())-1000):])
		}
		s.pair.now = max(s.now(), s.conn.NextTimeout())
		s.conn.HandleTimeout(s.now())
		s.drain()
	}
	s.pair.now = until
}

// drain takes what the connection under test sends.
func (s *scripted) drain() {
	s.t.Helper()
	tr := Transmit{Buf: make([]byte, 0, 64<<10), MaxSegments: 64}
	for n := 0; s.conn.AppendTransmit(s.now(), &tr); n++ {
		if n > 10_000 {
			s.t.Fatal("never stops sending")
		}
		for b := tr.Buf; len(b) > 0; {
			size := min(tr.Segment, len(b))
			s.read(b[:size:size], tuple{tr.Local, tr.Remote})
			b = b[size:]
		}
	}
	s.pair.events(s.pair.ends[s.conn.side])
}

// read opens the packets of a datagram as far as the peer can.
func (s *scripted) read(b []byte, to tuple) {
	s.t.Helper()
	size := len(b)
	for len(b) > 0 && (wire.IsLong(b[0]) || b[0]&0x40 != 0) {
		p := heard{kind: wire.PacketOneRTT, size: size, to: to}
		var plain []byte
		var err error
		if wire.IsLong(b[0]) {
			h, perr := wire.ParseLong(b)
			if perr != nil {
				s.t.Fatalf("a packet that cannot be parsed: %v", perr)
			}
			p.kind = h.Type
			plain, err = s.open(&p, s.opener(h.Type), b[:h.End], h.PNOffset)
			b = b[h.End:]
		} else {
			plain, err = s.openShort(&p, b)
			b = nil
		}
		if err != nil {
			continue // of a level that the peer has no keys for
		}
		if p.kind == wire.PacketOneRTT {
			s.owed = append(s.owed, packetOf{p.path, p.number})
		}
		for len(plain) > 0 {
			t, f, n, err := wire.ParseFrame(plain)
			if err != nil {
				s.t.Fatalf("a frame that cannot be parsed: %v", err)
			}
			p.types, p.frames, plain = append(p.types, t), append(p.frames, f), plain[n:]
		}
		s.got = append(s.got, p)
	}
}

func (s *scripted) opener(t wire.PacketType) *handshake.Opener {
	if t == wire.PacketInitial {
		return s.initialOpen
	}
	return s.real.keys.opener(t)
}

func (s *scripted) open(p *heard, o *handshake.Opener, b []byte, pnOffset int) ([]byte, error) {
	if o == nil {
		return nil, errors.New("no keys")
	}
	truncated, n, ok := o.Unprotect(b, pnOffset)
	if !ok {
		return nil, errors.New("too short")
	}
	p.number = s.decode(p.kind, truncated, n)
	at := pnOffset + n
	return o.Open(b[at:at], b[:at], b[at:], 0, p.number)
}

func (s *scripted) openShort(p *heard, b []byte) ([]byte, error) {
	k := s.real.keys.oneRTT
	if k == nil || !k.CanOpen() {
		return nil, errors.New("no keys")
	}
	const pnOffset = 1 + connIDLen
	truncated, n, ok := k.Unprotect(b, pnOffset)
	if !ok {
		return nil, errors.New("too short")
	}
	p.dst = wire.NewConnID(b[1:pnOffset])
	p.path = s.owner(p.dst)
	if p.path == 0 {
		p.number = s.decode(p.kind, truncated, n)
	} else {
		l := &s.of(p.path).largest
		p.number = wire.DecodePacketNumber(*l, truncated, n)
		*l = max(*l, p.number)
	}
	at := pnOffset + n
	return k.Open(s.now(), b[at:at], b[:at], b[at:], p.path, p.number, b[0]>>2&1)
}

// of returns the packet numbers of a path other than 0.
func (s *scripted) of(id wire.PathID) *numbers {
	if s.more == nil {
		s.more = map[wire.PathID]*numbers{}
	}
	n := s.more[id]
	if n == nil {
		n = &numbers{largest: wire.NoPacket}
		s.more[id] = n
	}
	return n
}

// owner returns the path that a connection ID of the peer is of.
func (s *scripted) owner(id wire.ConnID) wire.PathID {
	if path, ok := s.given[id]; ok {
		return path
	}
	return s.real.pathOf(id).id
}

func (s *scripted) decode(t wire.PacketType, truncated uint32, n int) wire.PacketNumber {
	sp := spaceOf(t)
	pn := wire.DecodePacketNumber(s.largest[sp], truncated, n)
	s.largest[sp] = max(s.largest[sp], pn)
	return pn
}

// frame returns the first frame of that type that the peer heard, and its packet.
func (s *scripted) frame(t wire.FrameType) (any, *heard) {
	for i := range s.got {
		for k, have := range s.got[i].types {
			if have == t || (t.IsStream() && have.IsStream()) {
				return s.got[i].frames[k], &s.got[i]
			}
		}
	}
	return nil, nil
}

// count returns how many frames of that type the peer heard.
func (s *scripted) count(t wire.FrameType) (n int) {
	for i := range s.got {
		for _, have := range s.got[i].types {
			if have == t {
				n++
			}
		}
	}
	return n
}

// wantFrame fails unless the peer heard a frame of that type.
func (s *scripted) wantFrame(t wire.FrameType) any {
	s.t.Helper()
	f, _ := s.frame(t)
	if f == nil {
		s.t.Fatalf("no %v frame came, but %v", t, s.heard())
	}
	return f
}

// wantClose fails unless the connection ended with that code and said so, where the
// peer can read it.
func (s *scripted) wantClose(code wire.ErrorCode) {
	s.t.Helper()
	got, ok := errors.AsType[*wire.TransportError](s.conn.err)
	if !ok || got.Code != code || got.Remote {
		s.t.Fatalf("ended with %v, want %v", s.conn.err, code)
	}
	f, _ := s.frame(wire.TypeCloseTransport)
	if f == nil {
		s.t.Fatalf("no CONNECTION_CLOSE came, but %v", s.heard())
	}
	if said := wire.ErrorCode(f.(wire.ConnectionClose).Code); said != code {
		s.t.Errorf("said %v, want %v", said, code)
	}
}

// wantDropped fails unless the last datagram was dropped, and nothing else happened.
func (s *scripted) wantDropped() {
	s.t.Helper()
	if s.conn.err != nil {
		s.t.Fatalf("ended with %v, want the packet to be dropped", s.conn.err)
	}
	if s.conn.stats.droppedPackets == s.dropped {
		s.t.Fatal("the packet was taken, want it to be dropped")
	}
}

// wantFine fails unless the last datagram was taken.
func (s *scripted) wantFine() {
	s.t.Helper()
	if s.conn.err != nil {
		s.t.Fatalf("ended with %v, want it to go on", s.conn.err)
	}
	if n := s.conn.stats.droppedPackets - s.dropped; n != 0 {
		s.t.Fatalf("%d packets were dropped, want none", n)
	}
}

// heard says what the peer heard.
func (s *scripted) heard() string {
	text := ""
	for _, p := range s.got {
		text += fmt.Sprintf("%v %d %v; ", p.kind, p.number, p.types)
	}
	return text
}
