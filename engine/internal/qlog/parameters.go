package qlog

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// parametersSet writes one side's transport parameters, defaults included.
func (t *Trace) parametersSet(e *proto.TraceEvent) {
	p := e.Parameters
	if p == nil {
		return
	}
	side := t.side
	if e.ByPeer {
		side = side.Peer()
	}
	t.exponent[side], t.multipath[side] = p.AckDelayExponent, p.HasMultipath
	r := t.begin(e, "quic:parameters_set")
	r.initiator(e.ByPeer)
	r.parameterIDs(p)
	r.flag("disable_active_migration", p.DisableActiveMigration)
	r.number("max_idle_timeout", inMillis(p.MaxIdleTimeout))
	r.number("max_udp_payload_size", uint64(p.MaxUDPPayload))
	r.number("ack_delay_exponent", uint64(p.AckDelayExponent))
	r.number("max_ack_delay", inMillis(p.MaxAckDelay))
	r.number("active_connection_id_limit", p.ActiveConnectionIDLimit)
	r.number("initial_max_data", p.InitialMaxData)
	r.number("initial_max_stream_data_bidi_local", p.InitialMaxStreamDataBidiLocal)
	r.number("initial_max_stream_data_bidi_remote", p.InitialMaxStreamDataBidiRemote)
	r.number("initial_max_stream_data_uni", p.InitialMaxStreamDataUni)
	r.number("initial_max_streams_bidi", p.InitialMaxStreamsBidi)
	r.number("initial_max_streams_uni", p.InitialMaxStreamsUni)
	if p.HasPreferredAddress {
		r.preferredAddress(&p.PreferredAddress)
	}
	if p.MaxDatagramFrame > 0 {
		r.number("max_datagram_frame_size", p.MaxDatagramFrame)
	}
	r.flag("grease_quic_bit", p.GreaseBit)
	if p.HasMinAckDelay {
		r.number("min_ack_delay", uint64(p.MinAckDelay/time.Microsecond))
	}
	if p.HasMultipath {
		r.number("initial_max_path_id", uint64(p.InitialMaxPathID))
	}
	t.end()
}

func (r *record) parameterIDs(p *wire.TransportParameters) {
	if p.HasOriginalDstID {
		r.hex("original_destination_connection_id", p.OriginalDstID.Bytes())
	}
	if p.HasInitialSrcID {
		r.hex("initial_source_connection_id", p.InitialSrcID.Bytes())
	}
	if p.HasRetrySrcID {
		r.hex("retry_source_connection_id", p.RetrySrcID.Bytes())
	}
}

func (r *record) preferredAddress(a *wire.PreferredAddress) {
	r.object("preferred_address")
	if a.IPv4.IsValid() {
		r.address(a.IPv4)
	}
	if a.IPv6.IsValid() {
		r.address(a.IPv6)
	}
	r.hex("connection_id", a.ID.Bytes())
	r.hex("stateless_reset_token", a.Token[:])
	r.endObject()
}

func inMillis(d time.Duration) uint64 { return uint64(max(0, d/time.Millisecond)) }
