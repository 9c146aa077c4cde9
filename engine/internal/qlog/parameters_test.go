package qlog

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestParametersSet(t *testing.T) {
	id := func(b byte) wire.ConnID { return wire.NewConnID([]byte{b}) }
	all := wire.TransportParameters{
		OriginalDstID: id(1), HasOriginalDstID: true, InitialSrcID: id(2), HasInitialSrcID: true, RetrySrcID: id(3), HasRetrySrcID: true,
		ResetToken: wire.ResetToken{9}, HasResetToken: true,
		PreferredAddress: wire.PreferredAddress{
			IPv4: netip.MustParseAddrPort("192.0.2.1:443"), IPv6: netip.MustParseAddrPort("[2001:db8::1]:444"), ID: id(4), Token: wire.ResetToken{15: 5},
		},
		HasPreferredAddress: true,
		MaxIdleTimeout:      10 * time.Second, MaxUDPPayload: 1472,
		InitialMaxData: 1, InitialMaxStreamDataBidiLocal: 2, InitialMaxStreamDataBidiRemote: 3, InitialMaxStreamDataUni: 4,
		InitialMaxStreamsBidi: 5, InitialMaxStreamsUni: 6, AckDelayExponent: 8, MaxAckDelay: 26 * time.Millisecond,
		DisableActiveMigration: true, ActiveConnectionIDLimit: 7, MaxDatagramFrame: 1200, GreaseBit: true,
		MinAckDelay: time.Millisecond, HasMinAckDelay: true, InitialMaxPathID: 12, HasMultipath: true,
	}
	const want = `{"initiator":"remote","original_destination_connection_id":"01","initial_source_connection_id":"02",` +
		`"retry_source_connection_id":"03","disable_active_migration":true,"max_idle_timeout":10000,"max_udp_payload_size":1472,` +
		`"ack_delay_exponent":8,"max_ack_delay":26,"active_connection_id_limit":7,"initial_max_data":1,` +
		`"initial_max_stream_data_bidi_local":2,"initial_max_stream_data_bidi_remote":3,"initial_max_stream_data_uni":4,` +
		`"initial_max_streams_bidi":5,"initial_max_streams_uni":6,"preferred_address":{"ip_v4":"192.0.2.1","port_v4":443,` +
		`"ip_v6":"2001:db8::1","port_v6":444,"connection_id":"04","stateless_reset_token":"00000000000000000000000000000005"},` +
		`"max_datagram_frame_size":1200,"grease_quic_bit":true,"min_ack_delay":1000,"initial_max_path_id":12}`
	got := dataOf(t, written(t, wire.Client, proto.TraceEvent{Kind: proto.TraceParametersSet, Parameters: &all, ByPeer: true}))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
