package proto

import (
	"slices"
	"sort"
)

// span is the numbers from start to end, end excluded.
type span struct{ start, end uint64 }

func (s span) len() uint64 { return s.end - s.start }

// rangeSet is a set of numbers, kept as ascending spans that neither overlap nor
// touch. The zero value is empty. Its memory grows to the most spans it ever had
// and stays; how many there may be is for its user to bound.
type rangeSet struct{ spans []span }

// add puts the numbers from start up to end into the set.
func (s *rangeSet) add(start, end uint64) {
	if start >= end {
		return
	}
	n := len(s.spans)
	if n == 0 || start > s.spans[n-1].end {
		s.spans = append(s.spans, span{start, end})
		return
	}
	// Spans i up to j, j excluded, overlap or touch the new one and become one with it.
	i := s.from(start)
	if i > 0 && s.spans[i-1].end == start {
		i--
	}
	j := i
	for j < n && s.spans[j].start <= end {
		j++
	}
	if i == j {
		s.spans = slices.Insert(s.spans, i, span{start, end})
		return
	}
	s.spans[i] = span{min(start, s.spans[i].start), max(end, s.spans[j-1].end)}
	s.spans = slices.Delete(s.spans, i+1, j)
}

// remove takes the numbers from start up to end out of the set.
func (s *rangeSet) remove(start, end uint64) {
	if start >= end || len(s.spans) == 0 {
		return
	}
	i := s.from(start)
	if i == len(s.spans) || s.spans[i].start >= end {
		return
	}
	if cut := s.spans[i]; cut.start < start {
		s.spans[i].end = start
		i++
		if cut.end > end {
			s.spans = slices.Insert(s.spans, i, span{end, cut.end})
			return
		}
	}
	j := i
	for j < len(s.spans) && s.spans[j].end <= end {
		j++
	}
	if j < len(s.spans) && s.spans[j].start < end {
		s.spans[j].start = end
	}
	s.spans = slices.Delete(s.spans, i, j)
}

// contains reports whether n is in the set.
func (s *rangeSet) contains(n uint64) bool {
	i := s.from(n)
	return i < len(s.spans) && s.spans[i].start <= n
}

// first returns the lowest span.
func (s *rangeSet) first() (span, bool) {
	if len(s.spans) == 0 {
		return span{}, false
	}
	return s.spans[0], true
}

// total returns how many numbers are in the set.
func (s *rangeSet) total() (n uint64) {
	for _, v := range s.spans {
		n += v.len()
	}
	return n
}

// len returns the number of spans.
func (s *rangeSet) len() int { return len(s.spans) }

// clear empties the set and keeps its memory.
func (s *rangeSet) clear() { s.spans = s.spans[:0] }

// from returns the index of the first span that ends above n.
func (s *rangeSet) from(n uint64) int {
	if len(s.spans) > 0 && s.spans[0].end > n { // what acknowledgements and losses mostly touch
		return 0
	}
	return sort.Search(len(s.spans), func(i int) bool { return s.spans[i].end > n })
}
