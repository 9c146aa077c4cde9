package qlog

import (
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// packet writes a packet that was sent or received, with its frames. from is the
// side that built it.
func (t *Trace) packet(e *proto.TraceEvent, name string, from wire.Perspective) {
	r := t.beginOn(e.Path, e, name)
	r.packetHeader(e)
	switch e.PacketType {
	case wire.PacketVersionNegotiation:
		if len(e.Versions) > 0 {
			r.versions("supported_versions", e.Versions)
		}
	case wire.PacketRetry: // has no frames
	default:
		r.array("frames")
		exponent := uint8(defaultAckDelayExponent)
		if e.PacketType == wire.PacketOneRTT {
			exponent = t.exponent[from]
		}
		r.frames(e.Payload, exponent)
		r.endArray()
	}
	r.packetRaw(e)
	if e.ECN != wire.NotECT {
		r.word("ecn", ecnName(e.ECN))
	}
	t.end()
}

// packetDropped writes a packet that was thrown away. Why is the draft's word for
// it, or "general" with our words in the details.
func (t *Trace) packetDropped(e *proto.TraceEvent) {
	r := t.beginOn(e.Path, e, "quic:packet_dropped")
	r.partialHeader(e)
	r.packetRaw(e)
	switch e.Trigger {
	case "internal_error", "rejected", "unsupported", "invalid", "duplicate", "connection_unknown",
		"decryption_failure", "key_unavailable", "general":
		r.word("trigger", e.Trigger)
	case "":
	default:
		r.object("details")
		r.text("reason", e.Trigger)
		r.endObject()
		r.word("trigger", "general")
	}
	t.end()
}

func (t *Trace) packetLost(e *proto.TraceEvent) {
	r := t.beginOn(e.Path, e, "quic:packet_lost")
	r.partialHeader(e)
	switch e.Trigger {
	case "reordering_threshold", "time_threshold", "pto_expired":
		r.word("trigger", e.Trigger)
	}
	t.end()
}

// packetHeader writes the PacketHeader of a packet that was built or read.
func (r *record) packetHeader(e *proto.TraceEvent) {
	r.beginHeader(e)
	if e.PacketType == wire.PacketOneRTT {
		// The bit alone is known here, not how often the keys changed.
		r.flag("key_phase_bit", e.KeyPhase&1 == 1)
		r.knownID("dcid", &e.PeerID)
	} else {
		if e.Version != 0 {
			r.key("version")
			r.b = appendVersion(r.b, e.Version)
		}
		r.hex("scid", e.ID.Bytes())
		r.hex("dcid", e.PeerID.Bytes())
	}
	r.endObject()
}

// partialHeader writes the PacketHeader of a packet of which little may be known, or
// nothing: an event that says only "initial" has its type not set.
func (r *record) partialHeader(e *proto.TraceEvent) {
	if e.PacketType == wire.PacketInitial && e.Number < 0 && e.ID.Len()+e.PeerID.Len() == 0 {
		return
	}
	r.beginHeader(e)
	r.knownID("scid", &e.ID)
	r.knownID("dcid", &e.PeerID)
	r.endObject()
}

func (r *record) beginHeader(e *proto.TraceEvent) {
	r.object("header")
	r.word("packet_type", e.PacketType.String())
	switch e.PacketType {
	case wire.PacketInitial, wire.PacketHandshake, wire.PacketZeroRTT, wire.PacketOneRTT:
		if e.Number >= 0 {
			r.number("packet_number", uint64(e.Number))
		}
	}
}

// knownID writes a connection ID unless it is empty.
func (r *record) knownID(k string, id *wire.ConnID) {
	if id.Len() > 0 {
		r.hex(k, id.Bytes())
	}
}

// packetRaw writes a packet's lengths. The draft's payload is without the AEAD's
// tag, and so is ours.
func (r *record) packetRaw(e *proto.TraceEvent) {
	if e.Size <= 0 {
		return
	}
	r.object("raw")
	r.number("length", uint64(e.Size))
	if len(e.Payload) > 0 {
		r.number("payload_length", uint64(len(e.Payload)))
	}
	r.endObject()
}
