package qlog

import (
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// unknown starts a frame that the draft does not know. The name is our addition.
func (r *record) unknown(t wire.FrameType, name string) {
	r.begin("unknown")
	r.number("frame_type_bytes", uint64(t))
	r.word("frame_name", name)
}

func (r *record) pathID(id wire.PathID) { r.number("path_id", uint64(id)) }

// extensionFrame is typedFrame for the frames of draft-ietf-quic-multipath and
// draft-ietf-quic-ack-frequency.
func (r *record) extensionFrame(t wire.FrameType, b []byte, typeLen int, exponent uint8) (n int, err error) {
	switch t {
	case wire.TypePathAck, wire.TypePathAckECN:
		var f wire.Ack
		if f, n, err = wire.ParseAck(t, b); err != nil {
			return 0, err
		}
		r.unknown(t, "path_ack")
		r.pathID(f.Path)
		r.ack(f, exponent)
	case wire.TypePathAbandon:
		var f wire.PathAbandon
		f, n, err = wire.ParsePathAbandon(t, b)
		r.unknown(t, "path_abandon")
		r.pathID(f.Path)
		r.number("error_code", f.Code)
	case wire.TypePathStatusBackup, wire.TypePathStatusAvailable:
		var f wire.PathStatus
		f, n, err = wire.ParsePathStatus(t, b)
		name := "path_status_available"
		if f.Backup {
			name = "path_status_backup"
		}
		r.unknown(t, name)
		r.pathID(f.Path)
		r.number("sequence_number", f.Sequence)
	case wire.TypePathNewConnectionID:
		var f wire.NewConnectionID
		f, n, err = wire.ParseNewConnectionID(t, b)
		r.unknown(t, "path_new_connection_id")
		r.pathID(f.Path)
		r.newConnectionID(f)
	case wire.TypePathRetireConnectionID:
		var f wire.RetireConnectionID
		f, n, err = wire.ParseRetireConnectionID(t, b)
		r.unknown(t, "path_retire_connection_id")
		r.pathID(f.Path)
		r.number("sequence_number", f.Sequence)
	case wire.TypeMaxPathID:
		var f wire.MaxPathID
		f, n, err = wire.ParseMaxPathID(t, b)
		r.unknown(t, "max_path_id")
		r.number("maximum", uint64(f.Max))
	case wire.TypePathsBlocked:
		var f wire.PathsBlocked
		f, n, err = wire.ParsePathsBlocked(t, b)
		r.unknown(t, "paths_blocked")
		r.number("limit", uint64(f.Max))
	case wire.TypePathCIDsBlocked:
		var f wire.PathCIDsBlocked
		f, n, err = wire.ParsePathCIDsBlocked(t, b)
		r.unknown(t, "path_cids_blocked")
		r.pathID(f.Path)
		r.number("sequence_number", f.NextSequence)
	default:
		return r.ackFrequencyFrame(t, b, typeLen)
	}
	r.endFrame(typeLen + n)
	return n, err
}

func (r *record) ackFrequencyFrame(t wire.FrameType, b []byte, typeLen int) (n int, err error) {
	switch t {
	case wire.TypeImmediateAck:
		r.unknown(t, "immediate_ack")
	case wire.TypeAckFrequency:
		var f wire.AckFrequency
		f, n, err = wire.ParseAckFrequency(t, b)
		r.unknown(t, "ack_frequency")
		r.number("sequence_number", f.Sequence)
		r.number("ack_eliciting_threshold", f.Threshold)
		r.key("request_max_ack_delay")
		r.b = appendAckDelay(r.b, f.MaxAckDelay, 0)
		r.number("reordering_threshold", f.Reordering)
	default:
		return 0, wire.Errorf(wire.FrameEncodingError, "frame type %v", t)
	}
	r.endFrame(typeLen + n)
	return n, err
}
