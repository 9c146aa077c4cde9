package proto

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// streamTestShuttle carries packets of one side to the other and loses, repeats and
// delays some, as its seed says.
type streamTestShuttle struct {
	from, to *streamTestSide
	rng      *rand.Rand
	loss     float64
	way      []streamTestPacket
	back     []streamTestFate
}

// streamTestFate is what became of a packet, on its way back to the sender.
type streamTestFate struct {
	p    streamTestPacket
	lost bool
}

// step moves a few packets. It returns whether anything moved.
func (h *streamTestShuttle) step(now clock.Time) (bool, error) {
	moved := false
	for range 1 + h.rng.IntN(20) {
		if len(h.way) > 200 || (!h.from.ss.hasControl() && !h.from.ss.hasData()) {
			break
		}
		p := h.from.build(100 + h.rng.IntN(1300))
		if len(p.refs) == 0 {
			return false, fmt.Errorf("something to send, and an empty packet")
		}
		h.way, moved = append(h.way, p), true
	}
	for range h.rng.IntN(20) {
		if len(h.way) == 0 {
			break
		}
		i := h.rng.IntN(min(len(h.way), 8)) // some come early
		p := h.way[i]
		lost, again := h.rng.Float64() < h.loss, h.rng.Float64() < h.loss
		moved = true
		if !lost {
			if err := h.to.receive(now, p); err != nil {
				return false, err
			}
			if again { // stays on its way, and will be told of as lost or acknowledged again
				h.back = append(h.back, streamTestFate{p, h.rng.IntN(2) == 0})
				continue
			}
		}
		h.way = append(h.way[:i], h.way[i+1:]...)
		h.back = append(h.back, streamTestFate{p, lost})
	}
	for range h.rng.IntN(20) {
		if len(h.back) == 0 {
			break
		}
		i := h.rng.IntN(min(len(h.back), 8))
		f := h.back[i]
		h.back, moved = append(h.back[:i], h.back[i+1:]...), true
		if f.lost {
			h.from.lost(f.p)
		} else {
			h.from.acked(f.p)
		}
	}
	return moved, nil
}

// TestStreamsThroughLoss moves 10 MB over 20 streams, half of them echoed.
func TestStreamsThroughLoss(t *testing.T) {
	for seed := range uint64(6) {
		// 10 streams to the peer, 10 there and back; all of it for one seed.
		each := uint64(35 << 10)
		if seed == 2 {
			each = 350 << 10
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			config := Config{StreamWindow: 20 << 10, ConnWindow: 60 << 10, MaxStreamWindow: 200 << 10, SendBuffer: 50 << 10, MaxUniStreams: 4}
			c, s := streamTestPair(t, config)
			c.ss.setRTT(time.Millisecond)
			s.ss.setRTT(time.Millisecond)
			there := &streamTestShuttle{from: c, to: s, rng: rng, loss: 0.05 * float64(seed)}
			back := &streamTestShuttle{from: s, to: c, rng: rng, loss: 0.05 * float64(seed)}

			flows := make([]streamTestFlow, 20)
			for i := range flows {
				flows[i] = streamTestFlow{t: t, size: each, direction: wire.Direction(i % 2)}
			}
			echo := map[wire.StreamID]*streamTestFlow{}
			byID := map[wire.StreamID]*streamTestFlow{}
			now := clock.Time(1)
			idle := 0
			for done := 0; done < len(flows); {
				now = now.Add(50 * time.Microsecond)
				for i := range flows {
					f := &flows[i]
					if f.out == nil {
						st, err := c.ss.open(f.direction)
						if errors.Is(err, ErrBlocked) {
							continue
						}
						f.out, byID[st.ID()] = st, f
						if f.direction == wire.Bidi {
							f.in = st
						}
					}
					f.write(rng)
				}
				for d := wire.Bidi; d <= wire.Uni; d++ {
					if st, ok := s.ss.accept(d); ok {
						if d == wire.Bidi {
							echo[st.ID()] = &streamTestFlow{t: t, size: each, in: st, out: st}
						} else {
							byID[st.ID()].in = st
						}
					}
				}
				done = 0
				for i := range flows {
					f := &flows[i]
					f.read(rng)
					if f.out == nil {
						continue
					}
					if e := echo[f.out.ID()]; e != nil {
						e.read(rng)
						e.write(rng)
					}
					if f.ended && f.out.Done() {
						done++
					}
				}
				moved := false
				for _, h := range []*streamTestShuttle{there, back} {
					m, err := h.step(now)
					if err != nil {
						t.Fatal(err)
					}
					moved = moved || m
				}
				if idle++; moved {
					idle = 0
				}
				if idle > 1000 {
					t.Fatalf("stuck with %d flows done", done)
				}
			}
			for i := 0; len(there.way)+len(back.way)+len(there.back)+len(back.back) > 0 || c.ss.hasControl() || s.ss.hasControl(); i++ {
				for _, h := range []*streamTestShuttle{there, back} {
					if _, err := h.step(now); err != nil {
						t.Fatal(err)
					}
				}
				if i > 100000 {
					t.Fatal("the ends do not come to rest")
				}
			}
			if len(c.ss.byID)+len(s.ss.byID) != 0 || c.pool.InUse()+s.pool.InUse() != 0 {
				t.Errorf("%d and %d streams, %d and %d chunks left",
					len(c.ss.byID), len(s.ss.byID), c.pool.InUse(), s.pool.InUse())
			}
			for name, side := range map[string][2]*streams{"to the server": {&c.ss, &s.ss}, "to the client": {&s.ss, &c.ss}} {
				if tx, rx := side[0].credit.used, side[1].window; tx != rx.received || tx != rx.consumed {
					t.Errorf("%s: %d bytes sent, %d received, %d read", name, tx, rx.received, rx.consumed)
				}
			}
			if got := c.ss.window.received + s.ss.window.received; got != 30*each {
				t.Errorf("%d bytes moved, want %d", got, 30*each)
			}
		})
	}
}

// streamTestFlow writes known bytes to a stream and reads them from one.
type streamTestFlow struct {
	t         *testing.T
	size      uint64
	direction wire.Direction

	out     *Stream
	written uint64
	closed  bool
	in      *Stream
	got     uint64
	ended   bool
}

func (f *streamTestFlow) write(rng *rand.Rand) {
	if f.written < f.size {
		p := make([]byte, min(f.size-f.written, uint64(1+rng.IntN(20000))))
		streamTestFill(p, f.written)
		n, err := f.out.Write(p)
		if err != nil && !errors.Is(err, ErrBlocked) {
			f.t.Fatalf("Write: %v", err)
		}
		f.written += uint64(n)
	} else if !f.closed && rng.IntN(2) == 0 {
		f.closed = true
		if err := f.out.CloseWrite(); err != nil {
			f.t.Fatalf("CloseWrite: %v", err)
		}
	}
}

func (f *streamTestFlow) read(rng *rand.Rand) {
	if f.in == nil || f.ended || rng.IntN(3) == 0 {
		return
	}
	p := make([]byte, 1+rng.IntN(30000))
	var n int
	var err error
	if rng.IntN(2) == 0 {
		n, err = f.in.Read(p)
	} else {
		var v buf.View
		v, err = f.in.ReadView()
		n, p = len(v.Bytes), append([]byte(nil), v.Bytes...)
		v.Release()
	}
	if streamTestEOF(err) {
		f.ended = true
		if f.got != f.size {
			f.t.Fatalf("end after %d bytes, want %d", f.got, f.size)
		}
		return
	}
	if err != nil && !errors.Is(err, ErrBlocked) {
		f.t.Fatalf("Read: %v", err)
	}
	want := make([]byte, n)
	streamTestFill(want, f.got)
	if !bytes.Equal(p[:n], want) {
		f.t.Fatalf("the %d bytes at %d of stream %d are wrong", n, f.got, f.in.ID())
	}
	f.got += uint64(n)
}

// TestSteadyStateDoesNotAllocate: Write, appendData, handleStream, Read and the
// acknowledgement, with flow control's frames on the way back.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	out := []*Stream{c.open(wire.Uni), c.open(wire.Uni), c.open(wire.Uni)}
	var in []*Stream
	p := make([]byte, 1300)
	pool := buf.NewPool(2048, 8)
	frames := make([]byte, 0, 2048)
	now := clock.Time(1)
	// carry moves the frames of one packet as a connection would.
	carry := func(from, to *streamTestSide) {
		w := builder{b: frames[:0], end: 1200, log: &from.log}
		first := from.log.next
		from.ss.appendControl(&w)
		from.ss.appendData(&w)
		b := pool.Get()
		rest := b.Data[:copy(b.Data, w.b)]
		for len(rest) > 0 {
			ft, n, err := wire.ParseFrameType(rest)
			if err != nil {
				t.Fatal(err)
			}
			m, err := to.receiveFrame(now, ft, rest[n:], b)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n+m:]
		}
		b.Release()
		for i := first; i < from.log.next; i++ {
			from.ss.acked(*from.log.at(i))
		}
		from.log.forget(from.log.next)
	}
	round := func() {
		now = now.Add(time.Millisecond)
		for _, st := range out {
			st.Write(p)
		}
		for c.ss.hasData() {
			carry(c, s)
		}
		for st, ok := s.ss.accept(wire.Uni); ok; st, ok = s.ss.accept(wire.Uni) {
			in = append(in, st)
		}
		for _, st := range in {
			for {
				if n, err := st.Read(p); n == 0 || err != nil {
					break
				}
			}
		}
		carry(s, c)
		s.events = s.events[:0]
	}
	for range 100 {
		round()
	}
	if n := testing.AllocsPerRun(2000, round); n > 0 {
		t.Errorf("%v allocations for a write on each of three streams, want 0", n)
	}
	if c.ss.counts.Sent < 3*1300*2000 {
		t.Errorf("%d bytes sent, want all", c.ss.counts.Sent)
	}
}

// TestSteadyStateWithLossDoesNotAllocate: one packet in ten is lost, and what is
// behind it waits.
func TestSteadyStateWithLossDoesNotAllocate(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	out := c.open(wire.Uni)
	c.write(out, "x")
	c.flush(s)
	in := s.accept(wire.Uni)
	p := make([]byte, 12000)
	pool := buf.NewPool(64<<10, 8)
	frames := make([]byte, 0, 2048)
	round := func() {
		out.Write(p)
		b := pool.Get()
		used := 0
		first := c.log.next
		lost := first + 3
		for c.ss.hasData() {
			w := builder{b: frames[:0], end: 1200, log: &c.log}
			c.ss.appendData(&w)
			packet := b.Data[used : used+copy(b.Data[used:], w.b)]
			used += len(packet)
			if lost >= c.log.next-uint64(w.n) && lost < c.log.next {
				continue
			}
			ft, n, _ := wire.ParseFrameType(packet)
			s.receiveFrame(1, ft, packet[n:], b)
		}
		c.ss.lost(*c.log.at(lost))
		for c.ss.hasData() {
			w := builder{b: frames[:0], end: 1200, log: &c.log}
			c.ss.appendData(&w)
			packet := b.Data[used : used+copy(b.Data[used:], w.b)]
			used += len(packet)
			ft, n, _ := wire.ParseFrameType(packet)
			s.receiveFrame(1, ft, packet[n:], b)
		}
		b.Release()
		for i := first; i < c.log.next; i++ {
			if i != lost {
				c.ss.acked(*c.log.at(i))
			}
		}
		c.log.forget(c.log.next)
		for {
			if _, err := in.Read(p); err != nil {
				break
			}
		}
		w := builder{b: frames[:0], end: 1200, log: &s.log}
		s.ss.appendControl(&w)
		for rest := w.b; len(rest) > 0; {
			ft, n, _ := wire.ParseFrameType(rest)
			m, _ := c.receiveFrame(1, ft, rest[n:], nil)
			rest = rest[n+m:]
		}
		s.log.forget(s.log.next)
		s.events = s.events[:0]
	}
	for range 100 {
		round()
	}
	if n := testing.AllocsPerRun(1000, round); n > 0 {
		t.Errorf("%v allocations for eleven packets with a loss, want 0", n)
	}
	if c.ss.counts.Resent == 0 || s.ss.window.consumed != c.ss.credit.used {
		t.Errorf("%d bytes sent again, %d read of %d", c.ss.counts.Resent, s.ss.window.consumed, c.ss.credit.used)
	}
}

// BenchmarkStreamsPacket is the streams' part of a full packet on both sides: Write,
// the frame into the packet, out of it, its acknowledgement and Read.
func BenchmarkStreamsPacket(b *testing.B) {
	const payload = 1400
	c, s := streamTestPair(b, Config{})
	out := c.open(wire.Uni)
	var in *Stream
	p := make([]byte, 64<<10)
	pool := buf.NewPool(64<<10, 8)
	w := builder{b: make([]byte, 0, 2048), log: &c.log}
	reply := builder{b: make([]byte, 0, 2048), end: 1200, log: &s.log}
	b.ReportAllocs()
	b.SetBytes(40 * payload)
	for b.Loop() {
		out.Write(p[:40*payload])
		buffer, used := pool.Get(), 0
		first := c.log.next
		for c.ss.hasData() {
			w.b, w.end = w.b[:0], payload+10
			c.ss.appendData(&w)
			packet := buffer.Data[used : used+copy(buffer.Data[used:], w.b)]
			used += len(packet)
			t, n, _ := wire.ParseFrameType(packet)
			if _, err := s.receiveFrame(1, t, packet[n:], buffer); err != nil {
				b.Fatal(err)
			}
		}
		buffer.Release()
		for i := first; i < c.log.next; i++ {
			c.ss.acked(*c.log.at(i))
		}
		c.log.forget(c.log.next)
		if in == nil {
			in = s.accept(wire.Uni)
		}
		for {
			if _, err := in.Read(p); err != nil {
				break
			}
		}
		reply.b = reply.b[:0]
		s.ss.appendControl(&reply)
		for rest := reply.b; len(rest) > 0; {
			t, n, _ := wire.ParseFrameType(rest)
			m, _ := c.receiveFrame(1, t, rest[n:], nil)
			rest = rest[n+m:]
		}
		s.log.forget(s.log.next)
		s.events = s.events[:0]
	}
}
