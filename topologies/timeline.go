package topologies

import (
	"fmt"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// events returns the events of a topology that has its nodes and links, and gives
// those links a wire that have some.
func (d *decoder) events(f *field[[]field[fileEvent]], t Topology) []Event {
	if f.state != good {
		return nil
	}
	if n := len(f.value); n > maxEvents {
		d.problem(f.value[maxEvents].place, Problem{Text: count(n, "event"), Expected: fmt.Sprintf("at most %d", maxEvents)})
		return nil
	}
	var events []Event
	var from []*field[fileEvent] // where each comes from
	unsound := map[string]bool{} // links whose events have problems
	for i := range f.value {
		before := len(d.problems)
		if f.value[i].state != good {
			continue
		}
		for _, e := range d.event(&f.value[i], t, len(events)) {
			events, from = append(events, e), append(from, &f.value[i])
		}
		if e := &f.value[i].value; len(d.problems) > before || e.at.state != good || e.set.state == bad {
			unsound[e.link.value] = true
		}
	}
	t.Events = events
	for i := range t.Links {
		l := &t.Links[i]
		if !unsound[l.Name] && slices.ContainsFunc(events, func(e Event) bool { return e.Link == l.Name }) {
			l.Wired = true
			d.played(t, l, "up", from)
			d.played(t, l, "down", from)
		}
	}
	return events
}

// event returns what one entry comes to: one event, or one for each part of set. done
// is how many events there are before.
func (d *decoder) event(f *field[fileEvent], t Topology, done int) []Event {
	e := &f.value
	base := Event{
		At: e.at.or(0), Every: e.every.or(0), Times: int(e.times.or(0)), Link: e.link.or(""), Way: e.way.or(""), Node: e.node.or(""),
		Ramp: e.ramp.or(0), For: e.lasts.or(0),
	}
	kind, at, ok := d.kind(f)
	if !ok {
		return nil
	}
	base.Kind = kind
	link := d.eventLink(f, kind, t)
	d.eventTimes(e, &base, at)
	if kind != EventSet {
		return []Event{base}
	}
	if link == nil || e.set.state != good {
		return nil
	}
	return d.setEvents(f, base, *link, t.Seed, done)
}

// kind returns what happens, and where that stands.
func (d *decoder) kind(f *field[fileEvent]) (EventKind, place, bool) {
	e := &f.value
	var kind EventKind
	var at place
	n, sound := 0, true
	for _, k := range []struct {
		kind  EventKind
		state state
		at    place
	}{
		{EventSet, e.set.state, e.set.place},
		{EventDown, e.down.state, e.down.place},
		{EventUp, e.up.state, e.up.place},
		{EventBlackhole, e.blackhole.state, e.blackhole.place},
		{EventThrough, e.through.state, e.through.place},
		{EventRebind, e.rebind.state, e.rebind.place},
	} {
		if k.state == absent {
			continue
		}
		n++
		kind, at, sound = k.kind, k.at, sound && k.state == good
	}
	if n != 1 {
		text := "an event without anything that happens"
		if n > 1 {
			text = fmt.Sprintf("%d things that happen in one event", n)
		}
		d.problem(f.place, Problem{Text: text, Expected: "one of set, down, up, blackhole, through and rebind"})
	}
	return kind, at, sound && n == 1
}

// eventLink checks where an event happens, and returns the link.
func (d *decoder) eventLink(f *field[fileEvent], kind EventKind, t Topology) *Link {
	e := &f.value
	if kind == EventRebind {
		d.eventNode(f, t)
		return nil
	}
	if e.node.state != absent {
		d.problem(e.node.place, Problem{Text: fmt.Sprintf("node with %s", kind), Expected: "link: only rebind happens to a node"})
	}
	if e.way.state != absent && (kind == EventDown || kind == EventUp) {
		d.problem(e.way.place, Problem{Text: fmt.Sprintf("way with %s", kind), Expected: "no way: a carrier has none; blackhole takes one"})
	}
	if e.link.state == absent {
		d.problem(f.place, Problem{Text: "no key \"link\"", Expected: "link: the link that it happens to"})
	}
	if e.link.state != good || t.Links == nil {
		return nil
	}
	var names []string
	for i := range t.Links {
		if t.Links[i].Name == e.link.value {
			return &t.Links[i]
		}
		names = append(names, t.Links[i].Name)
	}
	d.problem(e.link.place, Problem{Text: "no link " + quote(e.link.value), Expected: "one of " + some(names), Nearest: nearestOne(e.link.value, names)})
	return nil
}

// eventNode checks which NAT a rebind happens to.
func (d *decoder) eventNode(f *field[fileEvent], t Topology) {
	e := &f.value
	for _, other := range []field[string]{e.link, e.way} {
		if other.state != absent {
			_, name, _ := cutLast(other.path)
			d.problem(other.place, Problem{Text: name + " with rebind", Expected: "node alone: the nat that it happens to"})
		}
	}
	if e.node.state == absent {
		d.problem(f.place, Problem{Text: "no key \"node\"", Expected: "node: the nat that it happens to"})
	}
	if e.node.state != good || t.Nodes == nil {
		return
	}
	var names []string
	for _, n := range t.Nodes {
		if n.Name == e.node.value && n.Kind != NAT {
			d.problem(e.node.place, Problem{Text: fmt.Sprintf("node %s is a %v", quote(n.Name), n.Kind), Expected: "a nat: others have nothing to rebind"})
			return
		} else if n.Name == e.node.value {
			return
		}
		if n.Kind == NAT {
			names = append(names, n.Name)
		}
	}
	d.problem(e.node.place, Problem{Text: "no node " + quote(e.node.value), Expected: "one of " + some(names), Nearest: nearestOne(e.node.value, names)})
}

// eventTimes checks the times of an event, and fills in how long it lasts.
func (d *decoder) eventTimes(e *fileEvent, into *Event, at place) {
	lasts := into.Kind == EventDown || into.Kind == EventBlackhole
	if e.lasts.state != absent && !lasts {
		d.problem(e.lasts.place, Problem{Text: fmt.Sprintf("for with %s", into.Kind), Expected: "for with down and blackhole alone"})
	}
	for _, own := range []field[time.Duration]{e.down, e.blackhole} {
		switch {
		case own.state != good || own.value == 0:
		case e.lasts.state != absent:
			d.problem(e.lasts.place, Problem{Text: fmt.Sprintf("for beside %s: %s", into.Kind, FormatTime(own.value)), Expected: "one of them"})
		default:
			into.For = own.value
		}
	}
	if e.ramp.state != absent && into.Kind != EventSet {
		d.problem(e.ramp.place, Problem{Text: fmt.Sprintf("ramp with %s", into.Kind), Expected: "ramp with set alone"})
	}
	if e.times.state != absent && e.every.state == absent {
		d.problem(e.times.place, Problem{Text: "times without every", Expected: "every beside it: the time between them"})
	}
	if into.Every == 0 {
		return
	}
	if into.For >= into.Every {
		d.problem(placeOf(at, e.lasts.place), Problem{Text: fmt.Sprintf("%s for %s, and again every %s", into.Kind, FormatTime(into.For), FormatTime(into.Every)), Expected: "less than the time between them"})
	}
	if into.Ramp > into.Every {
		d.problem(e.ramp.place, Problem{Text: fmt.Sprintf("a ramp of %s, and again every %s", FormatTime(into.Ramp), FormatTime(into.Every)), Expected: "at most the time between them"})
	}
}

// setEvents returns the events that a set comes to: what it says for both directions
// and, after that, for each.
func (d *decoder) setEvents(f *field[fileEvent], base Event, link Link, seed uint64, done int) []Event {
	c := &f.value.set.value
	if base.Way != "" && (c.up.state != absent || c.down.state != absent) {
		d.problem(f.value.way.place, Problem{Text: "way beside up or down under set", Expected: "one of the two ways to say it"})
		return nil
	}
	var events []Event
	for _, part := range []struct {
		way string
		w   *direction
		at  place
	}{
		{base.Way, &c.both, f.value.set.place},
		{"up", &c.up.value, c.up.place},
		{"down", &c.down.value, c.down.place},
	} {
		if part.w.given() == 0 {
			continue
		}
		by := origin{link: link.Name, way: part.way, event: done + len(events) + 1, seed: seed, carries: link.Family}
		p, ok := d.patch(part.w, emulation.Impairments{}, by)
		if !ok {
			continue
		}
		e := base
		if e.Way, e.Set = part.way, p; e.Ramp != 0 {
			d.ramp(&e, part.at)
		}
		events = append(events, e)
	}
	if len(events) == 0 && c.up.state != bad && c.down.state != bad && c.given() == 0 {
		d.problem(f.value.set.place, Problem{Text: "set changes nothing", Expected: "impairments such as rate: 2mbit, or up and down with some"})
	}
	return events
}

// given returns what a change sets in any direction.
func (c *change) given() emulation.Fields {
	return c.both.given() | c.up.value.given() | c.down.value.given()
}

// ramp checks what a ramp goes through. A loss is the random one alone.
func (d *decoder) ramp(e *Event, at place) {
	if e.Set.Fields&lossFields != 0 && !otherLoss(e.Set.Values) {
		e.Set.Fields = e.Set.Fields&^lossFields | emulation.FieldLoss
	}
	if other := e.Set.Fields &^ emulation.RampFields; other != 0 {
		d.problem(at, Problem{Text: fmt.Sprintf("a ramp through %v", other), Expected: fmt.Sprintf("a ramp through %v alone", emulation.Fields(emulation.RampFields))})
	}
}

// played plays what happens to one direction, and reports the first event that cannot.
// from says which entry of the file an event comes from.
func (d *decoder) played(t Topology, l *Link, way string, from []*field[fileEvent]) {
	var order []int
	for i, e := range t.Events {
		if e.Link == l.Name && (e.Way == "" || e.Way == way) && e.Kind == EventSet {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(t.Events[a].At - t.Events[b].At) })
	state := lightened(l.Direction(way))
	if state.Validate() != nil {
		return // reported
	}
	for _, i := range order {
		e := t.Events[i]
		state = lightened(state.With(e.Set))
		if state.Validate() == nil {
			continue
		}
		c := &from[i].value.set.value
		w := c.both
		if own := map[string]*direction{"up": &c.up.value, "down": &c.down.value}[way]; own.given() != 0 {
			w = *own
		}
		n := len(d.problems)
		d.combination(state, &w, from[i].value.set.place, func(f emulation.Fields) string {
			if e.Set.Fields&f == 0 {
				return " from before"
			}
			return ""
		})
		for ; n < len(d.problems); n++ {
			d.problems[n].Text = fmt.Sprintf("from %s on, %s of %s: %s", FormatTime(e.At), way, l.Name, d.problems[n].Text)
		}
		return
	}
	timeline := t.Timeline(l.Name, way)
	for i := range timeline {
		timeline[i].Patch.Values = lightened(timeline[i].Patch.Values)
	}
	if err := timeline.Validate(lightened(l.Direction(way))); err != nil {
		d.problem(from[0].place, Problem{Text: fmt.Sprintf("the events of %s %s: %s", l.Name, way, oneLine(err.Error()))})
	}
}

// lightened puts short traces in the place of long ones, which were checked when they
// were read: what is left to check is what goes with them.
func lightened(i emulation.Impairments) emulation.Impairments {
	if i.Capacity != nil {
		i.Capacity = &emulation.Trace{1}
	}
	if i.Steps != nil {
		i.Steps = &emulation.Schedule{Columns: i.Steps.Columns, Steps: []emulation.Step{{Rate: 1e6}}}
	}
	if i.LosePackets != nil {
		i.LosePackets = &emulation.PacketList{1}
	}
	return i
}
