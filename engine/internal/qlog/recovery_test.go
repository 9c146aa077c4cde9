package qlog

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestMetricsUpdatedSaysWhatChanged(t *testing.T) {
	all := proto.Metrics{
		SRTT: 30 * time.Millisecond, MinRTT: 20 * time.Millisecond, LatestRTT: 25 * time.Millisecond, RTTVar: 1500 * time.Microsecond,
		CongestionWindow: 12000, BytesInFlight: 1200, SSThresh: 9000, PTOCount: 2, PacingRate: 1e9, PacketsInFlight: 1,
	}
	later := all
	later.BytesInFlight, later.PTOCount = 0, 0
	metrics := func(id wire.PathID, m proto.Metrics) proto.TraceEvent {
		return proto.TraceEvent{Kind: proto.TraceMetricsUpdated, Path: id, Metrics: m}
	}
	got := written(t, wire.Client, metrics(0, all), metrics(0, all), metrics(0, later), metrics(2, later), metrics(0, later))
	want := []string{
		`{"time":0,"name":"quic:recovery_metrics_updated","data":{"min_rtt":20,"smoothed_rtt":30,"latest_rtt":25,"rtt_variance":1.5,` +
			`"pto_count":2,"congestion_window":12000,"bytes_in_flight":1200,"ssthresh":9000,"packets_in_flight":1,"pacing_rate":1000000000}}`,
		`{"time":0,"name":"quic:recovery_metrics_updated","data":{"pto_count":0,"bytes_in_flight":0}}`,
		`{"time":0,"tuple":"2","name":"quic:recovery_metrics_updated","data":{"min_rtt":20,"smoothed_rtt":30,"latest_rtt":25,"rtt_variance":1.5,` +
			`"congestion_window":12000,"ssthresh":9000,"packets_in_flight":1,"pacing_rate":1000000000}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPathStates(t *testing.T) {
	event := func(kind proto.TraceKind, id wire.PathID, size int, state string) proto.TraceEvent {
		return proto.TraceEvent{Kind: kind, Path: id, Size: size, Trigger: state}
	}
	got := written(t, wire.Client,
		event(proto.TraceMTUUpdated, 0, 1200, ""), event(proto.TraceMTUUpdated, 1, 1280, ""), event(proto.TraceMTUUpdated, 0, 1452, ""), event(proto.TraceMTUUpdated, 0, 1452, ""),
		event(proto.TraceCongestionState, 0, 0, "slow_start"), event(proto.TraceCongestionState, 0, 0, `our "own"`), event(proto.TraceCongestionState, 1, 0, "recovery"),
		event(proto.TraceECNState, 0, 0, "testing"), event(proto.TraceECNState, 0, 0, "capable"), event(proto.TraceECNState, 0, 0, "capable"), event(proto.TraceECNState, 1, 0, "puzzled"),
	)
	want := []string{
		`{"time":0,"name":"quic:mtu_updated","data":{"new":1200}}`,
		`{"time":0,"tuple":"1","name":"quic:mtu_updated","data":{"new":1280}}`,
		`{"time":0,"name":"quic:mtu_updated","data":{"old":1200,"new":1452}}`,
		`{"time":0,"name":"quic:congestion_state_updated","data":{"new":"slow_start"}}`,
		`{"time":0,"name":"quic:congestion_state_updated","data":{"old":"slow_start","new":"our \"own\""}}`,
		`{"time":0,"tuple":"1","name":"quic:congestion_state_updated","data":{"new":"recovery"}}`,
		`{"time":0,"name":"quic:ecn_state_updated","data":{"new":"testing"}}`,
		`{"time":0,"name":"quic:ecn_state_updated","data":{"old":"testing","new":"capable"}}`,
		`{"time":0,"tuple":"1","name":"quic:ecn_state_updated","data":{"new":"unknown"}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
