package proto

import (
	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// handleStream takes a STREAM frame, whose data lies in b: keep. With a nil b it is
// copied.
func (ss *streams) handleStream(now clock.Time, f wire.Stream, b *buf.Buffer) error {
	ss.now = now
	s, err := ss.receiver(f.ID, wire.TypeStream)
	if s == nil {
		return err
	}
	ss.counts.Received += uint64(len(f.Data))
	h := &s.recv
	was, end := h.readable(), f.Offset+uint64(len(f.Data))
	if err := ss.arrive(s, end, f.Fin, wire.TypeStream); err != nil {
		return err
	}
	switch {
	case h.stop:
		// RFC 9000, section 3.5: data still counts after STOP_SENDING.
		ss.drop(s)
	case h.state == recvRecv || h.state == recvSizeKnown:
		h.data.insert(f.Offset, f.Data, b)
		h.complete()
		if !was && h.readable() {
			ss.emit(Event{Kind: StreamReadable, Stream: s})
		}
	}
	return nil
}

// handleResetStream takes a RESET_STREAM frame.
func (ss *streams) handleResetStream(f wire.ResetStream) error {
	s, err := ss.receiver(f.ID, wire.TypeResetStream)
	if s == nil {
		return err
	}
	if err := ss.arrive(s, f.FinalSize, true, wire.TypeResetStream); err != nil {
		return err
	}
	was := s.recv.readable()
	if !s.recv.reset(&StreamError{ID: s.id, Code: f.Code, Remote: true}) {
		return nil
	}
	s.wants &^= wantMaxData | wantStop
	ss.drop(s)
	if !was && s.recv.readable() {
		ss.emit(Event{Kind: StreamReadable, Stream: s})
	}
	return nil
}

// arrive checks that the peer may send on s up to end, and counts it.
func (ss *streams) arrive(s *Stream, end uint64, fin bool, t wire.FrameType) error {
	more, err := s.recv.arrive(end, fin)
	// RFC 9000, section 4.1: beyond the connection's limit MUST be a FLOW_CONTROL_ERROR.
	if err == nil && !ss.window.room(more) {
		err = wire.Errorf(wire.FlowControlError, "data up to %d, limit %d", ss.window.received+more, ss.window.limit)
	}
	if err != nil {
		err.Frame = t
		return err
	}
	s.recv.window.received += more
	ss.window.received += more
	if fin {
		s.recv.ended(end)
		s.wants &^= wantMaxData // RFC 9000, section 3.3: in "Recv" only
	}
	return nil
}

// drop counts all that arrived on s as read. RFC 9000, section 4.5: the final size
// MUST count, whatever arrived of it.
func (ss *streams) drop(s *Stream) {
	w := &s.recv.window
	n := w.received - w.consumed
	w.consumed = w.received
	ss.consumedAny(n)
	ss.forgetIfDone(s)
}

// consumed notes that the application read n bytes of s.
func (ss *streams) consumed(s *Stream, n uint64) {
	if n == 0 {
		return
	}
	w := &s.recv.window
	w.consume(ss.now, n, ss.rtt)
	if s.recv.state == recvRecv && w.due() {
		ss.want(s, wantMaxData)
	}
	// One stream alone shall not be held up by the connection's window.
	ss.window.grow(w.size + w.size/2)
	ss.consumedAny(n)
}

func (ss *streams) consumedAny(n uint64) {
	ss.window.consume(ss.now, n, ss.rtt)
	if ss.window.due() {
		ss.wants |= wantConnMaxData
	}
}

// stop ends the receiving half of s for the application.
func (ss *streams) stop(s *Stream, code uint64) {
	h := &s.recv
	if h.stop || h.over() {
		return
	}
	h.stop = true
	if h.err == nil {
		h.err = &StreamError{ID: s.id, Code: code, Stopped: true}
	}
	h.data.discard()
	s.wants &^= wantMaxData
	// RFC 9000, section 3.5: STOP_SENDING is of use as long as something is to come.
	if h.state == recvRecv || h.state == recvSizeKnown {
		ss.want(s, wantStop)
	}
	ss.drop(s)
}

// handleStopSending takes a STOP_SENDING frame.
func (ss *streams) handleStopSending(f wire.StopSending) error {
	s, err := ss.sender(f.ID, wire.TypeStopSending)
	if s == nil {
		return err
	}
	// RFC 9000, section 3.5: in "Ready" and "Send" RESET_STREAM MUST be sent, in "Data
	// Sent" it may; with the peer's code.
	if ss.reset(s, &StreamError{ID: s.id, Code: f.Code, Remote: true, Stopped: true}) {
		ss.emit(Event{Kind: StreamWritable, Stream: s})
	}
	return nil
}

// handleMaxStreamData takes a MAX_STREAM_DATA frame.
func (ss *streams) handleMaxStreamData(f wire.MaxStreamData) error {
	s, err := ss.sender(f.ID, wire.TypeMaxStreamData)
	if s == nil {
		return err
	}
	if s.send.credit.raise(f.Max) {
		s.wants &^= wantBlocked
		ss.schedule(s)
	}
	return nil
}

// handleMaxData takes a MAX_DATA frame's limit.
func (ss *streams) handleMaxData(limit uint64) {
	if ss.credit.raise(limit) {
		ss.wants &^= wantDataBlocked
	}
}

// handleMaxStreams takes a MAX_STREAMS frame.
func (ss *streams) handleMaxStreams(f wire.MaxStreams) {
	if ss.err == nil {
		ss.allowStreams(f.Direction, f.Max)
	}
}

// handleStreamsBlocked takes a STREAMS_BLOCKED frame. A peer that opens streams
// without using them has fewer left than it seems, and waits for what due holds back.
func (ss *streams) handleStreamsBlocked(f wire.StreamsBlocked) {
	p := &ss.peer[f.Direction]
	p.blocked = p.blocked || f.Limit == p.limit // of another it was told a newer one since
	if p.due() {
		ss.wants |= wantMaxStreams << f.Direction
	}
}

// handleStreamDataBlocked takes a STREAM_DATA_BLOCKED frame. Limits are raised as
// data is read, so there is nothing to do but what any frame does: open the stream.
func (ss *streams) handleStreamDataBlocked(f wire.StreamDataBlocked) error {
	_, err := ss.receiver(f.ID, wire.TypeStreamDataBlocked)
	return err
}

// receiver returns the stream of a frame that the sender of data sends, and opens
// it if need be. Without an error it is nil when the stream is closed.
func (ss *streams) receiver(id wire.StreamID, t wire.FrameType) (*Stream, error) {
	// RFC 9000, sections 19.4, 19.8 and 19.13: the frame on a send-only stream MUST be a
	// STREAM_STATE_ERROR.
	if id.Initiator() == ss.side && id.Direction() == wire.Uni {
		return nil, streamError(wire.StreamStateError, t, "stream %d goes from us only", id)
	}
	return ss.find(id, t)
}

// sender returns the stream of a frame that the receiver of data sends, as receiver
// does.
func (ss *streams) sender(id wire.StreamID, t wire.FrameType) (*Stream, error) {
	// RFC 9000, sections 19.5 and 19.10: the frame on a receive-only stream MUST be a
	// STREAM_STATE_ERROR.
	if id.Initiator() != ss.side && id.Direction() == wire.Uni {
		return nil, streamError(wire.StreamStateError, t, "stream %d goes to us only", id)
	}
	return ss.find(id, t)
}

func (ss *streams) find(id wire.StreamID, t wire.FrameType) (*Stream, error) {
	if ss.err != nil {
		return nil, nil
	}
	if ss.last != nil && ss.last.id == id {
		return ss.last, nil
	}
	d, n := id.Direction(), id.Number()
	if id.Initiator() == ss.side {
		// RFC 9000, sections 19.5, 19.8 and 19.10: a stream that is ours to open and not
		// open MUST be a STREAM_STATE_ERROR.
		if n >= ss.local[d].used {
			return nil, streamError(wire.StreamStateError, t, "stream %d is not open", id)
		}
	} else if err := ss.openUpTo(d, n, t); err != nil {
		return nil, err
	}
	s := ss.byID[id]
	if s != nil {
		ss.last = s
	}
	return s, nil
}

// openUpTo opens the peer's n-th stream. RFC 9000, section 3.2: those below MUST be
// opened, too.
func (ss *streams) openUpTo(d wire.Direction, n uint64, t wire.FrameType) error {
	p := &ss.peer[d]
	// RFC 9000, section 4.6: above our limit MUST be a STREAM_LIMIT_ERROR.
	if n >= p.limit {
		return streamError(wire.StreamLimitError, t, "%s stream number %d, limit %d", d, n, p.limit)
	}
	if n < p.opened {
		return nil
	}
	for ; p.opened <= n; p.opened++ {
		ss.incoming[d].push(ss.create(wire.NewStreamID(ss.side.Peer(), d, p.opened)))
		ss.counts.Accepted++
	}
	if p.due() {
		ss.wants |= wantMaxStreams << d
	}
	ss.emit(Event{Kind: StreamOpened, Direction: d})
	return nil
}

func streamError(code wire.ErrorCode, t wire.FrameType, format string, args ...any) error {
	err := wire.Errorf(code, format, args...)
	err.Frame = t
	return err
}
