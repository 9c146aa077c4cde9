package topologies

import (
	"fmt"
	"slices"

	"github.com/tquiclab/tquiclab/emulation"
)

// experiment returns nil where the file has none.
func (d *decoder) experiment(f *field[fileExperiment], nodes []field[string], t Topology, engines []string) *Experiment {
	if f.state != good {
		return nil
	}
	e := &f.value
	fromOK, toOK := d.wantNode(e.from, nodes), d.wantNode(e.to, nodes)
	out := &Experiment{
		From:     e.from.value,
		To:       e.to.value,
		Workload: d.workload(&e.workload),
		Rounds:   int(e.rounds.or(defaultRounds)),
	}
	var joining []string
	if fromOK && toOK {
		joining = d.joining(e, t)
	}
	out.Engines = d.engines(e, t.Links, joining, engines)
	out.Paths = d.choices("path", e.paths, maxLinks, func(name string) (Problem, bool) {
		for _, p := range checkEngine(EngineRef{Links: []string{name}}, t.Links, joining, nil) {
			return p, false
		}
		return Problem{}, true
	})
	anything := func(string) (Problem, bool) { return Problem{}, true } // only engines know
	out.Schedulers = d.choices("scheduler", e.schedulers, maxChoices, anything)
	out.Congestions = d.choices("congestion control", e.congestions, maxChoices, anything)
	return out
}

// joining returns the names of the links that an arm may be pinned to: the first of
// each path between the experiment's two nodes.
func (d *decoder) joining(e *fileExperiment, t Topology) []string {
	from, to := e.from.value, e.to.value
	if from == to {
		d.problem(e.to.place, Problem{Text: fmt.Sprintf("node %s sends to itself", quote(to)), Expected: "a node other than from"})
		return nil
	}
	if t.Links == nil {
		return nil
	}
	sound := true
	for _, f := range []field[string]{e.from, e.to} {
		for _, n := range t.Nodes {
			if n.Name == f.value && n.Forwards() {
				d.problem(f.place, Problem{Text: fmt.Sprintf("node %s is a %v", quote(n.Name), n.Kind), Expected: "a host: routers and NATs only pass packets on"})
				sound = false
			}
		}
	}
	if !sound {
		return nil
	}
	names := t.PathNames(from, to)
	if len(names) == 0 {
		d.problem(e.to.place, Problem{Text: fmt.Sprintf("no path joins %s and %s", quote(from), quote(to)), Expected: "two hosts with a link between them, or routers and NATs that lead from one to the other"})
		return nil
	}
	return names
}

// engines checks the list of engines. joining is nil where it is not known which
// links an arm may be pinned to.
func (d *decoder) engines(e *fileExperiment, links []Link, joining, known []string) []string {
	if e.engines.state != good {
		return nil
	}
	switch n := len(e.engines.value); {
	case n == 0:
		d.problem(e.engines.place, Problem{Text: "no engines", Expected: "at least one" + such(known)})
	case n > maxEngines:
		d.problem(e.engines.value[maxEngines].place, Problem{Text: count(n, "engine"), Expected: fmt.Sprintf("at most %d", maxEngines)})
		return nil
	}
	var out []string
	lines := map[string]int{}
	for _, f := range e.engines.value {
		if f.state != good {
			continue
		}
		for _, p := range checkEngine(f.value, links, joining, known) {
			d.problem(f.place, p)
		}
		if line := lines[f.value.arm()]; line != 0 {
			d.problem(f.place, Problem{Text: "engine " + quote(f.value.String()) + " again", Expected: fmt.Sprintf("each arm once; line %d has it already", line)})
		}
		lines[f.value.arm()] = f.line
		out = append(out, f.value.String())
	}
	return out
}

// choices checks a list of names, each of a what. It returns nil where the file has
// none.
func (d *decoder) choices(what string, f field[[]field[string]], most int, check func(string) (Problem, bool)) []string {
	if f.state != good {
		return nil
	}
	switch n := len(f.value); {
	case n == 0:
		d.problem(f.place, Problem{Text: "no " + what, Expected: "at least one, or no such key"})
	case n > most:
		d.problem(f.value[most].place, Problem{Text: count(n, what), Expected: fmt.Sprintf("at most %d", most)})
		return nil
	}
	var out []string
	lines := map[string]int{}
	for _, item := range f.value {
		if item.state != good {
			continue
		}
		if p, ok := check(item.value); !ok {
			d.problem(item.place, p)
		}
		if line := lines[item.value]; line != 0 {
			d.problem(item.place, Problem{Text: what + " " + quote(item.value) + " again", Expected: fmt.Sprintf("each once; line %d has it already", line)})
		}
		lines[item.value] = item.line
		out = append(out, item.value)
	}
	return out
}

func such(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return " of " + some(words)
}

// CheckExperiment returns what is wrong with an experiment that was put into a
// resolved topology, as Problems, by the rules for files. It reads no files.
func (l Loader) CheckExperiment(t Topology) error {
	t.Events, t.Traces = nil, nil
	t.Links = slices.Clone(t.Links)
	for i := range t.Links {
		t.Links[i].Profile, t.Links[i].Up, t.Links[i].Down = "", emulation.Impairments{}, emulation.Impairments{}
	}
	_, err := l.Parse("experiment", []byte(Show(t)))
	return err
}
