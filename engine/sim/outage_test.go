package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// everyImpairment is a link that does everything at once to packets, both ways.
func everyImpairment() Link {
	l := fast()
	for _, imp := range []*emulation.Impairments{&l.Up, &l.Down} {
		imp.Jitter = 2 * time.Millisecond
		imp.GilbertElliott = emulation.GilbertElliott{P: 0.005, R: 0.4, H: 0.2, K: 1}
		imp.Duplicate, imp.Corrupt = 0.01, 0.01
		imp.Reorder = emulation.Reorder{Probability: 0.01, Gap: 5}
		imp.Queue.Discipline, imp.Queue.ECN = emulation.CoDel, true
		imp.Slot = emulation.Slot{Min: time.Millisecond, Max: 4 * time.Millisecond, Packets: 30}
	}
	return l
}

func TestTransferThroughEveryImpairment(t *testing.T) {
	r, err := Run(t.Context(), download(everyImpairment(), 4e6))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	down := r.Links[0].Down
	if down.DuplicatedPackets == 0 || down.CorruptedPackets == 0 || down.ReorderedPackets == 0 || down.Dropped[emulation.DropLoss] == 0 {
		t.Errorf("some impairment did nothing: %+v", down)
	}
}

// A transfer goes on after its link was down, after a black hole and on a link that
// has become slow, and takes the time that these cost.
func TestTransferMeetsItsTimeline(t *testing.T) {
	calm := download(fast(), 10e6)
	c := download(fast(), 10e6)
	l := &c.Links[0]
	l.DownTimeline = emulation.Timeline{
		{At: 500 * time.Millisecond, Patch: emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: 20e6}}},
		{At: 1500 * time.Millisecond, Patch: emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true}}},
		{At: 1700 * time.Millisecond, Patch: emulation.Patch{Fields: emulation.FieldBlackhole}},
	}
	l.Outages = []Outage{{At: 900 * time.Millisecond, Down: true}, {At: 1100 * time.Millisecond}}
	fastReport, err := Run(t.Context(), calm)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	// At least the outages, and the time that halving the rate costs the rest.
	if slower, least := report.Elapsed-fastReport.Elapsed, 400*time.Millisecond+time.Second; slower < least {
		t.Errorf("took %v more, want at least %v", slower, least)
	}
	if report.Links[0].Down.Dropped[emulation.DropBlackhole] == 0 {
		t.Error("the black hole swallowed nothing")
	}
}

func TestOutagesComeAgain(t *testing.T) {
	link := fast()
	link.Outages = []Outage{
		{At: time.Second, Every: 10 * time.Second, Times: 2, Down: true},
		{At: 2 * time.Second, Every: 10 * time.Second, Times: 2},
	}
	l := newLab(t, LabConfig{Links: []Link{link}, Seed: 1}, &peer{}, &echo{})
	l.At(3*time.Second, l.network.Start)
	for _, at := range []struct {
		until  time.Duration
		events uint64
	}{{3999 * time.Millisecond, 1}, {4 * time.Second, 2}, {5 * time.Second, 3}, {14 * time.Second, 4}, {time.Minute, 5}} {
		if err := l.Run(t.Context(), at.until, nil); err != nil {
			t.Fatal(err)
		}
		if got := l.Events(); got != at.events {
			t.Errorf("%d events in %v, want %d: the start, two outages and their ends", got, at.until, at.events)
		}
	}
}

func TestImpossibleOutages(t *testing.T) {
	for _, tt := range []struct {
		outage Outage
		want   string
	}{
		{Outage{At: -1}, "outage at -1ns"},
		{Outage{Every: 1}, "outage every 1ns"},
		{Outage{Times: 2}, "2 times"},
	} {
		l := fast()
		l.Outages = []Outage{tt.outage}
		if _, err := NewLab(LabConfig{Links: []Link{l}}, &peer{}, &echo{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got error %v, want one with %q", tt.outage, err, tt.want)
		}
	}
}
