package lab

import (
	"errors"
	"testing"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/topologies"
)

func TestTimelineOverTheRelay(t *testing.T) {
	h, name := newHost(t), uniqueName()
	lab := mustUp(t, h, UpConfig{Topology: eventful(), Name: name, Backend: BackendRelay}).Lab
	playEvents(t, lab)
	force, err := lab.InForce(t.Context())
	if err != nil || len(force) != 2 || force[0].Impairments.Rate != 5e6 || force[1].Impairments.Rate != 20e6 {
		t.Errorf("InForce = %+v, %v, want 5 up and 20 down", force, err)
	}
	if err := lab.Arm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cutByHand(t, lab)
	wantConductorWatched(t, h, lab)
}

// Without links that go down, the relay plays alone.
func TestRelayPlaysWithoutAConductor(t *testing.T) {
	h, name := newHost(t), uniqueName()
	top := eventful()
	top.Events = top.Events[:1]
	lab := mustUp(t, h, UpConfig{Topology: top, Name: name, Backend: BackendRelay}).Lab
	if lab.state.Conductor != nil {
		t.Error("there is a conductor, though only packets have a timeline")
	}
	f, err := lab.Follow()
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.StartClock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lab.StartClock(t.Context()); !errors.Is(err, ErrClockRuns) {
		t.Errorf("second StartClock = %v, want ErrClockRuns", err)
	}
	wantTexts(t, awaitChanges(t, f, 2), "timeline: clock started", "timeline: lte up: rate=5mbit")
	loss := emulation.Patch{Fields: emulation.FieldLoss, Values: emulation.Impairments{Loss: 1}}
	if err := lab.Impair(t.Context(), []Setting{{"lte", "up", loss}}); err != nil {
		t.Fatal(err)
	}
	if n := sendNumbered(t, lab, "lte", 5); n != 0 {
		t.Errorf("%d of 5 datagrams came through, want all lost", n)
	}
	changes := awaitChanges(t, f, 1)
	wantTexts(t, changes, "hand: lte up: loss=100%")
	if changes[0].Since == nil || *changes[0].Since <= 0 {
		t.Errorf("the change by hand is at %v after the start, want a time", changes[0].Since)
	}
	history, err := lab.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantTexts(t, history, "timeline: clock started", "timeline: lte up: rate=5mbit", "hand: lte up: loss=100%")
	if f, err = lab.Follow(); err != nil {
		t.Fatal(err)
	}
	if late, err := f.Next(t.Context(), journal.Now()); err != nil || len(late) > 0 {
		t.Errorf("a follower that came late was told %v, %v", texts(late), err)
	}
	if err := lab.Impair(t.Context(), []Setting{{"lte", "up", ratePatch(1e6)}, {"lan", "", ratePatch(1e6)}}); err == nil {
		t.Error("a link without a wire was changed")
	}
	if err := lab.Arm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	wantEcho(t, lab, "lte")
	if clock, err := lab.Clock(t.Context()); err != nil || clock.Running {
		t.Errorf("clock = %+v, %v after Arm, want it to wait: the lab's is started by hand", clock, err)
	}
}

func TestNothingButAPacketStartsTheClock(t *testing.T) {
	h, name := newHost(t), uniqueName()
	top := eventful()
	top.Start = topologies.StartFirstPacket
	playFirstPacket(t, mustUp(t, h, UpConfig{Topology: top, Name: name, Backend: BackendRelay}).Lab)
}
