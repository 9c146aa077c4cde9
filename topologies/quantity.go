package topologies

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Unlimited is the word that files write for no rate limit and no queue limit.
const Unlimited = "unlimited"

// QuantityError says why a text is not the quantity that was wanted.
type QuantityError struct {
	Text     string // what is wrong, with the offending text
	Expected string // what would be right
	Nearest  string // the likely right spelling; empty when there is none
}

// Error returns the three parts as one sentence.
func (e *QuantityError) Error() string { return sentence(e.Text, e.Expected, e.Nearest) }

// ParseRate reads a rate: a decimal number with bit, kbit, mbit or gbit (bit/s,
// SI prefixes) and nothing in between, or "unlimited", which is 0. The error is
// a *QuantityError, as it is for all parsers here.
func ParseRate(text string) (emulation.Rate, error) {
	if text == Unlimited {
		return 0, nil
	}
	n, _, err := rateMeasure().parse(text)
	return emulation.Rate(n), asError(err)
}

// ParseSize reads a size: a decimal number with B, KB, MB, GB (powers of 1000),
// KiB, MiB or GiB (powers of 1024). It must come to whole bytes.
func ParseSize(text string) (emulation.ByteCount, error) {
	n, _, err := sizeMeasure().parse(text)
	return emulation.ByteCount(n), asError(err)
}

// ParseTime reads a time: a decimal number with ns, us, ms, s or m (minutes), up
// to a day. It must come to whole nanoseconds.
func ParseTime(text string) (time.Duration, error) {
	n, _, err := timeMeasure().parse(text)
	return time.Duration(n), asError(err)
}

// ParseQueue reads a queue limit: a time at the direction's rate (100ms), a size
// (64KB), a number of packets (50packets, also for one), or "unlimited".
func ParseQueue(text string) (emulation.Queue, error) {
	if text == Unlimited {
		return emulation.Queue{}, nil
	}
	n, u, err := queueMeasure().parse(text)
	switch {
	case err != nil:
		return emulation.Queue{}, err
	case hasUnit(packetUnits(), u.name):
		return emulation.Queue{Packets: int(n)}, nil
	case hasUnit(sizeUnits(), u.name):
		return emulation.Queue{Bytes: emulation.ByteCount(n)}, nil
	}
	return emulation.Queue{Time: time.Duration(n)}, nil
}

// ParsePercent reads a percentage such as 0.1% and returns it as a fraction in
// [0, 1]: the double nearest to the decimal that was written, so that 0.1% is
// exactly 0.001.
func ParsePercent(text string) (float64, error) {
	m := percentMeasure()
	n, rest, err := m.cut(text)
	switch {
	case err != nil:
		return 0, err
	case rest == "":
		return 0, m.noUnit(text, n)
	case rest != "%":
		return 0, m.wrongUnit(text, n, rest)
	}
	p, ok := n.percent()
	if !ok {
		return 0, &QuantityError{Text: quote(text) + " is over 100%", Expected: "a percentage from 0% to 100%"}
	}
	return p, nil
}

// FormatRate returns the shortest spelling that ParseRate reads back as r.
func FormatRate(r emulation.Rate) string {
	if r == 0 {
		return Unlimited
	}
	return formatUnits(int64(r), rateUnits())
}

// FormatSize returns the shortest spelling that ParseSize reads back as n.
func FormatSize(n emulation.ByteCount) string { return formatUnits(int64(n), sizeUnits()) }

// FormatTime returns the shortest spelling that ParseTime reads back as d.
func FormatTime(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	return formatUnits(int64(d), timeUnits())
}

// FormatQueue returns the shortest spelling that ParseQueue reads back as q.
func FormatQueue(q emulation.Queue) string {
	switch {
	case q.Packets != 0:
		return formatUnits(int64(q.Packets), packetUnits())
	case q.Bytes != 0:
		return FormatSize(q.Bytes)
	case q.Time != 0:
		return FormatTime(q.Time)
	}
	return Unlimited
}

// FormatPercent returns the shortest spelling that ParsePercent reads back as
// the fraction p.
func FormatPercent(p float64) string {
	if p == 0 || math.IsNaN(p) || math.IsInf(p, 0) {
		return strconv.FormatFloat(math.Abs(p), 'f', -1, 64) + "%"
	}
	// The shortest digits that name the double stay the same when the point
	// moves; p*100 would round.
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(p, 'e', -1, 64), "e")
	shift, _ := strconv.Atoi(exponent)
	return shiftPoint(mantissa, shift+2) + "%"
}

// shiftPoint returns mantissa (one digit, perhaps a point and more) times ten to
// the power of shift, without an exponent.
func shiftPoint(mantissa string, shift int) string {
	whole, fraction, _ := strings.Cut(mantissa, ".")
	for ; shift > 0; shift-- {
		if fraction == "" {
			fraction = "0"
		}
		whole, fraction = whole+fraction[:1], fraction[1:]
	}
	if shift < 0 {
		whole, fraction = "0", strings.Repeat("0", -shift-1)+whole+fraction
	}
	return decimal{whole, fraction}.String()
}

// formatUnits picks the unit that makes n shortest, with at least 1 before the
// point; at a tie the smaller unit, so that 1100B is not 1.1KB. A negative n, which no parser
// returns, keeps its sign.
func formatUnits(n int64, units []unit) string {
	if n < 0 {
		return strconv.FormatInt(n, 10) + units[0].name
	}
	best := strconv.FormatInt(n, 10) + units[0].name
	for _, u := range units[1:] {
		if uint64(n) < u.scale {
			continue
		}
		d, exact := over(uint64(n), u.scale)
		text := d.String() + u.name
		if exact && len(text) < len(best) {
			best = text
		}
	}
	return best
}
