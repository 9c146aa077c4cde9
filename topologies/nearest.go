package topologies

import (
	"slices"
	"strings"
)

// nearest returns the candidates that a user may have meant by word, best first:
// those that word abbreviates or is a few typing errors away from. Case does not
// count. It is empty when nothing is near.
func nearest(word string, candidates []string) []string {
	const longest = 64 // no valid word is longer; keeps hostile input cheap
	if len(word) < 2 || len(word) > longest {
		return nil
	}
	word = strings.ToLower(word)
	type match struct {
		word     string
		distance int
	}
	var near []match
	for _, c := range candidates {
		lower := strings.ToLower(c)
		d := editDistance(word, lower)
		if d <= min(1+len(word)/4, 3) && d < len(lower) || strings.HasPrefix(lower, word) {
			near = append(near, match{c, d})
		}
	}
	slices.SortStableFunc(near, func(a, b match) int { return a.distance - b.distance })
	words := make([]string, len(near))
	for i, m := range near {
		words[i] = m.word
	}
	return words
}

// nearestOne returns the best of nearest, or an empty string.
func nearestOne(word string, candidates []string) string {
	if near := nearest(word, candidates); len(near) > 0 {
		return near[0]
	}
	return ""
}

// editDistance returns the least number of bytes to insert, delete, replace or
// swap with their neighbour that turns a into b (optimal string alignment).
func editDistance(a, b string) int {
	before, previous, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(row[j]+1, previous[j+1]+1, previous[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, previous, row = previous, row, before
	}
	return previous[len(b)]
}
