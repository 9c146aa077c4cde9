package proto

import (
	"io"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// recvState is the state of a stream's receiving half (RFC 9000, section 3.2).
type recvState uint8

const (
	recvNone recvState = iota // our own unidirectional stream
	recvRecv                  // "Recv"
	recvSizeKnown
	recvDataRecvd
	recvDataRead
	recvResetRecvd
	recvResetRead
)

// recvHalf is the receiving half of a stream.
type recvHalf struct {
	state  recvState
	data   reassembler
	window window
	final  uint64       // the final size, in all states but "Recv"
	err    *StreamError // that ended it: the peer's reset, or our stop
	stop   bool         // by StopSending: what comes is dropped
}

// over reports whether the half is over for the peer and for the application. A
// stopped one is when its final size is known: nothing can change after that.
func (h *recvHalf) over() bool {
	switch h.state {
	case recvNone, recvDataRead, recvResetRead:
		return true
	case recvRecv:
		return false
	}
	return h.stop
}

// readable reports whether the application has something to take: data, the end or
// a reset.
func (h *recvHalf) readable() bool {
	if h.stop {
		return false
	}
	return h.data.readable() > 0 || h.state == recvResetRecvd || (h.state == recvDataRecvd && h.atEnd())
}

func (h *recvHalf) atEnd() bool { return h.data.next == h.final }

// arrive checks bytes up to end, of which fin says that they are the last, against
// the final size and the stream's limit. It returns how far they raise the highest
// offset.
func (h *recvHalf) arrive(end uint64, fin bool) (uint64, *wire.TransportError) {
	switch {
	// RFC 9000, section 4.5: a final size that changes, and data beyond it, are
	// FINAL_SIZE_ERROR.
	case h.state != recvRecv && end > h.final:
		return 0, wire.Errorf(wire.FinalSizeError, "data up to %d of %d bytes", end, h.final)
	case h.state != recvRecv && fin && end != h.final:
		return 0, wire.Errorf(wire.FinalSizeError, "final size %d was %d", end, h.final)
	case fin && end < h.window.received:
		return 0, wire.Errorf(wire.FinalSizeError, "final size %d below data up to %d", end, h.window.received)
	case end <= h.window.received:
		return 0, nil
	}
	more := end - h.window.received
	// RFC 9000, section 4.1: beyond the limit MUST be a FLOW_CONTROL_ERROR.
	if end > h.window.limit {
		return 0, wire.Errorf(wire.FlowControlError, "stream data up to %d, limit %d", end, h.window.limit)
	}
	return more, nil
}

// ended notes the final size.
func (h *recvHalf) ended(size uint64) {
	if h.state == recvRecv {
		h.state, h.final = recvSizeKnown, size
	}
}

// complete moves on when all data is here.
func (h *recvHalf) complete() {
	if h.state == recvSizeKnown && h.data.ready == h.final {
		h.state = recvDataRecvd
	}
}

// take returns what the application gets instead of data, nil when there is data,
// and notes that it took the end.
func (h *recvHalf) take(wanted bool) error {
	switch {
	case h.state == recvResetRecvd:
		h.state = recvResetRead
		return h.err
	case h.err != nil:
		return h.err
	case h.data.readable() > 0:
		return nil
	case h.state == recvDataRecvd:
		h.state = recvDataRead
		return io.EOF
	case h.state == recvDataRead:
		return io.EOF
	case !wanted:
		return nil
	}
	return ErrBlocked
}

// reset takes the peer's RESET_STREAM. It reports whether it made a difference.
func (h *recvHalf) reset(err *StreamError) bool {
	// RFC 9000, section 3.2: with all data here the reset may be left aside.
	if h.state != recvRecv && h.state != recvSizeKnown {
		return false
	}
	h.state = recvResetRecvd
	if !h.stop {
		h.err = err
	}
	h.data.discard()
	return true
}
