package proto

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// streamTestSide is the streams of one side, and what it takes to exchange packets.
type streamTestSide struct {
	t      testing.TB
	ss     streams
	pool   *buf.Pool
	events []Event
	log    refLog
	packet []byte // memory to build in
}

func newStreamTestSide(t testing.TB, side wire.Perspective, c Config) *streamTestSide {
	s := &streamTestSide{t: t, pool: buf.NewPool(64<<10, 64), packet: make([]byte, 0, 1<<16)}
	s.ss.init(streamsConfig{side: side, pool: s.pool, config: &c, emit: func(e Event) { s.events = append(s.events, e) }})
	return s
}

// streamTestPair returns a client and a server that know each other's limits.
func streamTestPair(t testing.TB, c Config) (client, server *streamTestSide) {
	client, server = newStreamTestSide(t, wire.Client, c), newStreamTestSide(t, wire.Server, c)
	client.meet(server)
	server.meet(client)
	return client, server
}

func (s *streamTestSide) meet(peer *streamTestSide) {
	var p wire.TransportParameters
	peer.ss.localLimits(&p)
	s.ss.setPeerLimits(&p)
	s.events = nil
}

// streamTestPacket is frames and their references.
type streamTestPacket struct {
	frames []byte
	refs   []frameRef
}

// build returns a packet of size bytes at most.
func (s *streamTestSide) build(size int) streamTestPacket {
	w := builder{b: s.packet[:0], end: size, log: &s.log}
	first := s.log.next
	s.ss.appendControl(&w)
	s.ss.appendData(&w)
	p := streamTestPacket{frames: slices.Clone(w.b)}
	for i := first; i < s.log.next; i++ {
		p.refs = append(p.refs, *s.log.at(i))
	}
	s.log.forget(s.log.next)
	if len(w.b) > size {
		s.t.Fatalf("a packet of %d bytes, want at most %d", len(w.b), size)
	}
	if w.ackEliciting != (len(w.b) > 0) {
		s.t.Fatalf("a packet of %d bytes is ack-eliciting: %v", len(w.b), w.ackEliciting)
	}
	return p
}

// receive takes a packet's frames.
func (s *streamTestSide) receive(now clock.Time, p streamTestPacket) error {
	b := buf.New(len(p.frames))
	defer b.Release()
	copy(b.Data, p.frames)
	for rest := b.Data; len(rest) > 0; {
		t, n, err := wire.ParseFrameType(rest)
		if err != nil {
			return err
		}
		n2, err := s.receiveFrame(now, t, rest[n:], b)
		if err != nil {
			return err
		}
		rest = rest[n+n2:]
	}
	return nil
}

func (s *streamTestSide) receiveFrame(now clock.Time, t wire.FrameType, b []byte, buffer *buf.Buffer) (n int, err error) {
	switch {
	case t.IsStream():
		var f wire.Stream
		if f, n, err = wire.ParseStream(t, b); err == nil {
			err = s.ss.handleStream(now, f, buffer)
		}
	case t == wire.TypeResetStream:
		var f wire.ResetStream
		if f, n, err = wire.ParseResetStream(t, b); err == nil {
			err = s.ss.handleResetStream(f)
		}
	case t == wire.TypeStopSending:
		var f wire.StopSending
		if f, n, err = wire.ParseStopSending(t, b); err == nil {
			err = s.ss.handleStopSending(f)
		}
	case t == wire.TypeMaxData:
		var f wire.MaxData
		if f, n, err = wire.ParseMaxData(t, b); err == nil {
			s.ss.handleMaxData(f.Max)
		}
	case t == wire.TypeMaxStreamData:
		var f wire.MaxStreamData
		if f, n, err = wire.ParseMaxStreamData(t, b); err == nil {
			err = s.ss.handleMaxStreamData(f)
		}
	case t == wire.TypeMaxStreamsBidi || t == wire.TypeMaxStreamsUni:
		var f wire.MaxStreams
		if f, n, err = wire.ParseMaxStreams(t, b); err == nil {
			s.ss.handleMaxStreams(f)
		}
	case t == wire.TypeDataBlocked:
		_, n, err = wire.ParseDataBlocked(t, b)
	case t == wire.TypeStreamDataBlocked:
		var f wire.StreamDataBlocked
		if f, n, err = wire.ParseStreamDataBlocked(t, b); err == nil {
			err = s.ss.handleStreamDataBlocked(f)
		}
	case t == wire.TypeStreamsBlockedBidi || t == wire.TypeStreamsBlockedUni:
		var f wire.StreamsBlocked
		if f, n, err = wire.ParseStreamsBlocked(t, b); err == nil {
			s.ss.handleStreamsBlocked(f)
		}
	default:
		s.t.Fatalf("a frame %v in a packet of streams", t)
	}
	return n, err
}

func (s *streamTestSide) acked(p streamTestPacket) {
	for _, r := range p.refs {
		s.ss.acked(r)
	}
}

func (s *streamTestSide) lost(p streamTestPacket) {
	for _, r := range p.refs {
		s.ss.lost(r)
	}
}

// flush sends all that is there to peer, without loss. It returns the packets.
func (s *streamTestSide) flush(peer *streamTestSide) []streamTestPacket {
	s.t.Helper()
	var out []streamTestPacket
	for s.ss.hasControl() || s.ss.hasData() {
		p := s.build(1200)
		if len(p.refs) == 0 {
			s.t.Fatal("something to send, and an empty packet")
		}
		if err := peer.receive(1, p); err != nil {
			s.t.Fatalf("the peer says %v", err)
		}
		s.acked(p)
		out = append(out, p)
	}
	return out
}

// frames returns the types of a packet's frames, as they were noted.
func (p streamTestPacket) kinds() (out []frameKind) {
	for _, r := range p.refs {
		out = append(out, r.kind)
	}
	return out
}

// open opens a stream, which must work.
func (s *streamTestSide) open(d wire.Direction) *Stream {
	s.t.Helper()
	st, err := s.ss.open(d)
	if err != nil {
		s.t.Fatalf("open: %v", err)
	}
	return st
}

// accept accepts a stream, which must be there.
func (s *streamTestSide) accept(d wire.Direction) *Stream {
	s.t.Helper()
	st, ok := s.ss.accept(d)
	if !ok {
		s.t.Fatal("no stream to accept")
	}
	return st
}

func (s *streamTestSide) write(st *Stream, data string) {
	s.t.Helper()
	if n, err := st.Write([]byte(data)); n != len(data) || err != nil {
		s.t.Fatalf("Write of %d bytes: %d, %v", len(data), n, err)
	}
}

// wantRead reads until there is no more and compares.
func (s *streamTestSide) wantRead(st *Stream, want string, wantErr error) {
	s.t.Helper()
	p := make([]byte, 1<<16)
	got := ""
	for {
		n, err := st.Read(p)
		got += string(p[:n])
		if err != nil {
			if got != want || !errors.Is(err, wantErr) {
				s.t.Fatalf("read %d bytes %.40q and %v, want %d bytes %.40q and %v", len(got), got, err, len(want), want, wantErr)
			}
			return
		}
	}
}

// wantEvents compares the kinds of events since the last call.
func (s *streamTestSide) wantEvents(want ...EventKind) {
	s.t.Helper()
	var got []EventKind
	for _, e := range s.events {
		got = append(got, e.Kind)
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("events %v, want %v", got, want)
	}
	s.events = nil
}

func streamTestCode(err error) wire.ErrorCode {
	if e, ok := errors.AsType[*wire.TransportError](err); ok {
		return e.Code
	}
	return wire.NoError
}

func streamTestEOF(err error) bool { return errors.Is(err, io.EOF) }
