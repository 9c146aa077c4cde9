package wsp

import (
	"fmt"
	"math"
	"math/rand/v2"
)

const (
	// candidatesPerPoint says how many random points there are to choose each from.
	candidatesPerPoint = 12
	// attempts bounds the sets of candidates that are tried, each with other numbers.
	attempts = 64
	// precision is how closely the minimal distance is searched for.
	precision = 1e-6
)

// Design returns n points of the unit cube of so many dimensions that no two of which
// are closer than a distance that the algorithm WSP makes as large as it can: from
// random candidates it takes one near the middle, strikes out all that are too close to
// it, goes on to the nearest one left, and so forth until none is; the distance is
// searched for that leaves n.
//
// Source: Santiago, Claeys-Bruno, Sergent, Construction of space-filling designs using
// WSP algorithm for high dimensional spaces, Chemometrics and Intelligent Laboratory
// Systems 113, 2012.
func Design(n, dimensions int, seed uint64) ([][]float64, error) {
	if n < 1 || dimensions < 1 {
		return nil, fmt.Errorf("make a design of %d points in %d dimensions: there is none", n, dimensions)
	}
	for attempt := range uint64(attempts) {
		rng := rand.New(rand.NewPCG(seed, attempt))
		candidates := make([][]float64, candidatesPerPoint*n)
		for i := range candidates {
			candidates[i] = make([]float64, dimensions)
			for j := range candidates[i] {
				candidates[i][j] = rng.Float64()
			}
		}
		if chosen := search(candidates, n); chosen != nil {
			return chosen, nil
		}
	}
	return nil, fmt.Errorf("make a design of %d points in %d dimensions: no minimal distance leaves as many", n, dimensions)
}

// search looks for the minimal distance that leaves n candidates, which are fewer the
// larger it is, but not by one at a time. It returns nil when it finds none.
func search(candidates [][]float64, n int) [][]float64 {
	low, high := 0.0, math.Sqrt(float64(len(candidates[0])))
	for high-low > precision {
		distance := (low + high) / 2
		chosen := spread(candidates, distance, n+1)
		switch {
		case len(chosen) == n:
			return chosen
		case len(chosen) > n:
			low = distance
		default:
			high = distance
		}
	}
	return nil
}

// spread chooses candidates that are all at least a distance apart, up to most of them.
func spread(candidates [][]float64, distance float64, most int) [][]float64 {
	left := append([][]float64(nil), candidates...)
	middle := make([]float64, len(candidates[0]))
	for i := range middle {
		middle[i] = 0.5
	}
	var chosen [][]float64
	for at := nearest(left, middle); at >= 0 && len(chosen) < most; {
		point := left[at]
		chosen = append(chosen, point)
		left, at = strike(left, point, distance)
	}
	return chosen
}

// nearest returns the index of the point nearest to another, -1 when there is none.
func nearest(points [][]float64, to []float64) int {
	best, at := math.Inf(1), -1
	for i, p := range points {
		if d := squared(p, to); d < best {
			best, at = d, i
		}
	}
	return at
}

// strike returns the points without one of them and those closer to it than the
// distance, in place, and the index of the nearest that is left, -1 when there is none.
func strike(points [][]float64, one []float64, distance float64) ([][]float64, int) {
	best, at := math.Inf(1), -1
	kept := points[:0]
	for _, p := range points {
		d := squared(p, one)
		if d < distance*distance || &p[0] == &one[0] {
			continue
		}
		if d < best {
			best, at = d, len(kept)
		}
		kept = append(kept, p)
	}
	return kept, at
}

// squared returns the square of the distance between two points.
func squared(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		d := a[i] - b[i]
		sum += d * d
	}
	return sum
}
