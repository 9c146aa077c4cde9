package topologies

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Readers turn a node into a value, or report why they cannot.

// list returns how to read a list whose items are read by item.
func list[V any](item func(d *decoder, n node) (V, bool)) func(d *decoder, n node) ([]field[V], bool) {
	return func(d *decoder, n node) ([]field[V], bool) {
		if !d.wantKind(n, yaml.SequenceNode) {
			return nil, false
		}
		items := make([]field[V], len(n.Content))
		for i := range n.Content {
			at(func(f *field[V]) *field[V] { return f }, item)(d, n.item(i), &items[i])
		}
		return items, true
	}
}

// quantity returns how to read a value that parse understands.
func quantity[V any](parse func(string) (V, error)) func(d *decoder, n node) (V, bool) {
	return func(d *decoder, n node) (V, bool) {
		var zero V
		if !d.wantKind(n, yaml.ScalarNode) {
			return zero, false
		}
		text := n.Value
		if isNull(n.Node) {
			text = ""
		}
		v, err := parse(text)
		if err != nil {
			p := Problem{Text: err.Error()}
			if e, ok := err.(*QuantityError); ok {
				p = Problem{Text: e.Text, Expected: e.Expected, Nearest: e.Nearest}
			}
			d.problem(n.place(), p)
			return zero, false
		}
		return v, true
	}
}

// word reads a text. It refuses what YAML takes for something else, so that
// editors that follow the schema see the file as we do.
func word(d *decoder, n node) (string, bool) {
	if !d.wantKind(n, yaml.ScalarNode) {
		return "", false
	}
	if isNull(n.Node) || n.Value == "" {
		d.problem(n.place(), Problem{Text: "no value", Expected: "a word"})
		return "", false
	}
	if n.Tag != "!!str" && n.Style&yaml.TaggedStyle == 0 {
		d.problem(n.place(), Problem{Text: fmt.Sprintf("YAML takes %s for %s", quote(n.Value), tagName(n.Tag)), Expected: "it in quotes, to be a word"})
		return n.Value, false
	}
	return n.Value, true
}

// checked reads a word and then runs check on it.
func checked(check func(text string) (Problem, bool)) func(d *decoder, n node) (string, bool) {
	return func(d *decoder, n node) (string, bool) {
		text, ok := word(d, n)
		if !ok {
			return text, false
		}
		p, ok := check(text)
		if !ok {
			d.problem(n.place(), p)
		}
		return text, ok
	}
}

// either returns how to read a value that has a short form, which is read by scalar
// into the one field that it sets, and a mapping.
func either[V, S any](scalar func(d *decoder, n node) (S, bool), into func(*V) *field[S], keys []key[V]) func(d *decoder, n node) (V, bool) {
	return func(d *decoder, n node) (V, bool) {
		if n.Kind == yaml.MappingNode {
			return mapping(keys, nil)(d, n)
		}
		var v V
		at(into, scalar)(d, n, &v)
		return v, into(&v).state == good
	}
}

// orNone adds a word for nothing: the zero value.
func orNone[V any](read func(d *decoder, n node) (V, bool)) func(d *decoder, n node) (V, bool) {
	return orWordOf(none, read)
}

// orAny adds the word for no bound: the zero value.
func orAny[V any](read func(d *decoder, n node) (V, bool)) func(d *decoder, n node) (V, bool) {
	return orWordOf(anySize, read)
}

func orWordOf[V any](word string, read func(d *decoder, n node) (V, bool)) func(d *decoder, n node) (V, bool) {
	return func(d *decoder, n node) (V, bool) {
		if n.Kind == yaml.ScalarNode && n.Value == word {
			var zero V
			return zero, true
		}
		return read(d, n)
	}
}

// boolean reads true or false.
func boolean(d *decoder, n node) (bool, bool) {
	if !d.wantKind(n, yaml.ScalarNode) {
		return false, false
	}
	if n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false") {
		return n.Value == "true", true
	}
	p := Problem{Text: quote(n.Value) + " is neither true nor false", Expected: "true or false"}
	if isNull(n.Node) {
		p.Text = "no value"
	}
	d.problem(n.place(), p)
	return false, false
}

// wordOf reads a value by its name.
func wordOf[V fmt.Stringer](what string, values []V) func(d *decoder, n node) (V, bool) {
	read := oneOf(what, words(values))
	return func(d *decoder, n node) (V, bool) {
		text, ok := read(d, n)
		for _, v := range values {
			if ok && v.String() == text {
				return v, true
			}
		}
		var zero V
		return zero, false
	}
}

func words[V fmt.Stringer](values []V) []string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.String()
	}
	return names
}

// positiveTime reads a time above 0.
func positiveTime(d *decoder, n node) (time.Duration, bool) {
	t, ok := quantity(ParseTime)(d, n)
	if ok && t == 0 {
		d.problem(n.place(), Problem{Text: "a time of 0", Expected: "a time above 0, such as 30ms"})
		return 0, false
	}
	return t, ok
}

// oneOf reads a word of a closed set.
func oneOf(what string, words []string) func(d *decoder, n node) (string, bool) {
	return checked(func(text string) (Problem, bool) {
		for _, w := range words {
			if w == text {
				return Problem{}, true
			}
		}
		expected := "one of " + strings.Join(words, ", ")
		if len(words) == 1 {
			expected = words[0]
		}
		return Problem{Text: "unknown " + what + " " + quote(text), Expected: expected, Nearest: nearestOne(text, words)}, false
	})
}

// integer returns how to read a whole number from least to most. what names it
// in errors: "a number of streams".
func integer(what string, least, most uint64) func(d *decoder, n node) (uint64, bool) {
	return func(d *decoder, n node) (uint64, bool) {
		expected := fmt.Sprintf("%s from %d to %d", what, least, most)
		v, ok := wholeNumber(d, n, expected)
		if ok && (v < least || v > most) {
			d.problem(n.place(), Problem{Text: n.Value + " is out of range", Expected: expected})
			return 0, false
		}
		return v, ok
	}
}

// wholeNumber reads plain digits: no hexadecimal, no octal, no quotes.
func wholeNumber(d *decoder, n node, expected string) (uint64, bool) {
	if !d.wantKind(n, yaml.ScalarNode) {
		return 0, false
	}
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	magnitude, negative := strings.CutPrefix(n.Value, "-")
	digits, rest := cutDigits(magnitude)
	p := Problem{Text: quote(n.Value) + " is not a whole number", Expected: expected + ", in plain digits"}
	switch {
	case isNull(n.Node):
		p = Problem{Text: "no value", Expected: expected}
	case quoted:
		p.Text = quote(n.Value) + " is in quotes"
	case digits == "" || rest != "" || digits[0] == '0' && digits != "0":
	case negative:
		p = Problem{Text: quote(n.Value) + " is negative", Expected: expected}
	default:
		v, err := strconv.ParseUint(digits, 10, 64)
		if err == nil {
			return v, true
		}
		p = Problem{Text: quote(n.Value) + " is out of range", Expected: expected}
	}
	d.problem(n.place(), p)
	return 0, false
}
