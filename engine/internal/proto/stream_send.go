package proto

import "github.com/tquiclab/tquiclab/engine/internal/wire"

// sendState is the state of a stream's sending half (RFC 9000, section 3.1).
type sendState uint8

const (
	sendNone sendState = iota // the peer's unidirectional stream
	sendReady
	sendSending // "Send"
	sendDataSent
	sendDataRecvd
	sendResetSent
	sendResetRecvd
)

// sendHalf is the sending half of a stream.
type sendHalf struct {
	state  sendState
	data   sendBuffer
	credit credit       // used is not kept: it is data.sent
	err    *StreamError // why it was reset

	closed   bool // the application wrote all
	finSent  bool // and a packet that says so is on its way, or arrived
	finAcked bool
	starved  bool // the application met a full buffer
}

// open reports whether the application may write.
func (h *sendHalf) open() bool {
	return (h.state == sendReady || h.state == sendSending) && !h.closed
}

// alive reports whether STREAM frames may be sent. RFC 9000, section 3.3: they
// MUST NOT be in "Reset Sent" or a terminal state.
func (h *sendHalf) alive() bool {
	return h.state == sendReady || h.state == sendSending || h.state == sendDataSent
}

func (h *sendHalf) over() bool {
	return h.state == sendNone || h.state == sendDataRecvd || h.state == sendResetRecvd
}

// repeats reports whether there is a frame to send that needs no credit: lost data,
// or the end alone.
func (h *sendHalf) repeats() bool {
	return h.alive() && (h.data.lost.len() > 0 || h.endAlone())
}

func (h *sendHalf) endAlone() bool {
	return h.closed && !h.finSent && h.data.sent == h.data.end
}

// fresh returns how many bytes can be sent for the first time, as far as the
// stream's own limit allows.
func (h *sendHalf) fresh() uint64 {
	if !h.alive() {
		return 0
	}
	return h.data.unsent(h.credit.limit)
}

// limited reports whether the stream's limit keeps data back and the peer is to be
// told so.
func (h *sendHalf) limited() bool {
	h.credit.used = h.data.sent
	return h.alive() && h.data.end > h.data.sent && h.credit.blocked()
}

// sent notes a STREAM frame as on its way.
func (h *sendHalf) sent(off uint64, n int, fin bool) {
	h.data.markSent(off, n)
	h.finSent = h.finSent || fin
	if h.state == sendReady {
		h.state = sendSending
	}
	if h.finSent {
		h.state = sendDataSent
	}
}

// acked takes a STREAM frame's acknowledgement.
func (h *sendHalf) acked(r frameRef) {
	if !h.alive() {
		return
	}
	h.data.ack(r.off, r.n)
	h.finAcked = h.finAcked || r.fin
	// RFC 9000, section 3.1: "Data Recvd" once all of it is acknowledged.
	if h.finAcked && h.data.buffered() == 0 {
		h.state = sendDataRecvd
		h.data.discard()
	}
}

// lost takes a STREAM frame's loss.
func (h *sendHalf) lost(r frameRef) {
	if !h.alive() {
		return
	}
	h.data.lose(r.off, r.n)
	if r.fin && !h.finAcked {
		h.finSent = false
	}
}

// reset gives the half up. It reports whether a RESET_STREAM is due.
func (h *sendHalf) reset(err *StreamError) bool {
	if !h.alive() {
		return false
	}
	h.state, h.err = sendResetSent, err
	h.data.discard()
	return true
}

// resetAcked takes the acknowledgement of a RESET_STREAM.
func (h *sendHalf) resetAcked() {
	if h.state == sendResetSent {
		h.state = sendResetRecvd
	}
}

// next returns the STREAM frame to be sent next and how much data is there for it:
// lost data, the end alone, or up to most bytes of new data.
func (h *sendHalf) next(repeat bool, most uint64) (f wire.Stream, n uint64) {
	switch s, ok := h.data.lost.first(); {
	case repeat && ok:
		return wire.Stream{Offset: s.start}, s.len()
	case repeat:
		return wire.Stream{Offset: h.data.sent}, 0
	}
	return wire.Stream{Offset: h.data.sent}, min(h.fresh(), most)
}

// rewind makes the half as it was before anything was sent. It reports whether a
// RESET_STREAM is to be sent again.
func (h *sendHalf) rewind() bool {
	switch h.state {
	case sendSending, sendDataSent:
		h.state, h.finSent, h.finAcked = sendReady, false, false
		h.data.rewind()
	case sendResetSent, sendResetRecvd:
		h.state = sendResetSent
		h.data.sent, h.data.base, h.data.end = 0, 0, 0
		return true
	}
	return false
}
