package sched

import "testing"

func TestRedundant(t *testing.T) {
	check(t, "redundant", []choice{
		{"the lowest RTT", []View{lte(0), wifi(1)}, bulk(), 1},
		{"another one when that is full", []View{lte(0), full(wifi(1))}, bulk(), 0},
		{"even for the end: what is first, counts", []View{lte(0), full(wifi(1))}, ending(1000), 0},
	})
}
