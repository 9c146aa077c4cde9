package report

import (
	"math"
	"strconv"
)

// unit is what a rate is written in.
type unit struct {
	name string
	bps  float64
}

// unitOf returns Gbit/s from 1 Gbit/s on, as it will stand after rounding to
// three digits.
func unitOf(bps float64) unit {
	if bps >= 999.5e6 {
		return unit{"Gbit/s", 1e9}
	}
	return unit{"Mbit/s", 1e6}
}

func (u unit) format(bps float64) string { return digits3(bps / u.bps) }

// digits3 writes v with three significant digits and no exponent.
func digits3(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	// Rounding first: 9.996 has one digit before the point, 10.0 two.
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 2, 64), 64)
	if err != nil {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(rounded))))
	return strconv.FormatFloat(rounded, 'f', max(decimals, 0), 64)
}

func percent(share float64) string {
	return strconv.FormatFloat(100*share, 'f', 0, 64) + " %"
}

// counted writes a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
