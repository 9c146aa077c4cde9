package workload

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// What a Report keeps of the times without a byte: MaxGaps of them, the longest, none
// below MinGap.
const (
	MaxGaps = 128
	MinGap  = 20 * time.Millisecond
)

// Gap is a time without a byte on any stream.
type Gap struct {
	At  time.Duration `json:"at_ns"`  // when it began, from Report.StartNS on
	For time.Duration `json:"for_ns"` // until the next byte
}

// gaps keeps the longest of those that it is given. Safe for concurrent use: it is
// locked for one gap, not for each read.
type gaps struct {
	mu   sync.Mutex
	n    int
	kept [MaxGaps]Gap // the first n, in no order
}

// add takes a gap up, unless it is short: below MinGap, or not above any of those kept
// when there is no more room.
func (g *gaps) add(gap Gap) {
	if gap.For < MinGap {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n < MaxGaps {
		g.kept[g.n] = gap
		g.n++
		return
	}
	shortest := 0
	for i := range g.kept {
		if g.kept[i].For < g.kept[shortest].For {
			shortest = i
		}
	}
	if gap.For > g.kept[shortest].For {
		g.kept[shortest] = gap
	}
}

// inOrder returns what is kept in order of time; nil: nothing.
func (g *gaps) inOrder() []Gap {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n == 0 {
		return nil
	}
	all := slices.Clone(g.kept[:g.n])
	slices.SortFunc(all, func(a, b Gap) int { return cmp.Compare(a.At, b.At) })
	return all
}
