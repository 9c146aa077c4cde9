package proto

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRangeSet(t *testing.T) {
	add := func(r ...span) func(*rangeSet) {
		return func(s *rangeSet) {
			for _, r := range r {
				s.add(r.start, r.end)
			}
		}
	}
	tests := []struct {
		name   string
		add    func(*rangeSet)
		remove []span
		want   []span
	}{
		{"nothing", add(span{3, 3}), nil, nil},
		{"ascending", add(span{0, 2}, span{4, 6}), nil, []span{{0, 2}, {4, 6}}},
		{"descending", add(span{4, 6}, span{0, 2}), nil, []span{{0, 2}, {4, 6}}},
		{"touching above", add(span{0, 2}, span{2, 4}), nil, []span{{0, 4}}},
		{"touching below", add(span{2, 4}, span{0, 2}), nil, []span{{0, 4}}},
		{"closing a gap", add(span{0, 2}, span{4, 6}, span{2, 4}), nil, []span{{0, 6}}},
		{"over several", add(span{2, 3}, span{5, 6}, span{8, 9}, span{1, 7}), nil, []span{{1, 7}, {8, 9}}},
		{"inside", add(span{0, 9}, span{3, 4}), nil, []span{{0, 9}}},
		{"remove the middle", add(span{0, 9}), []span{{3, 4}}, []span{{0, 3}, {4, 9}}},
		{"remove the front", add(span{2, 9}), []span{{0, 4}}, []span{{4, 9}}},
		{"remove the end", add(span{2, 9}), []span{{4, 12}}, []span{{2, 4}}},
		{"remove across", add(span{0, 3}, span{4, 5}, span{6, 9}), []span{{2, 7}}, []span{{0, 2}, {7, 9}}},
		{"remove a gap", add(span{0, 3}, span{6, 9}), []span{{3, 6}}, []span{{0, 3}, {6, 9}}},
		{"remove all", add(span{0, 3}, span{6, 9}), []span{{0, 9}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s rangeSet
			tt.add(&s)
			for _, r := range tt.remove {
				s.remove(r.start, r.end)
			}
			if d := cmp.Diff(s.spans, tt.want, cmp.AllowUnexported(span{}), cmp.Transformer("empty", func(s []span) []span {
				return append([]span{}, s...)
			})); d != "" {
				t.Errorf("spans (-got +want):\n%s", d)
			}
		})
	}
}

// TestRangeSetIsASet compares with a bool for each number.
func TestRangeSetIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 64
		var s rangeSet
		var model [size + 1]bool // the last stays false
		number := rapid.Uint64Range(0, size)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				a, b := number.Draw(t, "start"), number.Draw(t, "end")
				s.add(a, b)
				for i := a; i < b; i++ {
					model[i] = true
				}
			},
			"remove": func(t *rapid.T) {
				a, b := number.Draw(t, "start"), number.Draw(t, "end")
				s.remove(a, b)
				for i := a; i < b; i++ {
					model[i] = false
				}
			},
			"": func(t *rapid.T) {
				var want []span
				for i, in := range model {
					if in && (i == 0 || !model[i-1]) {
						want = append(want, span{uint64(i), 0})
					}
					if !in && i > 0 && model[i-1] {
						want[len(want)-1].end = uint64(i)
					}
					if got := s.contains(uint64(i)); got != in {
						t.Fatalf("contains(%d) = %v, want %v", i, got, in)
					}
				}
				if !slices.Equal(s.spans, want) {
					t.Fatalf("spans %v, want %v", s.spans, want)
				}
				if first, ok := s.first(); ok != (len(want) > 0) || (ok && first != want[0]) || s.len() != len(want) {
					t.Fatalf("first %v %v of %d, want those of %v", first, ok, s.len(), want)
				}
			},
		})
	})
}
