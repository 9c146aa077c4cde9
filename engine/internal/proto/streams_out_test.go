package proto

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// TestStreamsTakeTurns: a stream has a packet to itself, then the next one does.
func TestStreamsTakeTurns(t *testing.T) {
	c, _ := streamTestPair(t, Config{})
	for range 3 {
		c.write(c.open(wire.Uni), strings.Repeat("x", 3000))
	}
	var got []wire.StreamID
	for c.ss.hasData() {
		p := c.build(1000)
		for _, r := range p.refs {
			got = append(got, r.stream.id)
		}
	}
	want := []wire.StreamID{2, 6, 10, 2, 6, 10, 2, 6, 10, 2, 6, 10}
	if !slices.Equal(got, want) {
		t.Errorf("streams took turns %v, want %v", got, want)
	}
}

// TestLostDataFirst: what was lost goes before what is new, and needs no credit.
func TestLostDataFirst(t *testing.T) {
	c, _ := streamTestPair(t, Config{StreamWindow: 1500, ConnWindow: 1500})
	a, b := c.open(wire.Uni), c.open(wire.Uni)
	c.write(a, strings.Repeat("a", 1000))
	first := c.build(1200)
	c.write(b, strings.Repeat("b", 1000))
	c.lost(first)
	p := c.build(1200)
	if r := p.refs[0]; r.stream != a || r.off != 0 || r.n != 1000 {
		t.Fatalf("first came %d bytes of stream %d, want the lost ones of %d", r.n, r.stream.id, a.id)
	}
	for c.ss.hasData() {
		c.build(1200)
	}
	if c.ss.credit.used != 1500 || c.ss.counts.Resent != 1000 {
		t.Errorf("%d bytes of credit used, %d sent again; want 1500 and 1000", c.ss.credit.used, c.ss.counts.Resent)
	}
	c.lost(p)
	if !c.ss.hasData() {
		t.Error("lost data waits for credit")
	}
}

// TestPacketsFill: a frame that reaches the packet's end has no Length; each packet
// is full up to two bytes while data is left.
func TestPacketsFill(t *testing.T) {
	for size := 8; size < 200; size++ {
		c, s := streamTestPair(t, Config{})
		st := c.open(wire.Uni)
		c.write(st, strings.Repeat("0123456789", 40))
		if err := st.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for c.ss.hasData() {
			p := c.build(size)
			if len(p.refs) == 0 {
				t.Fatalf("no frame in a packet of %d bytes", size)
			}
			if c.ss.hasData() && len(p.frames) < size-2 {
				t.Fatalf("a packet of %d bytes, want nearly %d", len(p.frames), size)
			}
			ft, _, err := wire.ParseFrameType(p.frames)
			if err != nil {
				t.Fatal(err)
			}
			if ft&2 == 0 && len(p.frames) < size {
				t.Fatalf("no Length in a packet of %d of %d bytes", len(p.frames), size)
			}
			if err := s.receive(1, p); err != nil {
				t.Fatal(err)
			}
			c.acked(p)
		}
		s.wantRead(s.accept(wire.Uni), strings.Repeat("0123456789", 40), io.EOF)
	}
}

func TestFitStream(t *testing.T) {
	tests := []struct {
		name  string
		avail uint64
		room  int
		n     int
		noLen bool
		ok    bool
	}{
		{"no room", 10, 0, 0, false, false},
		{"room for a header", 10, 2, 0, false, false},
		{"room for a byte", 10, 3, 1, true, true},
		{"as much as is there", 10, 12, 10, true, true},
		{"a byte too much", 10, 13, 10, false, true},
		{"more", 10, 100, 10, false, true},
		{"the end alone", 0, 2, 0, true, true},
		{"the end alone, with more room", 0, 3, 0, false, true},
		{"the end alone, no room", 0, 1, 0, false, false},
		{"a length of two bytes too long", 64, 67, 63, false, true},
		{"negative room", 10, -5, 0, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := wire.Stream{ID: 2}
			n, ok := fitStream(&f, tt.avail, tt.room)
			if ok != tt.ok || (ok && (n != tt.n || f.NoLength != tt.noLen)) {
				t.Errorf("%d bytes, no length %v, fits %v; want %d, %v, %v", n, f.NoLength, ok, tt.n, tt.noLen, tt.ok)
			}
		})
	}
}

// TestBlockedIsToldOnce: RFC 9000, section 4.1: no more than both limits; the peer
// hears of each once.
func TestBlockedIsToldOnce(t *testing.T) {
	c, _ := streamTestPair(t, Config{StreamWindow: 1000, ConnWindow: 1500})
	a, b := c.open(wire.Uni), c.open(wire.Uni)
	c.write(a, strings.Repeat("a", 1100))
	c.write(b, strings.Repeat("b", 800))
	var got []frameKind
	var control streamTestPacket
	for c.ss.hasControl() || c.ss.hasData() {
		p := c.build(700)
		if slices.ContainsFunc(p.refs, func(r frameRef) bool { return r.kind != refStream }) {
			control = p
		}
		got = append(got, p.kinds()...)
	}
	if c.ss.credit.used != 1500 || a.send.data.sent+b.send.data.sent != 1500 {
		t.Fatalf("%d bytes sent, want 1500", c.ss.credit.used)
	}
	count := func(k frameKind) (n int) {
		for _, g := range got {
			if g == k {
				n++
			}
		}
		return n
	}
	if count(refDataBlocked) != 1 || count(refStreamDataBlocked) > 1 {
		t.Fatalf("frames %v, want one DATA_BLOCKED", got)
	}
	c.lost(control)
	if !c.ss.hasControl() {
		t.Fatal("DATA_BLOCKED was lost and is not sent again")
	}
	got = c.build(700).kinds()
	if count(refDataBlocked) != 1 {
		t.Fatalf("frames %v, want DATA_BLOCKED", got)
	}
	c.ss.handleMaxData(2000)
	if err := c.ss.handleMaxStreamData(wire.MaxStreamData{ID: a.ID(), Max: 1050}); err != nil {
		t.Fatal(err)
	}
	got = nil
	for c.ss.hasControl() || c.ss.hasData() {
		got = append(got, c.build(1400).kinds()...)
	}
	if count(refStreamDataBlocked) != 1 || a.send.data.sent != 1050 || b.send.data.sent != 800 {
		t.Fatalf("frames %v, sent %d and %d; want STREAM_DATA_BLOCKED once, 1050, 800", got, a.send.data.sent, b.send.data.sent)
	}
	// An outdated limit's frame is not sent again.
	c.ss.handleMaxStreamData(wire.MaxStreamData{ID: a.ID(), Max: 5000})
	c.build(1400)
	c.ss.lost(frameRef{kind: refStreamDataBlocked, off: 1050, stream: a})
	if c.ss.hasControl() {
		t.Error("STREAM_DATA_BLOCKED for a limit that blocks no more")
	}
}

// TestBlockedNoMore: limits that came in the meantime leave nothing to tell.
func TestBlockedNoMore(t *testing.T) {
	c, _ := streamTestPair(t, Config{StreamWindow: 1000, ConnWindow: 1000, MaxUniStreams: 1})
	st := c.open(wire.Uni)
	c.ss.open(wire.Uni)
	c.write(st, strings.Repeat("a", 1500))
	for c.ss.hasData() {
		w := builder{end: 600, log: &c.log}
		c.ss.appendData(&w)
	}
	if want := wantStreamsBlocked << wire.Uni; c.ss.wants != want || st.wants != wantBlocked {
		t.Fatalf("wants %b and %b, want %b and %b", c.ss.wants, st.wants, want, wantBlocked)
	}
	c.ss.handleMaxStreams(wire.MaxStreams{Direction: wire.Uni, Max: 2})
	c.ss.handleMaxStreamData(wire.MaxStreamData{ID: st.ID(), Max: 2000})
	if c.ss.wants != wantDataBlocked || st.wants != 0 {
		t.Fatalf("wants %b and %b, want DATA_BLOCKED alone", c.ss.wants, st.wants)
	}
	c.ss.handleMaxData(2000)
	if c.ss.hasControl() || !c.ss.hasData() {
		t.Error("not blocked, and something to tell, or nothing to send")
	}
}

// TestEndNeedsNoCredit: a stream ends though the connection is blocked.
func TestEndNeedsNoCredit(t *testing.T) {
	c, _ := streamTestPair(t, Config{StreamWindow: 1000, ConnWindow: 1000})
	st := c.open(wire.Uni)
	c.write(st, strings.Repeat("a", 1000))
	for c.ss.hasData() {
		c.build(600)
	}
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if !c.ss.hasData() {
		t.Fatal("the end waits for credit")
	}
	if p := c.build(600); len(p.refs) != 1 || !p.refs[0].fin {
		t.Errorf("frames %v, want the end", p.refs)
	}
}

// TestLimitsFollowReads: MAX_DATA and MAX_STREAM_DATA go out as data is read, and
// the newest again when lost; both windows grow with a fast reader.
func TestLimitsFollowReads(t *testing.T) {
	c, s := streamTestPair(t, Config{StreamWindow: 8000, ConnWindow: 8000, MaxStreamWindow: 64000, MaxConnWindow: 80000})
	s.ss.setRTT(10 * time.Millisecond)
	st := c.open(wire.Uni)
	var far *Stream
	now := clock.Time(1)
	p := make([]byte, 8000)
	var old, newest streamTestPacket
	for range 100 {
		st.Write(p)
		for c.ss.hasData() || c.ss.hasControl() {
			now = now.Add(time.Microsecond)
			packet := c.build(1200)
			if err := s.receive(now, packet); err != nil {
				t.Fatal(err)
			}
			c.acked(packet)
		}
		if far == nil {
			far = s.accept(wire.Uni)
		}
		for {
			if _, err := far.Read(p); err != nil {
				break
			}
		}
		if s.ss.hasControl() {
			old, newest = newest, s.build(1200)
			if err := c.receive(now, newest); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := far.recv.window.size; got != 64000 {
		t.Errorf("stream window %d, want 64000", got)
	}
	if got := s.ss.window.size; got != 80000 {
		t.Errorf("connection window %d, want 80000", got)
	}
	if got := c.ss.credit.left(); got < 8000 {
		t.Errorf("%d bytes of credit left, want some", got)
	}
	s.lost(old)
	if s.ss.hasControl() {
		t.Error("an old limit's loss has frames sent")
	}
	s.lost(newest)
	if got := s.build(1200).kinds(); !slices.Equal(got, newest.kinds()) {
		t.Errorf("frames %v after the loss of %v", got, newest.kinds())
	}
}

// TestConnWindowFollowsStream: one stream is not held up by the connection's window.
func TestConnWindowFollowsStream(t *testing.T) {
	_, s := streamTestPair(t, Config{StreamWindow: 8000, ConnWindow: 8000})
	if err := s.ss.handleStream(1, wire.Stream{ID: 2, Data: []byte("x")}, nil); err != nil {
		t.Fatal(err)
	}
	s.wantRead(s.accept(wire.Uni), "x", ErrBlocked)
	if got := s.ss.window.size; got != 12000 {
		t.Errorf("connection window %d, want half more than the stream's 8000", got)
	}
}

// TestControlWaitsForRoom: what does not fit is sent with the next packet.
func TestControlWaitsForRoom(t *testing.T) {
	c, _ := streamTestPair(t, Config{})
	for range 4 {
		c.open(wire.Uni).Reset(1000)
	}
	n, packets := 0, 0
	for c.ss.hasControl() {
		w := builder{end: 9, log: &c.log}
		all := c.ss.appendControl(&w)
		if all == c.ss.hasControl() {
			t.Fatalf("appendControl gave %v, and more to come: %v", all, c.ss.hasControl())
		}
		n, packets = n+int(w.n), packets+1
	}
	if n != 4 || packets != 4 {
		t.Errorf("%d frames in %d packets, want 4 in 4", n, packets)
	}
	c.ss.wants = ^connFrames(0)
	w := builder{end: 0, log: &c.log}
	if c.ss.appendControl(&w) || w.n > 0 {
		t.Error("frames fit in no room")
	}
}

// TestWindowOnlyInRecv: RFC 9000, section 3.3: MAX_STREAM_DATA is sent in "Recv" only.
func TestWindowOnlyInRecv(t *testing.T) {
	_, s := streamTestPair(t, Config{StreamWindow: 1000})
	s.ss.handleStream(1, wire.Stream{ID: 2, Data: make([]byte, 900)}, nil)
	st := s.accept(wire.Uni)
	st.Read(make([]byte, 900))
	s.ss.handleStream(1, wire.Stream{ID: 2, Offset: 950, Fin: true}, nil)
	if p := s.build(1200); len(p.refs) != 0 {
		t.Errorf("frames %v with the size known, want none", p.kinds())
	}
}

// TestEarlyRejected: refused 0-RTT is sent again from the start, within the real
// limits, in whichever order the two are told.
func TestEarlyRejected(t *testing.T) {
	remembered := wire.TransportParameters{
		InitialMaxData: 5000, InitialMaxStreamDataUni: 3000, InitialMaxStreamDataBidiRemote: 3000,
		InitialMaxStreamsUni: 5, InitialMaxStreamsBidi: 1,
	}
	real := wire.TransportParameters{
		InitialMaxData: 2500, InitialMaxStreamDataUni: 2000, InitialMaxStreamDataBidiRemote: 2000,
		InitialMaxStreamsUni: 2, InitialMaxStreamsBidi: 1,
	}
	for name, refuse := range map[string]func(*streams){
		"refused first": func(ss *streams) { ss.earlyRejected(); ss.setPeerLimits(&real) },
		"limits first":  func(ss *streams) { ss.setPeerLimits(&real); ss.earlyRejected() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newStreamTestSide(t, wire.Client, Config{})
			s := newStreamTestSide(t, wire.Server, Config{StreamWindow: 2000, ConnWindow: 2500, MaxUniStreams: 2, MaxBidiStreams: 1})
			c.ss.setPeerLimits(&remembered)
			var uni []*Stream
			for range 5 {
				uni = append(uni, c.open(wire.Uni))
			}
			bidi := c.open(wire.Bidi)
			c.write(uni[0], strings.Repeat("a", 1000))
			c.write(uni[2], "held")
			uni[0].CloseWrite()
			uni[2].CloseWrite()
			uni[3].CloseWrite()
			c.write(bidi, "given up")
			for c.ss.hasData() {
				c.build(1200) // lost with 0-RTT
			}
			bidi.Reset(5)
			bidi.StopSending(6)
			uni[1].Reset(7)
			uni[4].Reset(8)
			c.build(1200)
			refuse(&c.ss)
			c.flush(s)
			s.wantRead(s.accept(wire.Uni), strings.Repeat("a", 1000), io.EOF)
			if _, err := s.accept(wire.Uni).Read(make([]byte, 1)); !errors.As(err, new(*StreamError)) {
				t.Errorf("second stream: %v, want its reset", err)
			}
			far := s.accept(wire.Bidi)
			if far.recv.final != 0 || far.send.state != sendResetSent {
				t.Errorf("final size %d, stopped: %v; want 0, true", far.recv.final, far.send.state == sendResetSent)
			}
			if c.ss.credit.limit != 2500 || c.ss.credit.used != 1000 {
				t.Errorf("credit %+v, want 1000 of 2500", c.ss.credit)
			}
			if _, err := c.ss.open(wire.Uni); !errors.Is(err, ErrBlocked) {
				t.Errorf("open above the real limit: %v", err)
			}
			// The others wait for their turn.
			s.flush(c)
			c.ss.handleMaxStreams(wire.MaxStreams{Direction: wire.Uni, Max: 5})
			s.ss.peer[wire.Uni].limit = 5
			c.flush(s)
			s.wantRead(s.accept(wire.Uni), "held", io.EOF)
			s.wantRead(s.accept(wire.Uni), "", io.EOF)
			if _, err := s.accept(wire.Uni).Read(make([]byte, 1)); !errors.As(err, new(*StreamError)) {
				t.Errorf("fifth stream: %v, want its reset", err)
			}
		})
	}
}

// TestRefusedWithMoreStreams: who waits for streams hears of the real limit.
func TestRefusedWithMoreStreams(t *testing.T) {
	c := newStreamTestSide(t, wire.Client, Config{})
	c.ss.setPeerLimits(&wire.TransportParameters{InitialMaxStreamsUni: 1})
	c.open(wire.Uni)
	if _, err := c.ss.open(wire.Uni); !errors.Is(err, ErrBlocked) {
		t.Fatal(err)
	}
	c.events = nil
	c.ss.earlyRejected()
	c.ss.setPeerLimits(&wire.TransportParameters{InitialMaxStreamsUni: 2})
	c.wantEvents(StreamsAvailable)
	c.open(wire.Uni)
}

// TestLimitsGrowAfterEarlyData: RFC 9000, section 7.4.1: the handshake's limits may be
// larger than those remembered, and count for the streams that are open.
func TestLimitsGrowAfterEarlyData(t *testing.T) {
	c := newStreamTestSide(t, wire.Client, Config{})
	p := wire.TransportParameters{InitialMaxData: 500, InitialMaxStreamDataUni: 300, InitialMaxStreamsUni: 1}
	c.ss.setPeerLimits(&p)
	c.wantEvents(StreamsAvailable)
	st := c.open(wire.Uni)
	c.write(st, strings.Repeat("a", 1000))
	for c.ss.hasData() {
		c.build(1200)
	}
	if st.send.data.sent != 300 {
		t.Fatalf("%d bytes sent, want 300", st.send.data.sent)
	}
	p.InitialMaxData, p.InitialMaxStreamDataUni = 100, 800 // the first must not count
	c.ss.setPeerLimits(&p)
	for c.ss.hasData() {
		c.build(1200)
	}
	if st.send.data.sent != 500 || c.ss.credit.limit != 500 {
		t.Errorf("%d bytes sent of %d, want 500 of 500", st.send.data.sent, c.ss.credit.limit)
	}
}
