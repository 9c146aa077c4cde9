package runner

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/workload"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/agent"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/lab/sampler"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// measured is a good trial of half a megabyte over two paths, 1:3.
func measured(t *testing.T) measurement {
	t.Helper()
	arms, _, err := planArms(planConfig("quic-go-bond"))
	if err != nil {
		t.Fatal(err)
	}
	const bytes = 500_000
	usage := agent.Usage{CPU: 8 * time.Millisecond, Mallocs: 800, AllocBytes: 4000, GCCycles: 2, PeakRSS: 1 << 20}
	return measurement{
		planned: planned{round: 2, order: 1, arm: arms[0]},
		from:    "server", to: "client",
		sender: agent.Transfer{
			Report: workload.Report{Bytes: bytes, Intact: true, StartNS: 1e9, LastNS: 1.5e9},
			Usage:  usage,
			Stats: []engine.Stats{
				{Paths: []engine.PathStats{{Link: "lte", SRTT: 10 * time.Millisecond, ReinjectedBytes: 5}, {Link: "wifi"}}},
				{Paths: []engine.PathStats{{Link: "lte", SRTT: 30 * time.Millisecond, ReinjectedBytes: 6}, {Link: "wifi"}}},
			},
		},
		receiver: agent.Transfer{
			Report: workload.Report{Bytes: bytes, Intact: true, StartNS: 0.9e9, LastNS: 3e9, MaxGap: 1500 * time.Microsecond},
			Usage:  usage,
		},
		totals: sampler.Totals{
			{Node: "server", Link: "lte"}:  {TxBytes: 140_000, TxPackets: 100, RxPackets: 9},
			{Node: "client", Link: "lte"}:  {RxBytes: 130_000, RxPackets: 90, TxPackets: 9},
			{Node: "server", Link: "wifi"}: {TxBytes: 400_000, TxPackets: 300, RxPackets: 9},
			{Node: "client", Link: "wifi"}: {RxBytes: 390_000, RxPackets: 290, TxPackets: 9},
		},
		wires: []lab.WireStatus{{
			Link: "lte",
			Up:   lab.DirectionStatus{Dropped: map[string]uint64{"loss": 1}},
			Down: lab.DirectionStatus{Dropped: map[string]uint64{"queue": 8, "loss": 2}},
		}},
	}
}

// The engine's own count of packets goes before the interfaces', and what it copied
// is told where every session counts it.
func TestUsageByTheEnginesCounts(t *testing.T) {
	m := measured(t)
	m.sender.Stats = []engine.Stats{
		{Copied: new(uint64(600_000)), Paths: []engine.PathStats{{SentPackets: 1000, ReceivedPackets: 1}}},
		{Copied: new(uint64(400_000)), Paths: []engine.PathStats{{SentPackets: 600, ReceivedPackets: 1}}},
	}
	m.receiver.Stats = []engine.Stats{
		{Copied: new(uint64(500_000)), Paths: []engine.PathStats{{SentPackets: 1, ReceivedPackets: 1600}}},
		{Paths: []engine.PathStats{{SentPackets: 1}}},
	}
	got := m.trial()
	if s := got.Sender; s.AllocsPerPacket == nil || *s.AllocsPerPacket != 0.5 || s.CopiesPerByte == nil || *s.CopiesPerByte != 2 {
		t.Errorf("sender %+v, want 0.5 allocations per packet and 2 copies per byte", s)
	}
	if r := got.Receiver; r.AllocsPerPacket == nil || *r.AllocsPerPacket != 0.5 || r.CopiesPerByte != nil {
		t.Errorf("receiver %+v, want 0.5 allocations per packet and copies unknown", r)
	}
}

func TestTrialRecord(t *testing.T) {
	m := measured(t)
	side := results.Usage{
		CPUS: 0.008, CPUSPerGbit: 2, AllocsPerPacket: new(2.0), AllocBytesPerPacket: new(10.0),
		PeakRSSBytes: 1 << 20, GCCycles: 2,
	}
	receiver := side
	receiver.AllocsPerPacket, receiver.AllocBytesPerPacket = new(800.0/380), new(4000.0/380)
	want := results.Trial{
		Round: 2, Order: 1, Arm: m.arm.Arm,
		GoodputBPS: 2e6, Bytes: 500_000, DurationS: 2, Intact: true, StallMaxMS: 1.5,
		Paths: []results.TrialPath{
			{Link: "lte", Share: 0.25, GoodputBPS: 0.5e6, SRTTMS: new(20.0), LostPackets: new(uint64(10)), Drops: map[string]uint64{"queue": 8, "loss": 2}, SentPackets: 100, ReinjectedBytes: 11},
			{Link: "wifi", Share: 0.75, GoodputBPS: 1.5e6, SentPackets: 300}, // no wire: losses are not known
		},
		Sender: side, Receiver: receiver,
	}
	if diff := cmp.Diff(m.trial(), want); diff != "" {
		t.Errorf("trial (-got +want):\n%s", diff)
	}
}

// Gaps count from the receiver's start, stalls from the series' zero, as changes do; the
// clock of the topology's events is told on the same clock.
func TestStallsAreOnTheSeriesClock(t *testing.T) {
	for _, timed := range []bool{false, true} {
		m := measured(t)
		if timed {
			m.workload = topologies.WorkloadOf(topologies.CBR)
		}
		m.began = 0.8e9
		m.changes = &changes{began: m.began, all: []journal.Entry{
			{At: 0.6e9, Kind: journal.Arm}, {At: 0.7505e9, Kind: journal.Start}, {At: 1.4e9, Kind: journal.Down, Link: "lte"},
		}}
		m.receiver.Report.MaxGap = 250 * time.Millisecond
		m.receiver.Report.Gaps = []workload.Gap{{At: 0, For: 30 * time.Millisecond}, {At: 500 * time.Millisecond, For: 250 * time.Millisecond}}
		got := m.trial()
		if want := []results.Stall{{AtMS: 100, MS: 30}, {AtMS: 600, MS: 250}}; !slices.Equal(got.Stalls, want) || got.StallMaxMS != 250 {
			t.Errorf("timed %v: stalls %+v, the longest %v; want %+v", timed, got.Stalls, got.StallMaxMS, want)
		}
		if got.ClockTMS == nil || *got.ClockTMS != -49.5 || got.Changes[2].TMS != 600 {
			t.Errorf("timed %v: the clock started at %v, changes %+v; want -49.5, and the last at 600", timed, got.ClockTMS, got.Changes)
		}
	}
	m := measured(t)
	m.changes = &changes{began: 1, all: []journal.Entry{{At: 2, Kind: journal.Start, Error: "no"}}}
	if got := m.trial(); got.ClockTMS != nil || got.Stalls != nil {
		t.Errorf("clock at %v, stalls %v; want neither", *got.ClockTMS, got.Stalls)
	}
}

func TestTrialRecordOfFailures(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*measurement)
		want  string
	}{
		{"receiver saw a wrong byte", func(m *measurement) { m.receiver.Report.Intact, m.receiver.Report.Reason = false, "byte 7" }, "byte 7"},
		{"sender was told so", func(m *measurement) { m.sender.Report.Intact = false }, "the sender says"},
		{"totals differ", func(m *measurement) { m.sender.Report.Bytes++ }, "disagree"},
		{"nothing arrived", func(m *measurement) { m.sender.Report.Bytes, m.receiver.Report.Bytes = 0, 0 }, "nothing arrived"},
		{"an agent died", func(m *measurement) { m.failure = errors.New("signal: killed") }, "signal: killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := measured(t)
			tt.spoil(&m)
			got := m.trial()
			if got.Intact || got.OK() || !strings.Contains(got.Error, tt.want) {
				t.Errorf("intact %v, error %q; want false and %q", got.Intact, got.Error, tt.want)
			}
		})
	}
}

func TestWiresSince(t *testing.T) {
	before := []lab.WireStatus{{Link: "lte", Up: lab.DirectionStatus{ArrivedPackets: 5, BackendLost: 1, Dropped: map[string]uint64{"loss": 2, "queue": 1}}}}
	after := []lab.WireStatus{{Link: "lte", Up: lab.DirectionStatus{ArrivedPackets: 9, BackendLost: 4, Dropped: map[string]uint64{"loss": 7, "queue": 1}, LatenessP99: time.Second}}}
	got := wiresSince(before, after)[0].Up
	want := lab.DirectionStatus{ArrivedPackets: 4, BackendLost: 3, Dropped: map[string]uint64{"loss": 5}, LatenessP99: time.Second}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func TestTrialWarnings(t *testing.T) {
	good := results.Trial{
		Round: 1, Intact: true, DurationS: 10,
		Paths: []results.TrialPath{{Link: "lte", Share: 0.5}, {Link: "wifi", Share: 0.5}},
	}
	if got := trialWarnings(good, "round 1, mptcp@lte+wifi", 2); len(got) > 0 {
		t.Errorf("warnings about a good trial: %q", got)
	}
	bad := good
	bad.StolenS = 1.2 // of 20
	bad.Paths = []results.TrialPath{{Link: "lte", Share: 1}, {Link: "wifi"}}
	want := []string{"round 1, mptcp@lte+wifi: the host took away 6 % of the CPU time", "round 1, mptcp@lte+wifi: wifi carried nothing"}
	if diff := cmp.Diff(trialWarnings(bad, "round 1, mptcp@lte+wifi", 2), want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}
