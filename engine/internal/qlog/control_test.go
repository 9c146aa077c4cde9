package qlog

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestControlFrames(t *testing.T) { testFrames(t, controlFrames()) }

func controlFrames() []frameTest {
	id := wire.NewConnID([]byte{0xde, 0xad, 0xbe, 0xef})
	return []frameTest{
		{"ping", wire.Ping{}, `{"frame_type":"ping","raw":{"length":1}}`},
		{"handshake_done", wire.HandshakeDone{}, `{"frame_type":"handshake_done","raw":{"length":1}}`},
		{
			"reset_stream",
			wire.ResetStream{ID: 4, Code: 77, FinalSize: 10},
			`{"frame_type":"reset_stream","stream_id":4,"error":"unknown","error_code":77,"final_size":10,"raw":{"length":5}}`,
		},
		{
			"stop_sending",
			wire.StopSending{ID: 4, Code: 7},
			`{"frame_type":"stop_sending","stream_id":4,"error":"unknown","error_code":7,"raw":{"length":3}}`,
		},
		{
			"new_token",
			wire.NewToken{Token: []byte("secret")},
			`{"frame_type":"new_token","token":{"raw":{"length":6}},"raw":{"length":8}}`,
		},
		{"max_data", wire.MaxData{Max: 1 << 62 >> 1}, `{"frame_type":"max_data","maximum":2305843009213693952,"raw":{"length":9}}`},
		{"max_stream_data", wire.MaxStreamData{ID: 8, Max: 5}, `{"frame_type":"max_stream_data","stream_id":8,"maximum":5,"raw":{"length":3}}`},
		{
			"max_streams, both ways",
			wire.MaxStreams{Direction: wire.Bidi, Max: 5},
			`{"frame_type":"max_streams","stream_type":"bidirectional","maximum":5,"raw":{"length":2}}`,
		},
		{
			"max_streams, one way",
			wire.MaxStreams{Direction: wire.Uni, Max: 5},
			`{"frame_type":"max_streams","stream_type":"unidirectional","maximum":5,"raw":{"length":2}}`,
		},
		{"data_blocked", wire.DataBlocked{Limit: 5}, `{"frame_type":"data_blocked","limit":5,"raw":{"length":2}}`},
		{
			"stream_data_blocked",
			wire.StreamDataBlocked{ID: 8, Limit: 5},
			`{"frame_type":"stream_data_blocked","stream_id":8,"limit":5,"raw":{"length":3}}`,
		},
		{
			"streams_blocked",
			wire.StreamsBlocked{Direction: wire.Uni, Limit: 5},
			`{"frame_type":"streams_blocked","stream_type":"unidirectional","limit":5,"raw":{"length":2}}`,
		},
		{
			"new_connection_id, without its token",
			wire.NewConnectionID{Sequence: 3, RetirePriorTo: 1, ID: id, Token: wire.ResetToken{1}},
			`{"frame_type":"new_connection_id","sequence_number":3,"retire_prior_to":1,"connection_id":"deadbeef","raw":{"length":24}}`,
		},
		{"retire_connection_id", wire.RetireConnectionID{Sequence: 3}, `{"frame_type":"retire_connection_id","sequence_number":3,"raw":{"length":2}}`},
		{
			"path_challenge",
			wire.PathChallenge{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
			`{"frame_type":"path_challenge","data":"0102030405060708","raw":{"length":9}}`,
		},
		{
			"path_response",
			wire.PathResponse{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
			`{"frame_type":"path_response","data":"0102030405060708","raw":{"length":9}}`,
		},
		{
			"connection_close of the transport",
			wire.ConnectionClose{Code: uint64(wire.FlowControlError), Frame: wire.TypeStream + 2, Reason: []byte(`say "no"`)},
			`{"frame_type":"connection_close","error_space":"transport","error":"flow_control_error","trigger_frame_type":"stream","reason":"say \"no\"","raw":{"length":12}}`,
		},
		{
			"connection_close by TLS",
			wire.ConnectionClose{Code: uint64(wire.CryptoError + 0x2a), Frame: wire.TypeCrypto},
			`{"frame_type":"connection_close","error_space":"transport","error":"crypto_error_0x12a","trigger_frame_type":"crypto","raw":{"length":5}}`,
		},
		{
			"connection_close for an unknown reason",
			wire.ConnectionClose{Code: 0x3e75, Frame: 0x1234, Reason: []byte{0xff}},
			`{"frame_type":"connection_close","error_space":"transport","error":"unknown","error_code":15989,"trigger_frame_type":4660,"reason_bytes":"ff","raw":{"length":7}}`,
		},
		{
			"connection_close by the application",
			wire.ConnectionClose{Application: true, Code: 9},
			`{"frame_type":"connection_close","error_space":"application","error":"unknown","error_code":9,"raw":{"length":3}}`,
		},
	}
}

func TestTransportErrorNames(t *testing.T) {
	for code := wire.NoError; code <= wire.NoViablePath; code++ {
		if name := transportErrorName(code); transportErr(name) != "" || name == "unknown" {
			t.Errorf("%v is called %q", code, name)
		}
	}
	if name := transportErrorName(wire.NoViablePath + 1); name != "" {
		t.Errorf("a code without a name is called %q", name)
	}
}

func TestFrameTypeNames(t *testing.T) {
	for code := range wire.FrameType(0x40) {
		name := frameTypeName(code)
		if _, known := frameSchemas[name]; name != "" && !known {
			t.Errorf("frame type %#x is called %q", uint64(code), name)
		}
		if code > 0 && code <= wire.TypeHandshakeDone && name == "" {
			t.Errorf("frame type %#x has no name", uint64(code))
		}
	}
}
