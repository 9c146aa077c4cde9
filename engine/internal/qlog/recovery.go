package qlog

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// metricsUpdated writes which of a path's metrics changed since the last time, and
// nothing when none did.
func (t *Trace) metricsUpdated(e *proto.TraceEvent) {
	p := t.path(e.Path)
	old, now := &p.metrics, &e.Metrics
	if *old == *now {
		return
	}
	r := t.beginOn(e.Path, e, "quic:recovery_metrics_updated")
	r.changedTime("min_rtt", old.MinRTT, now.MinRTT)
	r.changedTime("smoothed_rtt", old.SRTT, now.SRTT)
	r.changedTime("latest_rtt", old.LatestRTT, now.LatestRTT)
	r.changedTime("rtt_variance", old.RTTVar, now.RTTVar)
	r.changed("pto_count", min(int64(old.PTOCount), math.MaxUint16), min(int64(now.PTOCount), math.MaxUint16))
	r.changed("congestion_window", int64(old.CongestionWindow), int64(now.CongestionWindow))
	r.changed("bytes_in_flight", int64(old.BytesInFlight), int64(now.BytesInFlight))
	r.changed("ssthresh", int64(old.SSThresh), int64(now.SSThresh))
	r.changed("packets_in_flight", int64(old.PacketsInFlight), int64(now.PacketsInFlight))
	r.changed("pacing_rate", old.PacingRate, now.PacingRate)
	t.end()
	*old = *now
}

func (r *record) changedTime(k string, old, now time.Duration) {
	if old != now {
		r.millis(k, now)
	}
}

func (r *record) changed(k string, old, now int64) {
	if old != now {
		r.number(k, uint64(max(0, now)))
	}
}

func (t *Trace) congestionState(e *proto.TraceEvent) {
	p := t.path(e.Path)
	if e.Trigger == p.congestion {
		return
	}
	r := t.beginOn(e.Path, e, "quic:congestion_state_updated")
	if p.congestion != "" {
		r.text("old", p.congestion)
	}
	r.text("new", e.Trigger)
	t.end()
	p.congestion = e.Trigger
}

func (t *Trace) mtuUpdated(e *proto.TraceEvent) {
	p := t.path(e.Path)
	if e.Size == p.mtu {
		return
	}
	r := t.beginOn(e.Path, e, "quic:mtu_updated")
	r.changed("old", 0, int64(p.mtu))
	r.number("new", uint64(max(0, e.Size)))
	t.end()
	p.mtu = e.Size
}

// ecnState writes the state of a path's ECN validation. A state that the draft does
// not have is its "unknown".
func (t *Trace) ecnState(e *proto.TraceEvent) {
	state := "unknown"
	switch e.Trigger {
	case "testing", "failed", "capable":
		state = e.Trigger
	}
	p := t.path(e.Path)
	if state == p.ecn {
		return
	}
	r := t.beginOn(e.Path, e, "quic:ecn_state_updated")
	if p.ecn != "" {
		r.word("old", p.ecn)
	}
	r.word("new", state)
	t.end()
	p.ecn = state
}

// ecnName returns the draft's word for a mark.
func ecnName(m wire.ECN) string {
	switch m {
	case wire.ECT1:
		return "ECT(1)"
	case wire.ECT0:
		return "ECT(0)"
	case wire.CE:
		return "CE"
	}
	return "Not-ECT"
}
