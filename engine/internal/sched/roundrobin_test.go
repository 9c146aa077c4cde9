package sched

import (
	"slices"
	"testing"
)

func TestRoundRobin(t *testing.T) {
	check(t, "roundrobin", []choice{
		{"the first", []View{lte(0), wifi(1)}, bulk(), 0},
		{"full ones are passed over", []View{full(lte(0)), wifi(1)}, bulk(), 1},
		{"the end is on no particular path", []View{lte(0), wifi(1)}, ending(1000), 0},
	})
	turns := func(s Scheduler, n int, paths ...View) (ids []int) {
		for range n {
			i := s.Pick(now, paths, bulk())
			ids = append(ids, int(paths[i].ID))
			s.OnSent(paths[i].ID, dgram)
		}
		return ids
	}
	s, _ := New("roundrobin")
	steps := []struct {
		name  string
		paths []View
		want  []int
	}{
		{"in turn", []View{lte(0), wifi(3), wifi(5)}, []int{0, 3, 5, 0}},
		{"one is full", []View{lte(0), full(wifi(3)), wifi(5)}, []int{5, 0, 5, 0}},
		{"the last one is gone", []View{wifi(3), wifi(5), wifi(7)}, []int{3, 5, 7, 3}},
		{"the next one is gone", []View{wifi(1), wifi(7)}, []int{7, 1, 7}},
	}
	for _, step := range steps {
		if got := turns(s, len(step.want), step.paths...); !slices.Equal(got, step.want) {
			t.Errorf("%s: paths %v, want %v", step.name, got, step.want)
		}
	}
}
