package topologies

import (
	"math/big"
	"strconv"
	"strings"
)

// decimal is an unsigned decimal number as it was written: digits, and perhaps a
// point with digits after it. There are no signs and no exponents.
type decimal struct {
	whole, fraction string
}

// cutDecimal splits the decimal off the front of text. It reports false when
// text does not start with one, as in ".5" or "5.".
func cutDecimal(text string) (d decimal, rest string, ok bool) {
	d.whole, rest = cutDigits(text)
	if after, found := strings.CutPrefix(rest, "."); found {
		d.fraction, rest = cutDigits(after)
		ok = d.fraction != ""
	} else {
		ok = true
	}
	return d, rest, ok && d.whole != ""
}

func cutDigits(text string) (digits, rest string) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return text[:n], text[n:]
}

func (d decimal) String() string {
	if d.fraction == "" {
		return d.whole
	}
	return d.whole + "." + d.fraction
}

// scaled is the outcome of decimal.times.
type scaled int

const (
	scaledExactly scaled = iota
	scaledTooLarge
	scaledUnevenly // the product is not a whole number
)

// times returns d * scale, exactly. The product must be whole and at most most.
func (d decimal) times(scale, most uint64) (uint64, scaled) {
	// No unit is over 2^30 or 10^12, so that a fraction of more than 30
	// significant digits cannot come out whole; 20 digits overflow 64 bits.
	const longestWhole, longestFraction = 20, 30
	whole, fraction := strings.TrimLeft(d.whole, "0"), strings.TrimRight(d.fraction, "0")
	if len(whole) > longestWhole {
		return 0, scaledTooLarge
	}
	if len(fraction) > longestFraction {
		return 0, scaledUnevenly
	}
	n, _ := new(big.Int).SetString("0"+whole+fraction, 10)
	n.Mul(n, new(big.Int).SetUint64(scale))
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(fraction))), nil)
	n, rest := n.QuoRem(n, ten, new(big.Int))
	switch {
	case n.Cmp(new(big.Int).SetUint64(most)) > 0:
		return 0, scaledTooLarge
	case rest.Sign() != 0:
		return 0, scaledUnevenly
	}
	return n.Uint64(), scaledExactly
}

// percent returns d / 100 as the nearest double, if that is at most 1.
func (d decimal) percent() (float64, bool) {
	// Shifting the point in the text and converting once rounds once.
	p, err := strconv.ParseFloat(d.String()+"e-2", 64)
	return p, err == nil && p <= 1
}

// over returns n / scale as a decimal, exactly, or false where that would take
// more digits than anyone wants to read.
func over(n, scale uint64) (decimal, bool) {
	const longest = 12
	d := decimal{whole: strconv.FormatUint(n/scale, 10)}
	for rest := n % scale; rest != 0; rest = rest * 10 % scale {
		if len(d.fraction) == longest {
			return decimal{}, false
		}
		d.fraction += strconv.FormatUint(rest*10/scale, 10)
	}
	return d, true
}
