package sched

import (
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

func TestRepair(t *testing.T) {
	tests := []struct {
		name  string
		paths []View
		lost  wire.ByteCount
		want  int
	}{
		{"the shortest path with room", []View{lte(0), wifi(1)}, 20_000, 1},
		{"it is waited for", []View{lte(0), full(wifi(1))}, 20_000, Wait},
		{"and for its pacer", []View{lte(0), paced(wifi(1), 2*ms)}, 20_000, Wait},
		{"but not when it would take longer for all", []View{lte(0), full(wifi(1))}, 1_000_000, 0},
		{"nor when it is suspect", []View{lte(0), suspect(full(wifi(1)))}, 20_000, 0},
		{"nor a standby", []View{lte(0), standby(full(wifi(1)))}, 20_000, 0},
		{"nothing has room", []View{full(lte(0)), full(wifi(1))}, 20_000, Wait},
		{"a single path", []View{lte(0)}, 20_000, 0},
		{"a path whose round trip is not known is not waited for", []View{full(unmeasured(0)), lte(1)}, 20_000, 1},
	}
	for _, tt := range tests {
		if got := Repair(now, tt.paths, tt.lost); got != tt.want {
			t.Errorf("%s: %d, want %d of\n%s", tt.name, got, tt.want, describe(tt.paths))
		}
	}
}
