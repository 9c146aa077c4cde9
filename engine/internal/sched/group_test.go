package sched

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// Which kinds of paths may be used at all does not depend on the scheduler.
func TestGroups(t *testing.T) {
	stuck := full(wifi(0)) // no room, and nothing that would give it any
	stuck.InFlight = 0
	cases := []choice{
		{"no path", nil, bulk(), Wait},
		{"a single path", []View{wifi(0)}, bulk(), 0},
		{"a single path that is full", []View{full(wifi(0))}, bulk(), Wait},
		{"a suspect path has room, another gets some with the next ACK", []View{full(lte(0)), suspect(wifi(1))}, bulk(), Wait},
		{"a suspect path has room, another waits for its pacer", []View{paced(lte(0), ms), suspect(wifi(1))}, bulk(), Wait},
		{"a suspect path has room, another too", []View{suspect(wifi(0)), lte(1)}, bulk(), 1},
		{"a suspect path has room, another never will", []View{stuck, suspect(lte(1))}, bulk(), 1},
		{"a single path that is suspect", []View{suspect(wifi(0))}, bulk(), 0},
		{"a backup path has room, another gets some", []View{full(lte(0)), standby(wifi(1))}, bulk(), Wait},
		{"a backup path beside one with room", []View{standby(wifi(0)), lte(1)}, bulk(), 1},
		{"a backup path alone", []View{standby(lte(0))}, bulk(), 0},
		{"a backup path, when all others are suspect", []View{suspect(wifi(0)), standby(lte(1))}, bulk(), 1},
		{"a backup path that is full, when all others are suspect", []View{suspect(wifi(0)), standby(full(lte(1)))}, bulk(), Wait},
		{"a suspect path before a suspect backup", []View{standby(suspect(wifi(0))), suspect(lte(1))}, bulk(), 1},
		{"a suspect backup, when there is nothing else", []View{standby(suspect(wifi(0)))}, bulk(), 0},
		{"an unmeasured path alone", []View{unmeasured(0)}, bulk(), 0},
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) { check(t, name, cases) })
	}
}

func TestOpen(t *testing.T) {
	tests := []struct {
		name string
		v    View
		want bool
	}{
		{"room", View{Room: 1, Next: clock.Never}, true},
		{"the pacer", View{Next: now}, true},
		{"an acknowledgment", View{Next: clock.Never, InFlight: 1}, true},
		{"an acknowledgment that is overdue", View{Next: clock.Never, InFlight: 1, Suspect: true}, false},
		{"nothing", View{Next: clock.Never}, false},
	}
	for _, tt := range tests {
		if got := tt.v.open(); got != tt.want {
			t.Errorf("%s: open = %v, want %v", tt.name, got, tt.want)
		}
	}
}
