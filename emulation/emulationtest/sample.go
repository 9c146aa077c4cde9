package emulationtest

import (
	"math"
	"slices"
)

// Bursts returns the lengths of the runs of true in lost.
func Bursts(lost []bool) []int {
	var lengths []int
	run := 0
	for _, l := range append(slices.Clip(lost), false) {
		if l {
			run++
		} else if run > 0 {
			lengths = append(lengths, run)
			run = 0
		}
	}
	return lengths
}

// Mean returns the mean of the values, NaN for none.
func Mean[V int | float64](values []V) float64 {
	sum := 0.0
	for _, v := range values {
		sum += float64(v)
	}
	return sum / float64(len(values))
}

// SameCounts returns how likely two samples of small whole numbers differ as much as
// a and b, or more, if both come from one distribution: the chi-square test of
// homogeneity over their histograms.
func SameCounts(a, b []int) float64 {
	const least = 10 // in a cell of the two histograms together
	cells := map[int][2]int{}
	for i, sample := range [][]int{a, b} {
		for _, v := range sample {
			cell := cells[v]
			cell[i]++
			cells[v] = cell
		}
	}
	var values []int
	for v := range cells {
		values = append(values, v)
	}
	slices.Sort(values)
	var pooled [][2]int
	for _, v := range values {
		n := len(pooled)
		if n == 0 || pooled[n-1][0]+pooled[n-1][1] >= least {
			pooled = append(pooled, [2]int{})
			n++
		}
		pooled[n-1][0] += cells[v][0]
		pooled[n-1][1] += cells[v][1]
	}
	if n := len(pooled); n > 1 && pooled[n-1][0]+pooled[n-1][1] < least {
		pooled[n-2][0] += pooled[n-1][0]
		pooled[n-2][1] += pooled[n-1][1]
		pooled = pooled[:n-1]
	}
	if len(a) == 0 || len(b) == 0 {
		if len(a) == len(b) {
			return 1
		}
		return 0
	}
	if len(pooled) < 2 {
		return 1
	}
	share := float64(len(a)) / float64(len(a)+len(b))
	chi := 0.0
	for _, cell := range pooled {
		all := float64(cell[0] + cell[1])
		for i, s := range []float64{share, 1 - share} {
			d := float64(cell[i]) - all*s
			chi += d * d / (all * s)
		}
	}
	return upperGamma(float64(len(pooled)-1)/2, chi/2)
}

// SameDistribution returns how likely two samples differ as much as a and b, or more,
// if both come from one distribution: the two-sample test of Kolmogorov and Smirnov.
func SameDistribution(a, b []float64) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	n, m := float64(len(a)), float64(len(b))
	var i, j int
	distance := 0.0
	for i < len(a) && j < len(b) {
		v := min(a[i], b[j])
		for i < len(a) && a[i] == v {
			i++
		}
		for j < len(b) && b[j] == v {
			j++
		}
		distance = max(distance, math.Abs(float64(i)/n-float64(j)/m))
	}
	root := math.Sqrt(n * m / (n + m))
	// Stephens' correction for small samples (1970).
	x := (root + 0.12 + 0.11/root) * distance
	p := 0.0
	for k := 1; k <= 100; k++ {
		term := 2 * math.Exp(-2*float64(k*k)*x*x)
		if k%2 == 0 {
			term = -term
		}
		p += term
	}
	if x < 0.2 || p > 1 { // where the series no longer converges it is 1
		return 1
	}
	return max(p, 0)
}

// upperGamma returns the regularised upper incomplete gamma function Q(a, x): 1 minus
// the series below a+1, Lentz's continued fraction above (Numerical Recipes, 6.2).
func upperGamma(a, x float64) float64 {
	if x <= 0 {
		return 1
	}
	logGamma, _ := math.Lgamma(a)
	scale := math.Exp(a*math.Log(x) - x - logGamma)
	if x < a+1 {
		term, sum := 1/a, 1/a
		for n := 1; n < 1000 && term > sum*1e-15; n++ {
			term *= x / (a + float64(n))
			sum += term
		}
		return 1 - scale*sum
	}
	b := x + 1 - a
	c, d := math.Inf(1), 1/b
	h := d
	for n := 1.0; n < 1000; n++ {
		an := -n * (n - a)
		b += 2
		d = 1 / (an*d + b)
		c = b + an/c
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return scale * h
}
