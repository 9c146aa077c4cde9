package topologies

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tquiclab/tquiclab/emulation"
)

// DirectionPatch is a change to one direction of a link, or to both.
type DirectionPatch struct {
	Way   string // up or down; empty: both
	Patch emulation.Patch
}

// maxAssignments is how many assignments one change may have.
const maxAssignments = 256

// change is what the keys of a change say: of an event's set, or of assignments.
type change struct {
	both     direction
	up, down field[direction]
}

// changeKeys are those of a direction, for both, and up and down.
func changeKeys() []key[change] {
	keys := []key[change]{
		{
			name: "up", doc: "what changes from the first endpoint to the second alone",
			schema: objectSchema(directionKeys()),
			decode: at(func(c *change) *field[direction] { return &c.up }, mapping(directionKeys(), nil)),
		},
		{
			name: "down", doc: "what changes from the second endpoint to the first alone",
			schema: objectSchema(directionKeys()),
			decode: at(func(c *change) *field[direction] { return &c.down }, mapping(directionKeys(), nil)),
		},
	}
	for _, k := range directionKeys() {
		keys = append(keys, key[change]{
			name: k.name, doc: k.doc, schema: k.schema,
			decode: func(d *decoder, n node, c *change) { k.decode(d, n, &c.both) },
		})
	}
	return keys
}

// ParsePatch reads a change by hand: assignments such as rate=5mbit, loss=1%,
// down.delay=50ms, jitter.distribution=normal or loss.packets=[1, 3], in the words of
// a topology file. A dotted name changes a part of what base, the link as it is, has;
// a plain one replaces the whole. Files are relative to l.Dir, if that is set. The
// error is Problems, without places in a file, whose paths are the names.
//
// All patches belong together: the link is valid only with each of them.
func (l Loader) ParsePatch(assignments []string, base Link) ([]DirectionPatch, error) {
	d := &decoder{traces: l.sources()}
	root := d.assignments(assignments)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	c, _ := mapping(changeKeys(), nil)(d, node{root, ""})
	if len(d.problems) > 0 {
		return nil, d.problems.withoutPlaces()
	}
	up := d.changed(&c, c.up.value, base.Up, origin{link: base.Name, way: "up", seed: defaultSeed, carries: base.Family})
	down := d.changed(&c, c.down.value, base.Down, origin{link: base.Name, way: "down", seed: defaultSeed, carries: base.Family})
	if len(d.problems) > 0 {
		return nil, d.problems.withoutPlaces()
	}
	if up.Fields == down.Fields && up.Values.SameAs(down.Values) {
		return []DirectionPatch{{Patch: up}}, nil
	}
	var patches []DirectionPatch
	for _, p := range []DirectionPatch{{"up", up}, {"down", down}} {
		if !p.Patch.IsZero() {
			patches = append(patches, p)
		}
	}
	return patches, nil
}

// FormatPatch returns a patch as assignments, in the order of the keys: rate=5mbit
// loss=1%. Long schedules and traces, which no assignment could hold, are named by
// their rate.
func FormatPatch(p emulation.Patch) string {
	const most = 8
	var words []string
	for _, w := range settings(p.Values, p.Fields, nil) {
		name, value, _ := strings.Cut(w, ": ")
		if s := p.Values.Steps; name == "steps" && s != nil && len(s.Steps) > most {
			value = fmt.Sprintf("%d steps of %s", len(s.Steps), FormatRate(threeDigits(s.MeanRate())))
		}
		words = append(words, name+"="+value)
	}
	return strings.Join(words, " ")
}

// changed returns the patch of one direction.
func (d *decoder) changed(c *change, own direction, base emulation.Impairments, by origin) emulation.Patch {
	both, sound := d.patch(&c.both, base, by)
	both.Fields = needed(both, base)
	if !sound {
		return emulation.Patch{}
	}
	after := base.With(both)
	alone, sound := d.patch(&own, after, by)
	alone.Fields = needed(alone, after)
	if !sound {
		return emulation.Patch{}
	}
	w := own
	if own.given() == 0 {
		w = c.both
	}
	p := both.And(alone)
	d.combination(base.With(p), &w, place{path: by.way}, func(f emulation.Fields) string {
		if p.Fields&f == 0 {
			return " in force"
		}
		return ""
	})
	return p
}

// needed returns the fields of p without the loss models that are off before and
// after.
func needed(p emulation.Patch, base emulation.Impairments) emulation.Fields {
	f := p.Fields
	if f&lossFields != lossFields {
		return f
	}
	for _, m := range []struct {
		field emulation.Fields
		off   bool
	}{
		{emulation.FieldGilbertElliott, p.Values.GilbertElliott == emulation.GilbertElliott{} && base.GilbertElliott == emulation.GilbertElliott{}},
		{emulation.FieldFourState, p.Values.FourState == emulation.FourState{} && base.FourState == emulation.FourState{}},
		{emulation.FieldLoseEvery, p.Values.LoseEvery == 0 && base.LoseEvery == 0},
		{emulation.FieldLosePackets, p.Values.LosePackets == nil && base.LosePackets == nil},
	} {
		if m.off {
			f &^= m.field
		}
	}
	return f
}

// assignments turns name=value texts into the mapping that a file would have, whose
// dotted names make mappings that change a part.
func (d *decoder) assignments(texts []string) *yaml.Node {
	root := &yaml.Node{Kind: yaml.MappingNode, Line: 1}
	d.parts = map[*yaml.Node]bool{root: true}
	if n := len(texts); n == 0 || n > maxAssignments {
		d.report(position{}, Problem{Text: count(n, "assignment"), Expected: fmt.Sprintf("1 to %d, such as rate=5mbit or down.loss=1%%", maxAssignments)})
		return root
	}
	for _, text := range texts {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" || len(text) > maxFile/maxAssignments {
			d.report(position{}, Problem{Text: quote(text) + " is no assignment", Expected: "key=value, such as rate=5mbit or down.loss=1%"})
			continue
		}
		at := place{path: name}
		if v := d.value(at, value); v != nil {
			d.assign(root, at, strings.Split(name, "."), v)
		}
	}
	return root
}

// assign puts a value where its name leads.
func (d *decoder) assign(root *yaml.Node, at place, names []string, value *yaml.Node) {
	const deepest = 4 // down.loss.gilbert-elliott.p
	if len(names) > deepest {
		d.problem(at, Problem{Text: "a name of too many parts", Expected: "one such as down.queue.limit"})
		return
	}
	for i, name := range names {
		child := childOf(root, name)
		last := i == len(names)-1
		switch {
		case child == nil && last:
			root.Content = append(root.Content, scalar(name), value)
		case child == nil:
			child = &yaml.Node{Kind: yaml.MappingNode, Line: 1}
			d.parts[child] = true
			root.Content = append(root.Content, scalar(name), child)
		case last || !d.parts[child]:
			d.problem(at, Problem{Text: "assigned twice", Expected: "each key once, and either the whole or parts of it"})
			return
		}
		root = child
	}
}

func childOf(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// value reads what stands behind the equals sign: a list or a mapping in brackets, or
// a single value.
func (d *decoder) value(at place, text string) *yaml.Node {
	if !strings.HasPrefix(text, "[") && !strings.HasPrefix(text, "{") {
		return scalar(text)
	}
	sub := &decoder{}
	root := sub.parseYAML([]byte(text))
	for _, p := range sub.problems {
		d.problem(at, Problem{Text: p.Text, Expected: p.Expected})
	}
	return root
}

// scalar returns a plain single value as YAML reads it.
func scalar(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: text, Line: 1} // as if it stood in a file
	n.Tag = n.ShortTag()
	return n
}

// withoutPlaces takes the places out of problems with values that stand in no file.
func (p Problems) withoutPlaces() Problems {
	for i := range p {
		p[i].Line, p[i].Col = 0, 0
	}
	return p
}
