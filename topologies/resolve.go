package topologies

import (
	"fmt"
	"strings"

	"github.com/tquiclab/tquiclab/emulation"
)

// resolve fills in the defaults and checks what needs more than one key. The
// result means something only if nothing was reported.
func (d *decoder) resolve(f *file, profiles []profile, engines []string) Topology {
	t := Topology{Name: f.name.value, Seed: f.seed.or(defaultSeed)}
	nodes := d.nodes(f)
	for i := range f.nodes.value {
		t.Nodes = append(t.Nodes, f.nodes.value[i].node())
	}
	t.Links = d.links(f, nodes, profiles)
	d.connections(f, t.Links)
	t.Start = f.start.or(StartFirstPacket)
	t.Events = d.events(&f.events, t)
	t.Traces = d.traces.used
	t.Experiment = d.experiment(&f.experiment, nodes, t, engines)
	return t
}

func (d *decoder) links(f *file, nodes []field[string], profiles []profile) []Link {
	if f.links.state != good {
		return nil
	}
	switch n := len(f.links.value); {
	case n == 0:
		d.problem(f.links.place, Problem{Text: "no links", Expected: "at least one, such as {name: lte, endpoints: [client, server]}"})
	case n > maxLinks:
		d.problem(f.links.value[maxLinks].place, Problem{Text: count(n, "link"), Expected: fmt.Sprintf("at most %d", maxLinks)})
		return nil
	}
	var links []Link
	var subnets []subnet
	lines := map[string]int{}
	for i := range f.links.value {
		if f.links.value[i].state != good {
			continue
		}
		l := &f.links.value[i].value
		if line := lines[l.name.value]; line != 0 {
			d.problem(l.name.place, Problem{Text: "link " + quote(l.name.value) + " again", Expected: fmt.Sprintf("a name of its own; line %d has it already", line)})
		} else if l.name.state == good {
			lines[l.name.value] = l.name.line
		}
		link, nets := d.link(i, l, nodes, profiles, f.seed.or(defaultSeed))
		links = append(links, link)
		subnets = append(subnets, nets...)
	}
	d.overlaps(subnets)
	return links
}

func (d *decoder) link(i int, l *fileLink, nodes []field[string], profiles []profile, seed uint64) (Link, []subnet) {
	link := Link{
		Name: l.name.value, Profile: l.profile.or(""), MTU: int(l.mtu.or(defaultMTU)),
		Family: l.family.or(DualStack), Wired: l.wired.or(false),
	}
	d.wantMTU(l.mtu, link.Family)
	var base profile
	for _, p := range profiles {
		if p.name == link.Profile {
			base = p
		}
	}
	if l.profile.state != bad {
		by := origin{link: link.Name, way: "up", seed: seed, carries: link.Family}
		link.Up = d.impairments(l.name.place, l.up, &base.up, base.name, by)
		by.way = "down"
		link.Down = d.impairments(l.name.place, l.down, &base.down, base.name, by)
	}
	var ok bool
	if link.Endpoints, ok = d.endpoints(l, nodes); !ok {
		return link, nil
	}
	var subnets []subnet
	link.Addresses, subnets = d.addresses(i, l, link.Family, link.Endpoints)
	return link, subnets
}

// endpoints returns the link's two nodes, and whether they are two.
func (d *decoder) endpoints(l *fileLink, nodes []field[string]) (ends [2]string, ok bool) {
	if l.endpoints.state != good {
		return ends, false
	}
	given := l.endpoints.value
	if len(given) != 2 {
		d.problem(l.endpoints.place, Problem{Text: count(len(given), "endpoint"), Expected: "exactly two nodes, such as [client, server]"})
		return ends, false
	}
	for i, f := range given {
		ends[i] = f.value
		d.wantNode(f, nodes)
	}
	if given[0].state == good && ends[0] == ends[1] {
		d.problem(given[1].place, Problem{Text: fmt.Sprintf("node %s is linked to itself", quote(ends[0])), Expected: "two different nodes"})
		return ends, false
	}
	return ends, given[0].state == good && given[1].state == good
}

// wantNode reports a node that does not exist.
func (d *decoder) wantNode(f field[string], nodes []field[string]) bool {
	if f.state != good || nodes == nil {
		return false
	}
	var names []string
	for _, n := range nodes {
		if n.value == f.value {
			return n.state == good
		}
		if n.state == good {
			names = append(names, n.value)
		}
	}
	d.problem(f.place, Problem{
		Text:     "no node " + quote(f.value),
		Expected: "one of " + some(names),
		Nearest:  nearestOne(f.value, names),
	})
	return false
}

// impairments lays what the file says over the profile's, key by key. Combinations
// that cannot be emulated are reported at the key that made them, or at fallback
// where the file has no such key.
func (d *decoder) impairments(fallback place, f field[direction], profile *direction, name string, by origin) emulation.Impairments {
	w := &f.value
	var base emulation.Impairments
	sound := f.state != bad
	if profile != nil {
		under := *profile
		if w.rate.state != absent || w.capacity.state != absent || w.steps.state != absent {
			// Nothing is made that is then replaced.
			under.capacity = field[fileCapacity]{}
			if under.steps.value.model.state != absent || w.steps.state != absent {
				under.steps = field[fileSteps]{}
			}
		}
		p, ok := d.patch(&under, base, by)
		base, sound = base.With(p), sound && ok
	}
	p, ok := d.patch(w, base, by)
	i := base.With(p)
	if sound && ok {
		d.combination(i, w, placeOf(fallback, f.place), func(f emulation.Fields) string {
			if p.Fields&f == 0 && name != "" {
				return " of profile " + name
			}
			return ""
		})
	}
	return i
}

// placeOf returns the first of places that the file has, or fallback.
func placeOf(fallback place, places ...place) place {
	for _, p := range places {
		if p.line != 0 {
			return p
		}
	}
	return fallback
}

// count returns n with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// some returns the words, or the first few of many.
func some(words []string) string {
	const most = 12
	if len(words) > most {
		return strings.Join(words[:most], ", ") + ", ..."
	}
	return strings.Join(words, ", ")
}
