package relay

import (
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Before the clock runs a packet may start it at any moment: a change must be possible
// before and after what the timeline begins with.
func TestSetBeforeTheStart(t *testing.T) {
	unlimited := emulation.Timeline{{At: 500 * ms, Patch: patch(emulation.FieldRate, emulation.Impairments{})}}
	queue := patch(emulation.FieldQueue, emulation.Impairments{Queue: emulation.Queue{Packets: 5}})
	w := Wire{Up: emulation.Impairments{Rate: 1e9}, UpTimeline: unlimited}
	for _, tc := range []struct {
		started emulation.Time
		want    string
	}{
		{never, "500ms after the start: a queue needs a rate"},
		{emulation.Time(time.Hour), ""},
	} {
		s := newStart(true)
		if tc.started != never {
			s.set(tc.started)
		}
		m := newMirror(w, 0, s)
		m.playTo(0)
		err := m.check(queue)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("started at %d: got %v, want %q", tc.started, err, tc.want)
		}
	}
}

// A packet that starts the clock between the check of a change and its instant brings
// the timeline's beginning before the change, as it does in the forwarder.
func TestMirrorOfALateStart(t *testing.T) {
	rate := func(r emulation.Rate) emulation.Patch {
		return patch(emulation.FieldRate, emulation.Impairments{Rate: r})
	}
	w := Wire{UpTimeline: emulation.Timeline{{Patch: rate(5)}, {At: 60, Patch: rate(6)}}}
	for _, tc := range []struct{ start, until, want emulation.Time }{
		{50, 109, 9},  // the change by hand, until
		{50, 110, 6},  // the next of the timeline
		{101, 105, 5}, // the clock started after the change
	} {
		s := newStart(true)
		m := newMirror(w, 0, s)
		m.playTo(100)
		if tc.start < 100 {
			s.set(tc.start)
		}
		m.patch(100, rate(9))
		s.set(tc.start)
		m.playTo(tc.until)
		if got := m.player.Impairments().Rate; got != emulation.Rate(tc.want) {
			t.Errorf("start at %d: %d bit/s at %d, want %d", tc.start, got, tc.until, tc.want)
		}
	}
}
