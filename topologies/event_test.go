package topologies

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
)

func TestEventsTakenApart(t *testing.T) {
	slow := emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: 1000}}
	topology := Topology{Events: []Event{
		{At: time.Second, Kind: EventSet, Link: "lte", Way: "down", Set: slow, Ramp: time.Second},
		{At: 2 * time.Second, Every: 9 * time.Second, Times: 3, Kind: EventBlackhole, Link: "lte", For: time.Second},
		{At: 3 * time.Second, Kind: EventThrough, Link: "wifi"},
		{At: 4 * time.Second, Every: time.Minute, Kind: EventDown, Link: "lte", For: 5 * time.Second},
		{At: 5 * time.Second, Kind: EventUp, Link: "wifi"},
		{At: 6 * time.Second, Kind: EventRebind, Node: "home"},
	}}
	for _, tt := range []struct {
		link, way string
		want      emulation.Timeline
	}{
		{"lte", "down", emulation.Timeline{
			{At: time.Second, Patch: slow, Ramp: time.Second},
			{At: 2 * time.Second, Every: 9 * time.Second, Times: 3, Patch: blackhole(true)},
			{At: 3 * time.Second, Every: 9 * time.Second, Times: 3, Patch: blackhole(false)},
		}},
		{"lte", "up", emulation.Timeline{
			{At: 2 * time.Second, Every: 9 * time.Second, Times: 3, Patch: blackhole(true)},
			{At: 3 * time.Second, Every: 9 * time.Second, Times: 3, Patch: blackhole(false)},
		}},
		{"wifi", "up", emulation.Timeline{{At: 3 * time.Second, Patch: blackhole(false)}}},
		{"dsl", "up", nil},
	} {
		if diff := cmp.Diff(tt.want, topology.Timeline(tt.link, tt.way)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.link, tt.way, diff)
		}
	}
	want := []Operation{
		{At: 4 * time.Second, Every: time.Minute, Kind: EventDown, Link: "lte"},
		{At: 9 * time.Second, Every: time.Minute, Kind: EventUp, Link: "lte"},
		{At: 5 * time.Second, Kind: EventUp, Link: "wifi"},
		{At: 6 * time.Second, Kind: EventRebind, Node: "home"},
	}
	if diff := cmp.Diff(want, topology.Operations()); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}
