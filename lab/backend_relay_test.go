package lab

import (
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/relay"
	"github.com/tquiclab/tquiclab/topologies"
)

// The relay plays the topology's events, each on its way, from the start that the
// topology asks for.
func TestRelayPlaysTheTimeline(t *testing.T) {
	top := twoLinks()
	top.Start = topologies.StartManual
	top.Events = []topologies.Event{
		{Kind: topologies.EventSet, Link: "lte", Way: "down", Set: emulation.Patch{
			Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: 7e6},
		}},
		{At: time.Hour, Kind: topologies.EventBlackhole, Link: "lte"},
	}
	h, name := newHost(t), uniqueName()
	l := mustUp(t, h, UpConfig{Topology: top, Name: name, Backend: BackendRelay}).Lab
	wantEcho(t, l, "lte") // which does not start the clock
	client, err := relay.Dial(h.relaySocket(name))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if at, ok, err := client.Started(t.Context()); ok || err != nil {
		t.Errorf("started at %d (%v) before it was told", at, err)
	}
	if err := client.Start(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	var up, down emulation.Rate
	for end := time.Now().Add(5 * time.Second); down != 7e6 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		s, err := client.Counters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		up, down = s.Wires[0].Up.Rate, s.Wires[0].Down.Rate
	}
	if up != 10e6 || down != 7e6 {
		t.Errorf("rates after the start: %d up and %d down, want 10e6 and 7e6", up, down)
	}
	wantEcho(t, l, "lte")
}
