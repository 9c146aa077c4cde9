package simnet

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

func TestHeapGivesTimesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h heap[uint64]
		var want []timed[uint64]
		seq := uint64(0)
		take := func() {
			first := slices.MinFunc(want, func(a, b timed[uint64]) int {
				return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
			})
			want = slices.DeleteFunc(want, func(e timed[uint64]) bool { return e == first })
			if got := h.pop(); got != first.v {
				t.Fatalf("got %d, want %d", got, first.v)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				seq++
				at := clock.Time(rapid.IntRange(1, 5).Draw(t, "at"))
				h.push(at, seq, seq)
				want = append(want, timed[uint64]{at, seq, seq})
			},
			"pop": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("empty")
				}
				take()
			},
		})
		for len(want) > 0 {
			take()
		}
		if len(h.items) != 0 {
			t.Fatalf("%d values are left", len(h.items))
		}
	})
}
