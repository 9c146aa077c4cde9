package proto

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// TestSendStates walks the sending half of RFC 9000, section 3.1. Each word of a
// walk is what happens; the state it is to lead to follows.
func TestSendStates(t *testing.T) {
	type step struct {
		do   string
		want sendState
	}
	tests := []struct {
		name string
		walk []step
	}{
		{"all arrives", []step{{"write", sendReady}, {"send", sendSending}, {"close", sendSending}, {"send", sendDataSent}, {"ack", sendDataRecvd}}},
		{"end with the data", []step{{"write", sendReady}, {"close", sendReady}, {"send", sendDataSent}, {"ack", sendDataRecvd}}},
		{"end alone", []step{{"close", sendReady}, {"send", sendDataSent}, {"ack", sendDataRecvd}}},
		{"end lost", []step{{"close", sendReady}, {"send", sendDataSent}, {"lose", sendDataSent}, {"send", sendDataSent}, {"ack", sendDataRecvd}}},
		{"data lost", []step{{"write", sendReady}, {"close", sendReady}, {"send", sendDataSent}, {"lose", sendDataSent}, {"send", sendDataSent}, {"ack", sendDataRecvd}}},
		{"lost after it arrived", []step{{"close", sendReady}, {"send", sendDataSent}, {"ack", sendDataRecvd}, {"lose", sendDataRecvd}}},
		{"reset when ready", []step{{"reset", sendResetSent}, {"send", sendResetSent}, {"ack", sendResetRecvd}}},
		{"reset when sending", []step{{"write", sendReady}, {"send", sendSending}, {"reset", sendResetSent}, {"send", sendResetSent}, {"ack", sendResetRecvd}}},
		{"reset when data is sent", []step{{"close", sendReady}, {"send", sendDataSent}, {"reset", sendResetSent}, {"send", sendResetSent}, {"ack", sendResetRecvd}}},
		{"data arrives after the reset", []step{{"close", sendReady}, {"send", sendDataSent}, {"reset", sendResetSent}, {"ack", sendResetSent}}},
		{"reset lost", []step{{"reset", sendResetSent}, {"send", sendResetSent}, {"lose", sendResetSent}, {"send", sendResetSent}, {"ack", sendResetRecvd}}},
		{"reset after all arrived", []step{{"close", sendReady}, {"send", sendDataSent}, {"ack", sendDataRecvd}, {"reset", sendDataRecvd}}},
		{"stopped", []step{{"write", sendReady}, {"send", sendSending}, {"stop", sendResetSent}, {"send", sendResetSent}, {"ack", sendResetRecvd}}},
		{"stopped after all arrived", []step{{"close", sendReady}, {"send", sendDataSent}, {"ack", sendDataRecvd}, {"stop", sendDataRecvd}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := streamTestPair(t, Config{})
			st := c.open(wire.Uni)
			var flight []streamTestPacket
			for i, s := range tt.walk {
				switch s.do {
				case "write":
					c.write(st, "data")
				case "close":
					if err := st.CloseWrite(); err != nil {
						t.Fatal(err)
					}
				case "send":
					p := c.build(1200)
					if len(p.refs) != 1 {
						t.Fatalf("step %d: %d frames sent, want 1", i, len(p.refs))
					}
					flight = append(flight, p)
				case "ack":
					for _, p := range flight {
						c.acked(p)
					}
				case "lose":
					last := len(flight) - 1
					c.lost(flight[last])
					flight = flight[:last]
				case "reset":
					st.Reset(7)
				case "stop":
					if err := c.ss.handleStopSending(wire.StopSending{ID: st.ID(), Code: 8}); err != nil {
						t.Fatal(err)
					}
				}
				if st.send.state != s.want {
					t.Fatalf("step %d, %s: state %d, want %d", i, s.do, st.send.state, s.want)
				}
			}
			if over := st.send.over(); over != st.Done() || over == (c.ss.byID[st.ID()] != nil) {
				t.Errorf("over: %v, done: %v, kept: %v", over, st.Done(), c.ss.byID[st.ID()] != nil)
			}
			// RFC 9000, section 3.3: nothing MUST be sent from a terminal state.
			if p := c.build(1200); st.Done() && len(p.refs) != 0 {
				t.Errorf("frames %v sent by a stream that is over", p.kinds())
			}
		})
	}
}

// TestRecvStates walks the receiving half of RFC 9000, section 3.2.
func TestRecvStates(t *testing.T) {
	const id = wire.StreamID(2)
	type step struct {
		do   string
		want recvState
	}
	tests := []struct {
		name string
		walk []step
		done bool
	}{
		{"in order", []step{{"data", recvRecv}, {"end", recvDataRecvd}, {"read", recvDataRecvd}, {"read", recvDataRead}}, true},
		{"end first", []step{{"end", recvSizeKnown}, {"data", recvDataRecvd}, {"read", recvDataRecvd}, {"read", recvDataRead}}, true},
		{"end when all is read", []step{{"data", recvRecv}, {"read", recvRecv}, {"end", recvDataRecvd}, {"read", recvDataRead}}, true},
		{"reset", []step{{"reset", recvResetRecvd}, {"read", recvResetRead}}, true},
		{"reset after data", []step{{"data", recvRecv}, {"reset", recvResetRecvd}, {"read", recvResetRead}}, true},
		{"reset when the size is known", []step{{"end", recvSizeKnown}, {"reset", recvResetRecvd}, {"data", recvResetRecvd}, {"read", recvResetRead}}, true},
		{"reset when all is here", []step{{"data", recvRecv}, {"end", recvDataRecvd}, {"reset", recvDataRecvd}, {"read", recvDataRecvd}, {"read", recvDataRead}}, true},
		{"stopped", []step{{"data", recvRecv}, {"stop", recvRecv}, {"send", recvRecv}, {"end", recvSizeKnown}}, true},
		{"stopped, not told yet", []step{{"data", recvRecv}, {"stop", recvRecv}, {"end", recvSizeKnown}}, false},
		{"stopped, told after the end", []step{{"stop", recvRecv}, {"end", recvSizeKnown}, {"send", recvSizeKnown}}, true},
		{"stopped, then reset", []step{{"stop", recvRecv}, {"reset", recvResetRecvd}}, true},
		{"stopped when all is here", []step{{"data", recvRecv}, {"end", recvDataRecvd}, {"stop", recvDataRecvd}}, true},
		{"stopped after a reset", []step{{"reset", recvResetRecvd}, {"stop", recvResetRecvd}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, s := streamTestPair(t, Config{})
			if err := s.ss.handleStreamDataBlocked(wire.StreamDataBlocked{ID: id}); err != nil {
				t.Fatal(err)
			}
			st := s.accept(wire.Uni)
			p := make([]byte, 100)
			for i, step := range tt.walk {
				var err error
				switch step.do {
				case "data":
					err = s.ss.handleStream(1, wire.Stream{ID: id, Data: []byte("data")}, nil)
				case "end":
					err = s.ss.handleStream(1, wire.Stream{ID: id, Offset: 4, Fin: true}, nil)
				case "reset":
					err = s.ss.handleResetStream(wire.ResetStream{ID: id, FinalSize: 4, Code: 7})
				case "stop":
					st.StopSending(8)
				case "send":
					s.build(1200)
				case "read":
					st.Read(p)
				}
				if err != nil {
					t.Fatal(err)
				}
				if st.recv.state != step.want {
					t.Fatalf("step %d, %s: state %d, want %d", i, step.do, st.recv.state, step.want)
				}
			}
			if st.Done() != tt.done || (s.ss.byID[id] == nil) != tt.done {
				t.Errorf("done: %v, kept: %v; want %v", st.Done(), s.ss.byID[id] != nil, tt.done)
			}
			// However it ended, the connection has all four bytes back.
			if got := s.ss.window.consumed; tt.done && got != 4 {
				t.Errorf("%d bytes count as read, want 4", got)
			}
		})
	}
}

func TestReset(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	st := c.open(wire.Bidi)
	c.write(st, "one")
	c.flush(s)
	far := s.accept(wire.Bidi)
	c.write(st, "never sent")
	st.Reset(42)
	st.Reset(43) // too late
	if _, err := st.Write([]byte("x")); !cmp.Equal(err, &StreamError{ID: st.ID(), Code: 42}) {
		t.Errorf("Write after Reset: %v", err)
	}
	p := c.flush(s)
	if len(p) != 1 || !slices.Equal(p[0].kinds(), []frameKind{refResetStream}) {
		t.Fatalf("packets %v, want one with RESET_STREAM", p)
	}
	want := &StreamError{ID: st.ID(), Code: 42, Remote: true}
	for range 2 {
		if _, err := far.Read(make([]byte, 10)); !cmp.Equal(err, want) {
			t.Errorf("Read: %v, want %v", err, want)
		}
	}
	// The other direction goes on.
	s.write(far, "still here")
	s.flush(c)
	c.wantRead(st, "still here", ErrBlocked)
	if s.ss.window.received != 3 || s.ss.window.consumed != 3 {
		t.Errorf("received %d and read %d, want the final size 3", s.ss.window.received, s.ss.window.consumed)
	}
}

// RFC 9000, section 4.5: the final size MUST count for flow control, whatever arrived of
// it, and the peer gets the credit back.
func TestResetCountsWhatNeverArrived(t *testing.T) {
	_, s := streamTestPair(t, Config{})
	const id = wire.StreamID(2)
	if err := s.ss.handleStream(1, wire.Stream{ID: id, Offset: 10, Data: []byte("some")}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.ss.handleResetStream(wire.ResetStream{ID: id, FinalSize: 800}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.accept(wire.Uni).Read(make([]byte, 10)); err == nil {
		t.Error("Read of a stream that was reset gives no error")
	}
	if w := s.ss.window; w.received != 800 || w.consumed != 800 {
		t.Errorf("received %d and read %d, want 800", w.received, w.consumed)
	}
}

// TestStopSending: RFC 9000, section 3.5: the peer MUST reset, with our code; data
// still counts.
func TestStopSending(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	st := c.open(wire.Bidi)
	c.write(st, "one")
	c.flush(s)
	far := s.accept(wire.Bidi)
	far.StopSending(42)
	if _, err := far.Read(make([]byte, 10)); !cmp.Equal(err, &StreamError{ID: st.ID(), Code: 42, Stopped: true}) {
		t.Errorf("Read after StopSending: %v", err)
	}
	c.write(st, "two")
	c.flush(s)
	if far.Buffered() != 0 || s.ss.window.consumed != 6 {
		t.Errorf("%d bytes kept, %d count as read; want 0 and 6", far.Buffered(), s.ss.window.consumed)
	}
	p := s.build(1200)
	if !slices.Equal(p.kinds(), []frameKind{refStopSending}) {
		t.Fatalf("frames %v, want STOP_SENDING", p.kinds())
	}
	s.lost(p)
	s.events, c.events = nil, nil
	s.flush(c)
	c.wantEvents(StreamWritable)
	want := &StreamError{ID: st.ID(), Code: 42, Remote: true, Stopped: true}
	if _, err := st.Write([]byte("x")); !cmp.Equal(err, want) {
		t.Errorf("Write: %v, want %v", err, want)
	}
	if err := st.CloseWrite(); !cmp.Equal(err, error(want)) {
		t.Errorf("CloseWrite: %v, want %v", err, want)
	}
	c.flush(s)
	s.wantEvents() // the application wanted to hear no more
	if _, err := far.Read(make([]byte, 10)); !cmp.Equal(err, &StreamError{ID: st.ID(), Code: 42, Stopped: true}) {
		t.Errorf("Read after the peer's reset: %v", err)
	}
	s.lost(p)
	if s.ss.hasControl() {
		t.Error("STOP_SENDING again after the reset")
	}
}

func TestStreamErrorTells(t *testing.T) {
	for _, tt := range []struct {
		err  StreamError
		want string
	}{
		{StreamError{ID: 4, Code: 7}, "this side reset stream 4 with code 7"},
		{StreamError{ID: 4, Code: 7, Remote: true}, "the peer reset stream 4 with code 7"},
		{StreamError{ID: 4, Code: 7, Stopped: true}, "this side stopped stream 4 with code 7"},
		{StreamError{ID: 4, Code: 7, Remote: true, Stopped: true}, "the peer stopped stream 4 with code 7"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestWrongDirection(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	st := c.open(wire.Uni)
	c.write(st, "x")
	c.flush(s)
	far := s.accept(wire.Uni)
	if _, err := st.Read(make([]byte, 1)); !errors.Is(err, ErrNoHalf) {
		t.Errorf("Read of our own unidirectional stream: %v", err)
	}
	if _, err := far.Write([]byte("x")); !errors.Is(err, ErrNoHalf) {
		t.Errorf("Write to the peer's: %v", err)
	}
	if err := far.CloseWrite(); !errors.Is(err, ErrNoHalf) {
		t.Errorf("CloseWrite of the peer's: %v", err)
	}
	far.Reset(1)
	st.StopSending(1)
	if c.ss.hasControl() || s.ss.hasControl() {
		t.Error("frames for halves that are not there")
	}
}

func TestWriteAfterCloseWrite(t *testing.T) {
	c, _ := streamTestPair(t, Config{})
	st := c.open(wire.Uni)
	for range 2 {
		if err := st.CloseWrite(); err != nil {
			t.Error(err)
		}
	}
	if _, err := st.Write([]byte("x")); !errors.Is(err, ErrWriteClosed) {
		t.Errorf("Write: %v, want ErrWriteClosed", err)
	}
}

func TestWriteFillsTheBuffer(t *testing.T) {
	c, s := streamTestPair(t, Config{SendBuffer: 4000})
	st := c.open(wire.Uni)
	if n, err := st.Write(make([]byte, 5000)); n != 4000 || err != nil || st.SendSpace() != 0 {
		t.Fatalf("Write took %d, %v, and has room for %d; want 4000, nil, 0", n, err, st.SendSpace())
	}
	if n, err := st.Write(nil); n != 0 || err != nil {
		t.Fatalf("Write of nothing: %d, %v", n, err)
	}
	packet := c.build(1200)
	c.acked(packet)
	c.wantEvents() // nobody met the full buffer
	if _, err := st.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Write(make([]byte, 1)); !errors.Is(err, ErrBlocked) {
		t.Fatalf("Write to a full buffer: %v, want ErrBlocked", err)
	}
	c.acked(c.build(700))
	c.wantEvents() // below a quarter
	c.acked(c.build(700))
	c.wantEvents(StreamWritable)
	c.flush(s)
	c.wantEvents() // once
}

// TestReadableOnce: one event for each time that there is something to read again.
func TestReadableOnce(t *testing.T) {
	_, s := streamTestPair(t, Config{})
	frame := func(off uint64, data string, fin bool) {
		if err := s.ss.handleStream(1, wire.Stream{ID: 2, Offset: off, Data: []byte(data), Fin: fin}, nil); err != nil {
			t.Fatal(err)
		}
	}
	frame(1, "b", false)
	s.wantEvents(StreamOpened) // behind a gap
	frame(0, "a", false)
	s.wantEvents(StreamReadable)
	frame(2, "c", false)
	s.wantEvents()
	st := s.accept(wire.Uni)
	s.wantRead(st, "abc", ErrBlocked)
	frame(3, "d", false)
	s.wantEvents(StreamReadable)
	frame(4, "", true)
	s.wantEvents()
	s.wantRead(st, "d", io.EOF)
}

func TestStreamErrorsKeepCodesOnTheWire(t *testing.T) {
	c, s := streamTestPair(t, Config{})
	st := c.open(wire.Bidi)
	st.Reset(1 << 63)
	st.StopSending(1 << 63)
	c.flush(s)
	_, err := s.accept(wire.Bidi).Read(make([]byte, 1))
	if e, ok := errors.AsType[*StreamError](err); !ok || e.Code != wire.MaxVarint {
		t.Errorf("got %v, want the largest code", err)
	}
}

func TestBigWriteCrossesChunks(t *testing.T) {
	c, s := streamTestPair(t, Config{StreamWindow: 1 << 20})
	st := c.open(wire.Uni)
	want := strings.Repeat("0123456789abcdef!", 12<<10)
	c.write(st, want)
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.flush(s)
	s.wantRead(s.accept(wire.Uni), want, io.EOF)
	if n := c.pool.InUse(); n != 0 {
		t.Errorf("%d chunks in use after all arrived", n)
	}
}
