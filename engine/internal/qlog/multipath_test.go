package qlog

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestMultipathFrames(t *testing.T) { testFrames(t, multipathFrames()) }

func multipathFrames() []frameTest {
	id := wire.NewConnID([]byte{0xde, 0xad, 0xbe, 0xef})
	return []frameTest{
		{
			"path_ack",
			ranges{wire.Ack{Multipath: true, Path: 2, Delay: 250}, []wire.Range{{Smallest: 10, Largest: 22}, {Smallest: 7, Largest: 7}}},
			`{"frame_type":"unknown","frame_type_bytes":62,"frame_name":"path_ack","path_id":2,"ack_delay":2,"acked_ranges":[[10,22],[7]],"raw":{"length":9}}`,
		},
		{
			"path_abandon",
			wire.PathAbandon{Path: 1, Code: 0x3e},
			`{"frame_type":"unknown","frame_type_bytes":15989,"frame_name":"path_abandon","path_id":1,"error_code":62,"raw":{"length":4}}`,
		},
		{
			"path_status_backup",
			wire.PathStatus{Path: 1, Sequence: 5, Backup: true},
			`{"frame_type":"unknown","frame_type_bytes":15990,"frame_name":"path_status_backup","path_id":1,"sequence_number":5,"raw":{"length":4}}`,
		},
		{
			"path_status_available",
			wire.PathStatus{Path: 1, Sequence: 5},
			`{"frame_type":"unknown","frame_type_bytes":15991,"frame_name":"path_status_available","path_id":1,"sequence_number":5,"raw":{"length":4}}`,
		},
		{
			"path_new_connection_id",
			wire.NewConnectionID{Multipath: true, Path: 1, Sequence: 3, RetirePriorTo: 1, ID: id},
			`{"frame_type":"unknown","frame_type_bytes":15992,"frame_name":"path_new_connection_id","path_id":1,"sequence_number":3,"retire_prior_to":1,"connection_id":"deadbeef","raw":{"length":26}}`,
		},
		{
			"path_retire_connection_id",
			wire.RetireConnectionID{Multipath: true, Path: 1, Sequence: 3},
			`{"frame_type":"unknown","frame_type_bytes":15993,"frame_name":"path_retire_connection_id","path_id":1,"sequence_number":3,"raw":{"length":4}}`,
		},
		{
			"max_path_id",
			wire.MaxPathID{Max: 4},
			`{"frame_type":"unknown","frame_type_bytes":15994,"frame_name":"max_path_id","maximum":4,"raw":{"length":3}}`,
		},
		{
			"paths_blocked",
			wire.PathsBlocked{Max: 4},
			`{"frame_type":"unknown","frame_type_bytes":15995,"frame_name":"paths_blocked","limit":4,"raw":{"length":3}}`,
		},
		{
			"path_cids_blocked",
			wire.PathCIDsBlocked{Path: 1, NextSequence: 6},
			`{"frame_type":"unknown","frame_type_bytes":15996,"frame_name":"path_cids_blocked","path_id":1,"sequence_number":6,"raw":{"length":4}}`,
		},
		{
			"ack_frequency",
			wire.AckFrequency{Sequence: 1, Threshold: 9, MaxAckDelay: 25500, Reordering: 3},
			`{"frame_type":"unknown","frame_type_bytes":175,"frame_name":"ack_frequency","sequence_number":1,"ack_eliciting_threshold":9,"request_max_ack_delay":25.5,"reordering_threshold":3,"raw":{"length":9}}`,
		},
		{"immediate_ack", wire.ImmediateAck{}, `{"frame_type":"unknown","frame_type_bytes":31,"frame_name":"immediate_ack","raw":{"length":1}}`},
	}
}
