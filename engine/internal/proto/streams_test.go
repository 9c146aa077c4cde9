package proto

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestStreamsCarryAndEnd(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	st := c.open(wire.Bidi)
	c.write(st, "ping")
	c.flush(s)
	s.wantEvents(StreamOpened, StreamReadable)
	far := s.accept(wire.Bidi)
	if far.ID() != st.ID() || far.Buffered() != 4 {
		t.Fatalf("stream %d with %d bytes, want %d with 4", far.ID(), far.Buffered(), st.ID())
	}
	s.wantRead(far, "ping", ErrBlocked)
	s.write(far, "pong")
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	s.flush(c)
	c.wantEvents(StreamReadable)
	c.wantRead(st, "pong", io.EOF)
	c.wantRead(st, "", io.EOF) // again
	if st.Done() || far.Done() {
		t.Fatal("done while the client may write")
	}
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.flush(s)
	s.wantEvents(StreamReadable) // the end alone
	s.wantRead(far, "", io.EOF)
	if !st.Done() || !far.Done() || len(c.ss.byID)+len(s.ss.byID) != 0 {
		t.Errorf("done: %v and %v; %d and %d streams kept", st.Done(), far.Done(), len(c.ss.byID), len(s.ss.byID))
	}
	if c.ss.copies != (copyCounts{Write: 4, Packet: 4, Read: 4}) {
		t.Errorf("client's copies %+v", c.ss.copies)
	}
	if want := (streamCounts{Accepted: 1, Closed: 1, Sent: 4, Received: 4}); s.ss.counts != want {
		t.Errorf("server's counts %+v, want %+v", s.ss.counts, want)
	}
}

func TestReadViewLends(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	st := c.open(wire.Uni)
	c.write(st, strings.Repeat("x", 2000))
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.flush(s)
	far := s.accept(wire.Uni)
	got := 0
	for {
		v, err := far.ReadView()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += len(v.Bytes)
		v.Release()
	}
	if got != 2000 || !far.Done() || s.ss.copies.Read != 0 {
		t.Errorf("%d bytes lent, done: %v, %d copied; want 2000, true, 0", got, far.Done(), s.ss.copies.Read)
	}
}

// RFC 9000, section 3.2: streams of its kind below one that the peer opens MUST be
// opened, too.
func TestPeerOpensLowerStreams(t *testing.T) {
	_, s := streamTestPair(t, Config{})
	if err := s.ss.handleStream(1, wire.Stream{ID: wire.NewStreamID(wire.Client, wire.Uni, 2)}, nil); err != nil {
		t.Fatal(err)
	}
	s.wantEvents(StreamOpened)
	for n := range uint64(3) {
		if got, want := s.accept(wire.Uni).ID(), wire.NewStreamID(wire.Client, wire.Uni, n); got != want {
			t.Errorf("accepted %d, want %d", got, want)
		}
	}
	if _, ok := s.ss.accept(wire.Uni); ok {
		t.Error("a fourth stream")
	}
	if _, ok := s.ss.accept(wire.Bidi); ok {
		t.Error("a stream of the other kind")
	}
}

// TestFrameErrors has what a peer must not send, as a server sees it.
func TestFrameErrors(t *testing.T) {
	id := func(side wire.Perspective, d wire.Direction, n uint64) wire.StreamID {
		return wire.NewStreamID(side, d, n)
	}
	data := func(n int) []byte { return make([]byte, n) }
	var (
		theirs     = id(wire.Client, wire.Bidi, 0)
		theirsOnly = id(wire.Client, wire.Uni, 0)
		ours       = id(wire.Server, wire.Bidi, 0)
		oursOnly   = id(wire.Server, wire.Uni, 0)
		notOpen    = id(wire.Server, wire.Bidi, 1)
		tooMany    = id(wire.Client, wire.Bidi, 4)
	)
	stream := func(f wire.Stream) func(*streams) error {
		return func(ss *streams) error { return ss.handleStream(1, f, nil) }
	}
	resetStream := func(id wire.StreamID, size uint64) func(*streams) error {
		return func(ss *streams) error { return ss.handleResetStream(wire.ResetStream{ID: id, FinalSize: size}) }
	}
	stopSending := func(id wire.StreamID) func(*streams) error {
		return func(ss *streams) error { return ss.handleStopSending(wire.StopSending{ID: id}) }
	}
	maxStreamData := func(id wire.StreamID) func(*streams) error {
		return func(ss *streams) error { return ss.handleMaxStreamData(wire.MaxStreamData{ID: id, Max: 9}) }
	}
	blocked := func(id wire.StreamID) func(*streams) error {
		return func(ss *streams) error { return ss.handleStreamDataBlocked(wire.StreamDataBlocked{ID: id}) }
	}
	tests := []struct {
		name   string
		before []func(*streams) error
		frame  func(*streams) error
		want   wire.ErrorCode
	}{
		// RFC 9000, section 4.5: the final size must not change, nor be passed.
		{"data beyond the end", []func(*streams) error{stream(wire.Stream{ID: theirs, Data: data(5), Fin: true})}, stream(wire.Stream{ID: theirs, Offset: 5, Data: data(1)}), wire.FinalSizeError},
		{"another end, lower", []func(*streams) error{stream(wire.Stream{ID: theirs, Offset: 5, Fin: true})}, stream(wire.Stream{ID: theirs, Offset: 4, Fin: true}), wire.FinalSizeError},
		{"another end, higher", []func(*streams) error{stream(wire.Stream{ID: theirs, Offset: 5, Fin: true})}, stream(wire.Stream{ID: theirs, Offset: 6, Fin: true}), wire.FinalSizeError},
		{"an end below data", []func(*streams) error{stream(wire.Stream{ID: theirs, Offset: 5, Data: data(5)})}, stream(wire.Stream{ID: theirs, Offset: 9, Fin: true}), wire.FinalSizeError},
		{"a reset below data", []func(*streams) error{stream(wire.Stream{ID: theirs, Data: data(5)})}, resetStream(theirs, 4), wire.FinalSizeError},
		{"a reset with another end", []func(*streams) error{stream(wire.Stream{ID: theirs, Data: data(5), Fin: true})}, resetStream(theirs, 6), wire.FinalSizeError},
		{"a second reset with another end", []func(*streams) error{resetStream(theirs, 5)}, resetStream(theirs, 6), wire.FinalSizeError},
		{"data beyond a reset", []func(*streams) error{resetStream(theirs, 5)}, stream(wire.Stream{ID: theirs, Offset: 5, Data: data(1)}), wire.FinalSizeError},
		{"the same end", []func(*streams) error{stream(wire.Stream{ID: theirs, Data: data(5), Fin: true})}, stream(wire.Stream{ID: theirs, Data: data(5), Fin: true}), wire.NoError},
		{"a reset at the end", []func(*streams) error{stream(wire.Stream{ID: theirs, Offset: 1, Data: data(4), Fin: true})}, resetStream(theirs, 5), wire.NoError},

		// RFC 9000, section 4.1: above either limit MUST be a FLOW_CONTROL_ERROR.
		{"up to the stream's limit", nil, stream(wire.Stream{ID: theirs, Offset: 999, Data: data(1)}), wire.NoError},
		{"above the stream's limit", nil, stream(wire.Stream{ID: theirs, Offset: 1000, Data: data(1)}), wire.FlowControlError},
		{"a reset above the stream's limit", nil, resetStream(theirs, 1001), wire.FlowControlError},
		{"up to the connection's limit", []func(*streams) error{stream(wire.Stream{ID: theirs, Data: data(1000)})}, stream(wire.Stream{ID: ours, Data: data(500)}), wire.NoError},
		{"above the connection's limit", []func(*streams) error{stream(wire.Stream{ID: theirs, Data: data(1000)})}, stream(wire.Stream{ID: ours, Data: data(501)}), wire.FlowControlError},
		{"a reset above the connection's limit", []func(*streams) error{stream(wire.Stream{ID: theirs, Data: data(1000)})}, resetStream(ours, 501), wire.FlowControlError},
		{"the same data again", []func(*streams) error{stream(wire.Stream{ID: theirs, Data: data(1000)})}, stream(wire.Stream{ID: theirs, Data: data(1000)}), wire.NoError},
		{"data at the last offset", nil, stream(wire.Stream{ID: theirs, Offset: wire.MaxVarint - 1, Data: data(1)}), wire.FlowControlError},

		// RFC 9000, section 4.6: a stream above the limit MUST be a STREAM_LIMIT_ERROR.
		{"the last stream allowed", nil, stream(wire.Stream{ID: tooMany - 4}), wire.NoError},
		{"a stream too many", nil, stream(wire.Stream{ID: tooMany}), wire.StreamLimitError},
		{"a stream too many, by reset", nil, resetStream(tooMany, 0), wire.StreamLimitError},
		{"a stream too many, by stop", nil, stopSending(tooMany), wire.StreamLimitError},
		{"a stream too many, by limit", nil, maxStreamData(tooMany), wire.StreamLimitError},
		{"a stream too many, by blocked", nil, blocked(tooMany), wire.StreamLimitError},
		{"the last stream of all", nil, stream(wire.Stream{ID: wire.MaxVarint - 3}), wire.StreamLimitError},

		// RFC 9000, sections 19.4, 19.5, 19.8, 19.10 and 19.13: streams of the wrong kind MUST
		// be a STREAM_STATE_ERROR.
		{"STREAM on a stream of ours only", nil, stream(wire.Stream{ID: oursOnly}), wire.StreamStateError},
		{"RESET_STREAM on a stream of ours only", nil, resetStream(oursOnly, 0), wire.StreamStateError},
		{"STREAM_DATA_BLOCKED on a stream of ours only", nil, blocked(oursOnly), wire.StreamStateError},
		{"STOP_SENDING on a stream of theirs only", nil, stopSending(theirsOnly), wire.StreamStateError},
		{"MAX_STREAM_DATA on a stream of theirs only", nil, maxStreamData(theirsOnly), wire.StreamStateError},
		{"STREAM on a stream not open", nil, stream(wire.Stream{ID: notOpen}), wire.StreamStateError},
		{"RESET_STREAM on a stream not open", nil, resetStream(notOpen, 0), wire.StreamStateError},
		{"STOP_SENDING on a stream not open", nil, stopSending(notOpen), wire.StreamStateError},
		{"MAX_STREAM_DATA on a stream not open", nil, maxStreamData(notOpen), wire.StreamStateError},
		{"STREAM_DATA_BLOCKED on a stream not open", nil, blocked(notOpen), wire.StreamStateError},
		{"STOP_SENDING opens", nil, stopSending(theirs), wire.NoError},
		{"MAX_STREAM_DATA opens", nil, maxStreamData(theirs), wire.NoError},
		{"STREAM_DATA_BLOCKED opens", nil, blocked(theirs), wire.NoError},
		{"STOP_SENDING on ours", nil, stopSending(oursOnly), wire.NoError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, s := streamTestPair(t, Config{StreamWindow: 1000, ConnWindow: 1500, MaxBidiStreams: 4})
			s.open(wire.Bidi)
			s.open(wire.Uni)
			for _, frame := range tt.before {
				if err := frame(&s.ss); err != nil {
					t.Fatal(err)
				}
			}
			if err := tt.frame(&s.ss); streamTestCode(err) != tt.want || (err == nil) != (tt.want == wire.NoError) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestNoStreams(t *testing.T) {
	c, _ := streamTestPair(t, Config{MaxBidiStreams: -1})
	if _, err := c.ss.open(wire.Bidi); !errors.Is(err, ErrBlocked) {
		t.Errorf("open gave %v, want ErrBlocked", err)
	}
	c.open(wire.Uni)
}

// TestStreamLimit: RFC 9000, section 4.6: the limit MUST NOT be exceeded; it moves when
// streams close.
func TestStreamLimit(t *testing.T) {
	c, s := streamTestPair(t, Config{MaxUniStreams: 8})
	var all []*Stream
	for range 8 {
		all = append(all, c.open(wire.Uni))
	}
	if _, err := c.ss.open(wire.Uni); !errors.Is(err, ErrBlocked) {
		t.Fatalf("the ninth stream: %v, want ErrBlocked", err)
	}
	for range 2 { // told once
		c.ss.open(wire.Uni)
	}
	if p := c.build(1200); !slices.Equal(p.kinds(), []frameKind{refStreamsBlocked}) {
		t.Fatalf("frames %v, want one STREAMS_BLOCKED", p.kinds())
	} else if c.lost(p); !slices.Equal(c.build(1200).kinds(), []frameKind{refStreamsBlocked}) {
		t.Fatal("STREAMS_BLOCKED was lost and not sent again")
	}
	for _, st := range all {
		if err := st.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	c.flush(s)
	s.wantRead(s.accept(wire.Uni), "", io.EOF)
	p := s.build(1200)
	if !slices.Equal(p.kinds(), []frameKind{refMaxStreams}) {
		t.Fatalf("frames %v after a stream closed, want one MAX_STREAMS", p.kinds())
	}
	s.lost(p)
	s.flush(c)
	c.wantEvents(StreamsAvailable)
	c.open(wire.Uni)
	if _, err := c.ss.open(wire.Uni); !errors.Is(err, ErrBlocked) {
		t.Errorf("the tenth stream: %v, want ErrBlocked", err)
	}
	// RFC 9000, section 4.6: a limit that does not increase MUST be ignored.
	c.ss.handleMaxStreams(wire.MaxStreams{Direction: wire.Uni, Max: 3})
	if got := c.ss.local[wire.Uni].limit; got != 9 {
		t.Errorf("limit %d after a smaller one, want 9", got)
	}
}

func TestMaxStreamsDue(t *testing.T) {
	tests := []struct {
		name  string
		peer  peerStreams
		wants bool
	}{
		{"nothing closed", peerStreams{limit: 100, opened: 100, max: 100}, false},
		{"one of many closed", peerStreams{limit: 100, opened: 80, closed: 12, max: 100}, false},
		{"an eighth closed", peerStreams{limit: 100, opened: 80, closed: 13, max: 100}, true},
		{"one closed, few left", peerStreams{limit: 100, opened: 95, closed: 1, max: 100}, true},
		{"one of few", peerStreams{limit: 1, opened: 1, closed: 1, max: 1}, true},
		{"none allowed", peerStreams{}, false},
		{"at the largest count", peerStreams{limit: wire.MaxStreamCount, opened: 100, closed: 100, max: wire.MaxStreamCount}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.peer.due(); got != tt.wants {
				t.Errorf("due: %v, want %v", got, tt.wants)
			}
		})
	}
}

// TestStreamsOpenedUnused: a peer that opens streams and sends nothing on them has
// used the limit up, though it does not show: when it says so, it gets what is held
// back, and each stream that closes from then on.
func TestStreamsOpenedUnused(t *testing.T) {
	c, s := streamTestPair(t, Config{MaxUniStreams: 32})
	var used []*Stream
	for range 5 {
		used = append(used, c.open(wire.Uni))
	}
	end := func(n int) {
		t.Helper()
		for _, st := range used[:n] {
			if err := st.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		used = used[n:]
		c.flush(s)
		for range n {
			s.wantRead(s.accept(wire.Uni), "", io.EOF)
		}
	}
	end(2)
	if p := s.build(1200); len(p.refs) != 0 {
		t.Fatalf("frames %v for two streams of 32, want none", p.kinds())
	}
	for range 32 - 5 {
		c.open(wire.Uni)
	}
	blocked := func() {
		t.Helper()
		if _, err := c.ss.open(wire.Uni); !errors.Is(err, ErrBlocked) {
			t.Fatalf("open: %v, want ErrBlocked", err)
		}
		c.flush(s)
	}
	blocked()
	s.flush(c)
	for range 2 {
		c.open(wire.Uni)
	}
	blocked()
	if p := s.build(1200); len(p.refs) != 0 {
		t.Fatalf("frames %v without a stream that closed, want none", p.kinds())
	}
	end(1)
	s.flush(c)
	c.open(wire.Uni)
	// What it said of an older limit is settled.
	s.ss.handleStreamsBlocked(wire.StreamsBlocked{Direction: wire.Uni, Limit: 34})
	end(1)
	if p := s.build(1200); len(p.refs) != 0 {
		t.Fatalf("frames %v for a stream of 32, want none", p.kinds())
	}
}

// TestLateFrames: frames for streams that are forgotten change nothing.
func TestLateFrames(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	st := c.open(wire.Uni)
	c.write(st, "all of it")
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	sent := c.flush(s)
	s.wantRead(s.accept(wire.Uni), "all of it", io.EOF)
	s.wantEvents(StreamOpened, StreamReadable)
	if len(s.ss.byID) != 0 {
		t.Fatal("the stream is still kept")
	}
	id := st.ID()
	for _, err := range []error{
		s.receive(2, sent[0]),
		s.ss.handleStream(2, wire.Stream{ID: id, Offset: 1 << 40, Data: []byte("beyond")}, nil),
		s.ss.handleResetStream(wire.ResetStream{ID: id, FinalSize: 1}),
		s.ss.handleStreamDataBlocked(wire.StreamDataBlocked{ID: id}),
		c.ss.handleStopSending(wire.StopSending{ID: id}),
		c.ss.handleMaxStreamData(wire.MaxStreamData{ID: id, Max: 1 << 40}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	c.lost(sent[0])
	c.acked(sent[0])
	if c.ss.hasControl() || c.ss.hasData() || s.ss.hasData() || len(s.events)+len(c.events) != 0 {
		t.Errorf("late frames have something sent, or events %v %v", s.events, c.events)
	}
}

func TestStreamsClose(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	st := c.open(wire.Bidi)
	c.write(st, strings.Repeat("x", 5000))
	c.flush(s)
	far := s.accept(wire.Bidi)
	s.write(far, "unsent")
	over := errors.New("it is over")
	s.ss.close(over)
	s.ss.close(errors.New("again"))
	if n := s.pool.InUse(); n != 0 {
		t.Errorf("%d chunks in use", n)
	}
	if s.ss.hasControl() || s.ss.hasData() || far.Buffered() != 0 || far.SendSpace() != 0 {
		t.Error("something is left")
	}
	_, errWrite := far.Write([]byte("x"))
	_, errRead := far.Read(make([]byte, 1))
	_, errView := far.ReadView()
	_, errOpen := s.ss.open(wire.Uni)
	for what, err := range map[string]error{
		"Write": errWrite, "Read": errRead, "ReadView": errView, "open": errOpen, "CloseWrite": far.CloseWrite(),
	} {
		if !errors.Is(err, over) {
			t.Errorf("%s gave %v, want the connection's end", what, err)
		}
	}
	// None of these may panic or do anything.
	far.Reset(1)
	far.StopSending(1)
	s.ss.handleMaxStreams(wire.MaxStreams{Max: 1000})
	s.ss.handleMaxData(1 << 30)
	s.ss.earlyRejected()
	s.ss.setPeerLimits(&wire.TransportParameters{InitialMaxStreamsBidi: 1000})
	if err := s.ss.handleStream(1, wire.Stream{ID: 400, Data: []byte("x")}, nil); err != nil {
		t.Error(err)
	}
	if s.ss.hasControl() || s.ss.hasData() {
		t.Error("something to send after the end")
	}
	if _, ok := s.ss.accept(wire.Bidi); ok {
		t.Error("a stream to accept after the end")
	}
}
