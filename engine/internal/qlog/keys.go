package qlog

import (
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// keyUpdated writes that keys are in use, for both directions: the two sides change
// theirs together. 0-RTT has one direction. Of the 1-RTT keys, those of phase 0 are
// TLS's unless others came before.
func (t *Trace) keyUpdated(e *proto.TraceEvent) {
	trigger := "tls"
	if e.PacketType == wire.PacketOneRTT && (t.keyPhase > 0 || e.KeyPhase > 0) {
		t.keyPhase++
		trigger = "local_update"
		if e.ByPeer {
			trigger = "remote_update"
		}
	}
	for side := range wire.Server + 1 {
		name := keyType(e.PacketType, side)
		if name == "" {
			continue
		}
		r := t.begin(e, "quic:key_updated")
		r.word("key_type", name)
		if e.PacketType == wire.PacketOneRTT {
			r.number("key_phase", t.keyPhase)
		}
		r.word("trigger", trigger)
		t.end()
	}
}

// keyDiscarded writes that keys are gone, for both directions.
func (t *Trace) keyDiscarded(e *proto.TraceEvent) {
	for side := range wire.Server + 1 {
		name := keyType(e.PacketType, side)
		if name == "" {
			continue
		}
		r := t.begin(e, "quic:key_discarded")
		r.word("key_type", name)
		if e.PacketType != wire.PacketOneRTT {
			r.word("trigger", "tls")
		}
		t.end()
	}
}

// keyType returns the draft's word for the keys with which a side seals packets of
// a type, or "" when it has none.
func keyType(p wire.PacketType, side wire.Perspective) string {
	client := side == wire.Client
	switch p {
	case wire.PacketInitial:
		if client {
			return "client_initial_secret"
		}
		return "server_initial_secret"
	case wire.PacketHandshake:
		if client {
			return "client_handshake_secret"
		}
		return "server_handshake_secret"
	case wire.PacketZeroRTT:
		if client {
			return "client_0rtt_secret"
		}
	case wire.PacketOneRTT:
		if client {
			return "client_1rtt_secret"
		}
		return "server_1rtt_secret"
	}
	return ""
}
