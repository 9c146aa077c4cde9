package topologies

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// decoder collects the problems of one file.
type decoder struct {
	file     string
	problems Problems
}

func (d *decoder) report(at position, p Problem) {
	p.File, p.Line, p.Col = d.file, at.line, at.col
	d.problems = append(d.problems, p)
}

// node is a YAML value and the path that leads to it.
type node struct {
	*yaml.Node
	path string
}

func (n node) place() place { return place{position{n.Line, n.Column}, n.path} }

func (n node) item(i int) node { return node{n.Content[i], fmt.Sprintf("%s[%d]", n.path, i)} }

func (n node) key(name string, value *yaml.Node) node {
	if n.path == "" {
		return node{value, name}
	}
	return node{value, n.path + "." + name}
}

// place is where a value stands in the file and in the structure.
type place struct {
	position
	path string
}

func (d *decoder) problem(at place, p Problem) {
	p.Path = at.path
	d.report(at.position, p)
}

// state says what became of a key.
type state uint8

const (
	absent state = iota // the file does not have it
	bad                 // it has, and the problem is reported
	good
)

// field is what a file says about one key.
type field[V any] struct {
	place
	state state
	value V // what could be read of it, also when bad
}

// or returns the value, or fallback where the file gives no usable one.
func (f field[V]) or(fallback V) V {
	if f.state == good {
		return f.value
	}
	return fallback
}

// key is one key of a mapping that decodes into a T: the one description that
// the strict decoder, the JSON Schema and its completions come from.
type key[T any] struct {
	name     string
	doc      string // what it means, in a sentence for users
	schema   schema // what its value may be
	required bool
	decode   func(d *decoder, n node, into *T)
}

// at returns a key's decode function from where the value goes and how it is read.
func at[T, V any](of func(*T) *field[V], read func(d *decoder, n node) (V, bool)) func(*decoder, node, *T) {
	return func(d *decoder, n node, into *T) {
		f := of(into)
		f.place = n.place()
		f.state = bad
		var ok bool
		if f.value, ok = read(d, n); ok {
			f.state = good
		}
	}
}

// mapping returns how to read a mapping of the given keys. Problems in a value
// do not make the mapping bad: its own field says so.
func mapping[T any](keys []key[T]) func(d *decoder, n node) (T, bool) {
	return func(d *decoder, n node) (T, bool) {
		var into T
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = k.name
		}
		given := map[string]bool{}
		ok := d.pairs(n, func(name node, value node) {
			for _, k := range keys {
				if k.name == name.Value {
					given[k.name] = true
					k.decode(d, value, &into)
					return
				}
			}
			d.problem(place{name.place().position, n.path}, Problem{
				Text:     "unknown key " + quote(name.Value),
				Expected: "one of " + strings.Join(names, ", "),
				Nearest:  nearestOne(name.Value, names),
			})
		})
		for _, k := range keys {
			if ok && k.required && !given[k.name] {
				d.problem(n.place(), Problem{Text: "no key " + quote(k.name), Expected: k.name + ": " + k.doc})
			}
		}
		return into, ok
	}
}

// pairs calls do for each key of the mapping n that is a word and stands there
// for the first time.
func (d *decoder) pairs(n node, do func(name, value node)) bool {
	if !d.wantKind(n, yaml.MappingNode) {
		return false
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		at := place{position{name.Line, name.Column}, n.path}
		switch {
		case isMerge(name) || name.Kind == yaml.AliasNode:
			continue // refuse has reported it
		case name.Kind != yaml.ScalarNode || isNull(name):
			d.problem(at, Problem{Text: kindName(name) + " as a key", Expected: "a word"})
			continue
		case first[name.Value] != 0:
			d.problem(at, Problem{Text: fmt.Sprintf("key %s again", quote(name.Value)), Expected: fmt.Sprintf("it once; it stands in line %d already", first[name.Value])})
			continue
		}
		first[name.Value] = name.Line
		do(node{name, n.path}, n.key(name.Value, n.Content[i+1]))
	}
	return true
}

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

// integer returns how to read a whole number from least to most. what names it
// in errors: "a number of streams".
func integer(what string, least, most uint64) func(d *decoder, n node) (uint64, bool) {
	return func(d *decoder, n node) (uint64, bool) {
		if !d.wantKind(n, yaml.ScalarNode) {
			return 0, false
		}
		expected := fmt.Sprintf("%s from %d to %d", what, least, most)
		plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
		switch {
		case isNull(n.Node):
			d.problem(n.place(), Problem{Text: "no value", Expected: expected})
			return 0, false
		case !plain || !regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`).MatchString(n.Value):
			d.problem(n.place(), Problem{Text: quote(n.Value) + " is not a whole number", Expected: expected + ", in plain digits"})
			return 0, false
		}
		v, err := strconv.ParseUint(n.Value, 10, 64)
		if err != nil || v < least || v > most {
			d.problem(n.place(), Problem{Text: n.Value[:min(len(n.Value), 40)] + " is out of range", Expected: expected})
			return 0, false
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

// wantKind reports a value of another kind. Aliases are reported already.
func (d *decoder) wantKind(n node, kind yaml.Kind) bool {
	if n.Kind != kind && n.Kind != yaml.AliasNode {
		d.problem(n.place(), Problem{Text: "this is " + kindName(n.Node), Expected: kindName(&yaml.Node{Kind: kind})})
	}
	return n.Kind == kind
}

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping (key: value)"
	case n.Kind == yaml.SequenceNode:
		return "a list ([...] or - items)"
	case isNull(n):
		return "no value"
	}
	return "a single value"
}

func tagName(tag string) string {
	switch tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "something else"
}
