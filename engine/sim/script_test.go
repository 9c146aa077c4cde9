package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// script is the application of one side: it opens its streams, writes what the plan
// says, reads and checks what the other side's plan says.
type script struct {
	world   *world
	side    wire.Perspective
	session *session

	next  [2]int  // by wire.Direction: the plan to open next
	parts []*part // of all streams that are open or were
	open  int     // parts[:open] are done

	ticking   bool
	allowance int // bytes that a slow reader may read still in this interval

	datagrams int // sent
	got       map[uint32]bool
}

// part is this side's part in a stream.
type part struct {
	plan   *streamPlan
	stream *proto.Stream
	key    uint64 // of the bytes: both directions have their own

	written int
	sent    bool // no more will be written
	lost    bool // the peer stopped it
	read    int
	taken   bool // no more will be read
}

func (x *script) begin() {
	x.got = map[uint32]bool{}
	x.openStreams()
}

// handle takes an event of the connection.
func (x *script) handle(ev proto.Event) {
	switch ev.Kind {
	case proto.HandshakeComplete:
		x.openStreams()
		x.sendDatagrams()
	case proto.StreamsAvailable:
		x.openStreams()
	case proto.StreamOpened:
		x.accept(ev.Direction)
	case proto.StreamReadable, proto.StreamWritable:
		if p, ok := ev.Stream.Owner.(*part); ok {
			x.pump(p)
		}
	case proto.DatagramReceived:
		if !x.world.scenario.deaf {
			x.receiveDatagrams()
		}
	}
}

// openStreams opens as many of this side's streams as the peer allows.
func (x *script) openStreams() {
	plans := x.world.scenario.streams
	for d := wire.Bidi; d <= wire.Uni; d++ {
		for ; x.next[d] < len(plans); x.next[d]++ {
			p := &plans[x.next[d]]
			if p.opener != x.side || p.direction != d {
				continue
			}
			s, err := x.session.conn.OpenStream(d)
			if err != nil {
				break
			}
			x.add(p, s)
		}
	}
}

// accept takes the streams that the peer opened: the n-th of its kind has the plan
// of the n-th that its side opens.
func (x *script) accept(d wire.Direction) {
	for {
		s, ok := x.session.conn.AcceptStream(d)
		if !ok {
			return
		}
		n := s.ID().Number()
		for i := range x.world.scenario.streams {
			if p := &x.world.scenario.streams[i]; p.opener == x.side.Peer() && p.direction == d {
				if n == 0 {
					x.add(p, s)
					break
				}
				n--
			}
		}
	}
}

func (x *script) add(plan *streamPlan, s *proto.Stream) {
	p := &part{plan: plan, stream: s, key: uint64(s.ID())}
	ours := plan.opener == x.side
	p.sent, p.taken = plan.direction == wire.Uni && !ours, plan.direction == wire.Uni && ours
	s.Owner = p
	x.parts = append(x.parts, p)
	x.pump(p)
}

// pump moves what can be moved on a stream.
func (x *script) pump(p *part) {
	x.session.end.touch(x.session)
	x.write(p)
	x.read(p)
}

func (x *script) write(p *part) {
	h := &p.plan.halves[x.side]
	until := h.size
	if !h.late {
		until = min(until, h.resetAt)
	}
	var b [4 << 10]byte
	for !p.sent {
		if p.written == until {
			x.finish(p, h)
			return
		}
		n := min(len(b), until-p.written)
		fillPattern(b[:n], p.key, x.side, p.written)
		n, err := p.stream.Write(b[:n])
		p.written += n
		switch {
		case errors.Is(err, proto.ErrBlocked):
			return
		case err != nil:
			x.refusal(p, err)
			return
		}
	}
}

// finish ends the sending half.
func (x *script) finish(p *part, h *halfPlan) {
	p.sent = true
	if h.resetAt > h.size || h.late {
		if err := p.stream.CloseWrite(); err != nil {
			x.refusal(p, err)
		}
	}
	if h.resetAt <= h.size {
		p.stream.Reset(resetCode)
	}
}

// refusal is an error of Write: the peer's stop, or the connection's end.
func (x *script) refusal(p *part, err error) {
	p.sent, p.lost = true, true
	stop, ok := errors.AsType[*proto.StreamError](err)
	switch planned := p.plan.halves[x.side].stopAt != never; {
	case ok && stop.Stopped && stop.Remote && stop.Code == stopCode && planned:
	case x.session.conn.Err() != nil && errors.Is(err, x.session.conn.Err()):
	default:
		x.world.errorf("the %v's write to stream %d fails with %v", x.side, p.stream.ID(), err)
	}
}

// read reads as much as there is and the pace allows.
func (x *script) read(p *part) {
	h := &p.plan.halves[x.side.Peer()]
	slow := x.world.scenario.paces[x.side].interval > 0
	var b [8 << 10]byte
	for !p.taken {
		if p.read >= h.stopAt {
			p.taken = true
			p.stream.StopSending(stopCode)
			return
		}
		n := len(b)
		if slow {
			if x.tick(); x.allowance == 0 {
				return
			}
			n = min(n, x.allowance)
		}
		data, err := x.take(p, b[:n])
		x.allowance -= min(x.allowance, len(data))
		if !matches(data, p.key, x.side.Peer(), p.read) {
			x.world.errorf("the %v reads other bytes than were written, on stream %d from %d on", x.side, p.stream.ID(), p.read)
		}
		p.read += len(data)
		if errors.Is(err, proto.ErrBlocked) {
			return
		}
		if err != nil {
			p.taken = true
			x.readEnd(p, h, err)
		}
	}
}

// take reads by copy on one stream and by reference on the next.
func (x *script) take(p *part, b []byte) ([]byte, error) {
	if p.key&4 == 0 {
		n, err := p.stream.Read(b)
		return b[:n], err
	}
	v, err := p.stream.ReadView()
	if err != nil {
		return nil, err
	}
	defer v.Release()
	return append([]byte(nil), v.Bytes...), nil
}

// tick begins an interval of a slow reader, at the end of which it may read on.
func (x *script) tick() {
	if x.ticking {
		return
	}
	pace := x.world.scenario.paces[x.side]
	x.ticking, x.allowance = true, pace.chunk
	x.world.after(pace.interval, func() {
		x.ticking, x.allowance = false, 0
		if x.session.drained {
			return
		}
		for _, p := range x.parts[x.open:] {
			x.pump(p)
		}
	})
}

// readEnd checks what came instead of bytes.
func (x *script) readEnd(p *part, h *halfPlan, err error) {
	reset, isReset := errors.AsType[*proto.StreamError](err)
	switch {
	case x.session.conn.Err() != nil && errors.Is(err, x.session.conn.Err()):
	case errors.Is(err, io.EOF):
		if p.read != h.size || (h.resetAt <= h.size && !h.late) {
			x.world.errorf("stream %d ends for the %v after %d bytes, want %d, reset at %d", p.stream.ID(), x.side, p.read, h.size, h.resetAt)
		}
	case isReset && reset.Remote && !reset.Stopped && reset.Code == resetCode && h.resetAt <= h.size:
	default:
		x.world.errorf("the %v's read of stream %d fails with %v", x.side, p.stream.ID(), err)
	}
}

// done reports whether all streams are over on this side.
func (x *script) done() bool {
	for x.open < len(x.parts) {
		p := x.parts[x.open]
		if !p.sent || !p.taken || !p.stream.Done() {
			return false
		}
		x.open++
	}
	return x.open == len(x.world.scenario.streams)
}

// sendDatagrams sends one, and plans the next.
func (x *script) sendDatagrams() {
	s := x.world.scenario
	if x.datagrams == s.datagrams[x.side] || x.session.closed != nil {
		return
	}
	b := make([]byte, 4+(x.datagrams*37)%1100)
	binary.BigEndian.PutUint32(b, uint32(x.datagrams))
	fillPattern(b[4:], uint64(x.datagrams), x.side, 0)
	err := x.session.conn.SendDatagram(b)
	_, large := errors.AsType[*proto.DatagramSizeError](err)
	if err != nil && !large && !errors.Is(err, proto.ErrBlocked) && x.session.conn.Err() == nil {
		x.world.errorf("the %v cannot send a datagram: %v", x.side, err)
	}
	x.session.end.touch(x.session)
	x.datagrams++
	x.world.after(s.expected()/50+1, x.sendDatagrams)
}

// receiveDatagrams checks that what comes is what was sent, once.
func (x *script) receiveDatagrams() {
	for {
		v, ok := x.session.conn.ReceiveDatagram()
		if !ok {
			return
		}
		if len(v.Bytes) < 4 || !matches(v.Bytes[4:], uint64(binary.BigEndian.Uint32(v.Bytes)), x.side.Peer(), 0) {
			x.world.errorf("the %v receives a datagram of %d bytes that nobody sent", x.side, len(v.Bytes))
		} else if n := binary.BigEndian.Uint32(v.Bytes); x.got[n] {
			x.world.errorf("the %v receives datagram %d twice", x.side, n)
		} else {
			x.got[n] = true
		}
		v.Release()
	}
}

// waiting says which streams are not over.
func (x *script) waiting() string {
	var all []string
	for _, p := range x.parts[x.open:] {
		if len(all) == 4 {
			all = append(all, "...")
			break
		}
		if p.sent && p.taken && p.stream.Done() {
			continue
		}
		out, in := p.plan.halves[x.side], p.plan.halves[x.side.Peer()]
		all = append(all, fmt.Sprintf("stream %d (wrote %d of %d, over %v; read %d of %d, over %v, %d readable)",
			p.stream.ID(), p.written, out.size, p.sent, p.read, in.size, p.taken, p.stream.Buffered()))
	}
	if n := len(x.world.scenario.streams) - len(x.parts); n > 0 {
		all = append(all, fmt.Sprintf("%d streams that are not open yet", n))
	}
	return strings.Join(all, ", ")
}

// The bytes of a stream's half are those of a table with a length that is prime, so
// that no other place looks like it.
const tableLen = 65521

var table = makeTable()

func makeTable() []byte {
	t := make([]byte, tableLen)
	v := uint32(1)
	for i := range t {
		v = v*1664525 + 1013904223
		t[i] = byte(v >> 24)
	}
	return t
}

func place(key uint64, from wire.Perspective, off int) int {
	return int((key*7919 + uint64(from)*31 + uint64(off)) % tableLen)
}

func fillPattern(b []byte, key uint64, from wire.Perspective, off int) {
	for len(b) > 0 {
		n := copy(b, table[place(key, from, off):])
		b, off = b[n:], off+n
	}
}

func matches(b []byte, key uint64, from wire.Perspective, off int) bool {
	for len(b) > 0 {
		at := place(key, from, off)
		n := min(len(b), tableLen-at)
		if !bytes.Equal(b[:n], table[at:at+n]) {
			return false
		}
		b, off = b[n:], off+n
	}
	return true
}
