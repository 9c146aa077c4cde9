package topologies

import (
	"strings"
)

// measure is a kind of quantity: what it is called, which units it takes, and
// what to guess when the unit is wrong.
type measure struct {
	what    string // "a rate"
	example string
	unit    string // to put behind a number that has none
	units   []unit
	guess   func(n decimal, unit string) string
	zero    string // why 0 is refused; empty where it is not
}

func rateMeasure() measure {
	return measure{"a rate", "30mbit", "mbit", rateUnits(), guessRate, "lets nothing pass"}
}

func sizeMeasure() measure {
	return measure{"a size", "64KB", "KB", sizeUnits(), guessSize, ""}
}

func timeMeasure() measure {
	return measure{"a time", "30ms", "ms", timeUnits(), guessTime, ""}
}

func percentMeasure() measure {
	return measure{"a percentage", "0.1%", "%", []unit{{name: "%"}}, func(n decimal, unit string) string {
		switch strings.ToLower(unit) {
		case "%", "percent", "pct", "pc":
			return n.String() + "%"
		}
		return ""
	}, ""}
}

func queueMeasure() measure {
	units := append(append(timeUnits(), sizeUnits()...), packetUnits()...)
	return measure{"a queue", "100ms, 64KB or 50packets", "", units, guessQueue, "holds nothing"}
}

// pattern returns the regular expression (ECMA 262, for the JSON Schema) of the
// texts that parse as this measure, but for its bounds.
func (m measure) pattern() string {
	return `^[0-9]+(\.[0-9]+)?(` + strings.Join(unitNames(m.units), "|") + `)$`
}

// parse returns the quantity in its base unit, and the unit it was written in.
func (m measure) parse(text string) (uint64, unit, *QuantityError) {
	n, rest, err := m.cut(text)
	if err != nil {
		return 0, unit{}, err
	}
	if rest == "" {
		return 0, unit{}, m.noUnit(text, n)
	}
	for _, u := range m.units {
		if u.name != rest {
			continue
		}
		v, how := n.times(u.scale, u.most)
		switch how {
		case scaledTooLarge:
			return 0, u, &QuantityError{Text: quote(text) + " is too large", Expected: "at most " + formatUnits(int64(u.most), m.unitsLike(u))}
		case scaledUnevenly:
			return 0, u, &QuantityError{Text: quote(text) + " is no whole number of " + u.base, Expected: m.what + " without so fine a fraction"}
		}
		if v == 0 && m.zero != "" {
			return 0, u, &QuantityError{Text: quote(text) + " " + m.zero, Expected: m.what + " above 0, or " + Unlimited}
		}
		return v, u, nil
	}
	return 0, unit{}, m.wrongUnit(text, n, rest)
}

// unitsLike returns the units of m that measure the same thing as u.
func (m measure) unitsLike(u unit) []unit {
	for _, units := range [][]unit{rateUnits(), sizeUnits(), timeUnits()} {
		if hasUnit(units, u.name) {
			return units
		}
	}
	return []unit{u}
}

// cut splits text into its number and what follows.
func (m measure) cut(text string) (decimal, string, *QuantityError) {
	n, rest, ok := cutDecimal(text)
	switch {
	case ok:
		return n, rest, nil
	case text == "":
		return n, "", &QuantityError{Text: "no value", Expected: m.wanted()}
	case isNoNumber(text):
		return n, "", &QuantityError{Text: quote(text) + " is not a finite number", Expected: m.wanted()}
	case strings.HasPrefix(text, "-"):
		return n, "", &QuantityError{Text: quote(text) + " is negative", Expected: m.wanted()}
	}
	nearest := ""
	if strings.HasPrefix(text, ".") {
		nearest = m.ifValid("0" + text)
	} else if after, found := strings.CutPrefix(text, "+"); found {
		nearest = m.ifValid(after)
	}
	return n, "", &QuantityError{Text: quote(text) + " is not " + m.what, Expected: m.wanted(), Nearest: nearest}
}

func (m measure) noUnit(text string, n decimal) *QuantityError {
	example := m.example
	if guess := m.ifValid(n.String() + m.unit); guess != "" {
		example = guess
	}
	return &QuantityError{Text: quote(text) + " has no unit", Expected: m.what + " with its unit, such as " + example}
}

func (m measure) wrongUnit(text string, n decimal, rest string) *QuantityError {
	e := &QuantityError{Text: "unknown unit " + quote(rest) + " in " + quote(text), Expected: m.wanted()}
	trimmed := strings.TrimSpace(rest)
	switch {
	case trimmed != rest && hasUnit(m.units, trimmed):
		e.Text = "space in " + quote(text)
		e.Nearest = m.ifValid(n.String() + trimmed)
	default:
		e.Nearest = m.ifValid(m.guess(n, trimmed))
	}
	return e
}

// wanted says what a value of this measure looks like.
func (m measure) wanted() string {
	if len(m.units) == 1 {
		return m.what + ", such as " + m.example
	}
	return m.what + " in " + strings.Join(unitNames(m.units), ", ") + ", such as " + m.example
}

// ifValid returns text if it is a value of this measure, else nothing: what is
// suggested must work. It looks at the form alone, so that it cannot recurse.
func (m measure) ifValid(text string) string {
	const longest = 40
	n, rest, ok := cutDecimal(text)
	if !ok || len(text) > longest {
		return ""
	}
	for _, u := range m.units {
		if u.name != rest {
			continue
		}
		if u.scale == 0 { // a percentage
			if _, ok := n.percent(); ok {
				return text
			}
			continue
		}
		if v, how := n.times(u.scale, u.most); how == scaledExactly && (v > 0 || m.zero == "") {
			return text
		}
	}
	return ""
}

// isNoNumber reports whether text is one of YAML's spellings of what is not a
// finite number.
func isNoNumber(text string) bool {
	switch strings.TrimLeft(strings.ToLower(text), "+-.") {
	case "nan", "inf", "infinity":
		return true
	}
	return false
}

// asError keeps a nil *QuantityError from becoming a non-nil error.
func asError(e *QuantityError) error {
	if e == nil {
		return nil
	}
	return e
}
