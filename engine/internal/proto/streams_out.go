package proto

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// hasControl reports whether appendControl has frames to append.
func (ss *streams) hasControl() bool { return ss.wants != 0 || ss.frontControl() != nil }

// hasData reports whether appendData has frames to append, as far as flow control
// allows.
func (ss *streams) hasData() bool {
	return (!ss.holdRepeats && ss.frontRepeats() != nil) || (ss.credit.left() > 0 && ss.frontFresh() != nil)
}

// appendControl appends the control frames that are due. It returns false when one
// did not fit.
func (ss *streams) appendControl(w *builder) bool {
	if ss.wants != 0 && !ss.appendConnControl(w) {
		return false
	}
	for s := ss.frontControl(); s != nil; s = ss.frontControl() {
		if !ss.appendStreamControl(w, s) {
			return false
		}
		ss.forgetIfDone(s)
	}
	return true
}

func (ss *streams) appendConnControl(w *builder) bool {
	if ss.wants&wantConnMaxData != 0 {
		f := wire.MaxData{Max: ss.window.offer()}
		if !appendNoted(w, f, wire.TypeMaxData, frameRef{kind: refMaxData, off: f.Max}) {
			return false
		}
		ss.window.told(f.Max)
		ss.wants &^= wantConnMaxData
	}
	if ss.wants&wantDataBlocked != 0 {
		f := wire.DataBlocked{Limit: ss.credit.limit}
		if !appendNoted(w, f, wire.TypeDataBlocked, frameRef{kind: refDataBlocked, off: f.Limit}) {
			return false
		}
		ss.credit.tell()
		ss.wants &^= wantDataBlocked
	}
	for d := wire.Bidi; d <= wire.Uni; d++ {
		if !ss.appendStreamCounts(w, d) {
			return false
		}
	}
	return true
}

// appendStreamCounts appends MAX_STREAMS and STREAMS_BLOCKED of a direction. The
// references have the low bits of the count, by which lost knows the newest one.
func (ss *streams) appendStreamCounts(w *builder, d wire.Direction) bool {
	if ss.wants&(wantMaxStreams<<d) != 0 {
		f := wire.MaxStreams{Direction: d, Max: ss.peer[d].allows()}
		ref := frameRef{kind: refMaxStreams, off: uint64(d), n: uint32(f.Max)}
		if !appendNoted(w, f, wire.TypeMaxStreamsBidi+wire.FrameType(d), ref) {
			return false
		}
		ss.peer[d].told(f.Max)
		ss.wants &^= wantMaxStreams << d
	}
	if ss.wants&(wantStreamsBlocked<<d) != 0 {
		f := wire.StreamsBlocked{Direction: d, Limit: ss.local[d].limit}
		ref := frameRef{kind: refStreamsBlocked, off: uint64(d), n: uint32(f.Limit)}
		if !appendNoted(w, f, wire.TypeStreamsBlockedBidi+wire.FrameType(d), ref) {
			return false
		}
		ss.local[d].tell()
		ss.wants &^= wantStreamsBlocked << d
	}
	return true
}

func (ss *streams) appendStreamControl(w *builder, s *Stream) bool {
	if s.wants&wantReset != 0 {
		f := wire.ResetStream{ID: s.id, Code: s.send.err.Code, FinalSize: s.send.data.sent}
		if !appendNoted(w, f, wire.TypeResetStream, frameRef{kind: refResetStream, stream: s}) {
			return false
		}
		s.wants &^= wantReset
	}
	if s.wants&wantStop != 0 {
		f := wire.StopSending{ID: s.id, Code: s.recv.err.Code}
		if !appendNoted(w, f, wire.TypeStopSending, frameRef{kind: refStopSending, stream: s}) {
			return false
		}
		s.wants &^= wantStop
	}
	if s.wants&wantMaxData != 0 {
		f := wire.MaxStreamData{ID: s.id, Max: s.recv.window.offer()}
		if !appendNoted(w, f, wire.TypeMaxStreamData, frameRef{kind: refMaxStreamData, off: f.Max, stream: s}) {
			return false
		}
		s.recv.window.told(f.Max)
		s.wants &^= wantMaxData
	}
	if s.wants&wantBlocked != 0 {
		f := wire.StreamDataBlocked{ID: s.id, Limit: s.send.credit.limit}
		if !appendNoted(w, f, wire.TypeStreamDataBlocked, frameRef{kind: refStreamDataBlocked, off: f.Limit, stream: s}) {
			return false
		}
		s.send.credit.tell()
		s.wants &^= wantBlocked
	}
	return true
}

// appendNoted appends f, of type t, and notes r for it. It returns false when f does
// not fit.
func appendNoted[F interface {
	Len() int
	Append([]byte) []byte
}](w *builder, f F, t wire.FrameType, r frameRef) bool {
	if f.Len() > w.room() {
		return false
	}
	w.b = f.Append(w.b)
	w.added(t)
	w.note(r)
	return true
}

// appendData appends STREAM frames until the packet is full or nothing is left:
// lost data first, then new. Streams take turns, a packet each. It returns whether
// it appended any.
func (ss *streams) appendData(w *builder) bool {
	before := w.n
	full := false
	for s := ss.frontRepeats(); s != nil && !full && !ss.holdRepeats; s = ss.frontRepeats() {
		if full = !ss.appendStream(w, s, true); full {
			ss.repeats.push(ss.repeats.pop())
		}
	}
	for s := ss.frontFresh(); s != nil && !full && ss.credit.left() > 0; s = ss.frontFresh() {
		if full = !ss.appendStream(w, s, false); full {
			ss.fresh.push(ss.fresh.pop())
		}
	}
	ss.noteBlocked()
	return w.n > before
}

// appendStream appends one STREAM frame: of what is to be repeated, or of new data.
// It returns false when none fits.
func (ss *streams) appendStream(w *builder, s *Stream, repeat bool) bool {
	data := &s.send.data
	f, avail := s.send.next(repeat, ss.credit.left())
	f.ID = s.id
	n, ok := fitStream(&f, avail, w.room())
	if !ok {
		return false
	}
	f.Fin = s.send.closed && f.Offset+uint64(n) == data.end
	w.b = f.AppendHeader(w.b, n)
	w.b = data.appendTo(w.b, f.Offset, n)
	w.added(wire.TypeStream)
	w.note(frameRef{kind: refStream, fin: f.Fin, n: uint32(n), off: f.Offset, stream: s})
	ss.copies.Packet += uint64(n)
	ss.counts.Sent += uint64(n)
	s.send.sent(f.Offset, n, f.Fin)
	if repeat {
		ss.counts.Resent += uint64(n)
		return true
	}
	ss.credit.used += uint64(n)
	if s.send.limited() {
		ss.want(s, wantBlocked)
	}
	return true
}

// fitStream returns how many of avail bytes of data f can have in room bytes. A
// frame that reaches the packet's end does without its Length.
func fitStream(f *wire.Stream, avail uint64, room int) (int, bool) {
	n := int(min(avail, uint64(max(0, room))))
	rest := room - wire.StreamHeaderLen(f.ID, f.Offset, 0, true)
	if rest <= n {
		f.NoLength = true
		return rest, rest > 0 || (rest == 0 && avail == 0)
	}
	// A Length of the shorter data may be shorter, too, and leave a byte unused.
	n = min(n, room-wire.StreamHeaderLen(f.ID, f.Offset, n, false))
	return n, n > 0 || (n == 0 && avail == 0)
}

// schedule puts the stream into the queues that it belongs in.
func (ss *streams) schedule(s *Stream) {
	if s.forgotten {
		return
	}
	if !s.inRepeats && s.send.repeats() {
		s.inRepeats = true
		ss.repeats.push(s)
	}
	if !s.inFresh && s.send.fresh() > 0 {
		s.inFresh = true
		ss.fresh.push(s)
	}
	if s.send.limited() {
		ss.want(s, wantBlocked)
	}
	ss.noteBlocked()
}

// noteBlocked has the peer told when its limit for the connection keeps data back.
func (ss *streams) noteBlocked() {
	if ss.credit.left() == 0 && ss.frontFresh() != nil && ss.credit.blocked() {
		ss.wants |= wantDataBlocked
	}
}

// want queues control frames of the stream.
func (ss *streams) want(s *Stream, f controlFrames) {
	if s.forgotten {
		return
	}
	s.wants |= f
	if s.wants != 0 && !s.inControl {
		s.inControl = true
		ss.control.push(s)
	}
}

// reset gives up the sending half of s. It reports whether that was of any use.
func (ss *streams) reset(s *Stream, err *StreamError) bool {
	if !s.send.reset(err) {
		return false
	}
	s.wants &^= wantBlocked
	ss.want(s, wantReset)
	return true
}

// frontControl returns the first stream that has control frames to send, nil when
// there is none. It and its two likes drop streams that have nothing any more: each
// was queued once for it, so their cost is spread.
func (ss *streams) frontControl() *Stream {
	for s := ss.control.front(); s != nil; s = ss.control.front() {
		if s.wants != 0 && !ss.held(s) {
			return s
		}
		s.inControl = false
		ss.control.pop()
	}
	return nil
}

func (ss *streams) frontRepeats() *Stream {
	for s := ss.repeats.front(); s != nil; s = ss.repeats.front() {
		if s.send.repeats() && !ss.held(s) {
			return s
		}
		s.inRepeats = false
		ss.repeats.pop()
	}
	return nil
}

func (ss *streams) frontFresh() *Stream {
	for s := ss.fresh.front(); s != nil; s = ss.fresh.front() {
		if s.send.fresh() > 0 && !ss.held(s) {
			return s
		}
		s.inFresh = false
		ss.fresh.pop()
	}
	return nil
}
