package topologies

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// decoder collects the problems of one file.
type decoder struct {
	file     string
	problems Problems
	traces   traces
	// parts are the mappings that change a part of what is there and keep the rest.
	parts map[*yaml.Node]bool
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
	part  bool // a mapping that keeps what it does not have
	value V    // what could be read of it, also when bad
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
		f.part = d.parts[n.Node]
		var ok bool
		if f.value, ok = read(d, n); ok {
			f.state = good
		}
	}
}

// mapping returns how to read a mapping of the given keys. Problems in a value
// do not make the mapping bad: its own field says so. Keys of elsewhere are
// known to belong somewhere else, which it names.
func mapping[T any](keys []key[T], elsewhere map[string]string) func(d *decoder, n node) (T, bool) {
	return func(d *decoder, n node) (T, bool) {
		var into T
		names := keyNames(keys)
		given := map[string]bool{}
		ok := d.pairs(n, func(name node, value node) {
			for _, k := range keys {
				if k.name == name.Value {
					given[k.name] = true
					k.decode(d, value, &into)
					return
				}
			}
			p := Problem{
				Text:     "unknown key " + quote(name.Value),
				Expected: "one of " + strings.Join(names, ", "),
				Nearest:  nearestOne(name.Value, names),
			}
			if where := elsewhere[name.Value]; where != "" {
				p = Problem{Text: "misplaced key " + quote(name.Value), Expected: "it " + where}
			}
			d.problem(place{name.place().position, n.path}, p)
			given[p.Nearest] = true // misspelt, not missing
		})
		for _, k := range keys {
			if ok && k.required && !given[k.name] && !d.parts[n.Node] {
				d.problem(n.place(), Problem{Text: "no key " + quote(k.name), Expected: k.name + ": " + k.doc})
			}
		}
		return into, ok
	}
}

func keyNames[T any](keys []key[T]) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
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
