package proto

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// acked takes back the reference of a frame that arrived.
func (ss *streams) acked(r frameRef) {
	s := r.stream
	if s == nil || s.forgotten || ss.err != nil {
		return
	}
	switch r.kind {
	case refStream:
		s.send.acked(r)
		// Not for each packet's worth: the application would write in small pieces.
		if s.send.starved && uint64(s.SendSpace()) >= max(1, ss.sendBuffer/4) {
			s.send.starved = false
			ss.emit(Event{Kind: StreamWritable, Stream: s})
		}
	case refResetStream:
		s.send.resetAcked()
	}
	ss.forgetIfDone(s)
}

// lost takes back the reference of a frame that was lost, and has what is still
// true and still of use sent again (RFC 9000, section 13.3).
func (ss *streams) lost(r frameRef) {
	switch {
	case ss.err != nil:
	case r.stream == nil:
		ss.lostOfConn(r)
	case !r.stream.forgotten:
		ss.lostOfStream(r.stream, r)
	}
}

func (ss *streams) lostOfConn(r frameRef) {
	switch r.kind {
	case refMaxData:
		if r.off == ss.window.limit {
			ss.wants |= wantConnMaxData
		}
	case refMaxStreams:
		if r.n == uint32(ss.peer[r.off].limit) {
			ss.wants |= wantMaxStreams << r.off
		}
	case refDataBlocked:
		ss.credit.untold(r.off)
		ss.noteBlocked()
	case refStreamsBlocked:
		if c := &ss.local[r.off]; r.n == uint32(c.limit) && c.left() == 0 {
			ss.wants |= wantStreamsBlocked << wire.Direction(r.off)
		}
	}
}

func (ss *streams) lostOfStream(s *Stream, r frameRef) {
	switch r.kind {
	case refStream:
		s.send.lost(r)
		ss.schedule(s)
	case refResetStream:
		if s.send.state == sendResetSent {
			ss.want(s, wantReset)
		}
	case refStopSending:
		if s.recv.state == recvRecv || s.recv.state == recvSizeKnown {
			ss.want(s, wantStop)
		}
	case refMaxStreamData:
		if h := &s.recv; h.state == recvRecv && !h.stop && r.off == h.window.limit {
			ss.want(s, wantMaxData)
		}
	case refStreamDataBlocked:
		s.send.credit.untold(r.off)
		ss.schedule(s)
	}
}
