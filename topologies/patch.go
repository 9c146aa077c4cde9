package topologies

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tquiclab/tquiclab/emulation"
)

// lossFields are those that the key loss sets.
const lossFields = emulation.FieldLoss | emulation.FieldGilbertElliott | emulation.FieldFourState | emulation.FieldLoseEvery | emulation.FieldLosePackets

// given returns the fields that w sets.
func (w *direction) given() (f emulation.Fields) {
	for _, g := range []struct {
		state  state
		fields emulation.Fields
	}{
		{w.rate.state, emulation.FieldRate},
		{w.capacity.state, emulation.FieldCapacity},
		{w.steps.state, emulation.FieldSteps},
		{w.delay.state, emulation.FieldDelay},
		{w.jitter.state, emulation.FieldJitter},
		{w.loss.state, lossFields},
		{w.duplicate.state, emulation.FieldDuplicate},
		{w.corrupt.state, emulation.FieldCorrupt},
		{w.reorder.state, emulation.FieldReorder},
		{w.slot.state, emulation.FieldSlot},
		{w.queue.state, emulation.FieldQueue},
		{w.mtu.state, emulation.FieldMTU},
		{w.blackhole.state, emulation.FieldBlackhole},
	} {
		if g.state != absent {
			f |= g.fields
		}
	}
	return f
}

// patch returns what a direction's keys ask for. Those that change a part of a value
// take the rest from base. It is false where a problem was reported, here or before.
func (d *decoder) patch(w *direction, base emulation.Impairments, by origin) (emulation.Patch, bool) {
	before := len(d.problems)
	p := emulation.Patch{Fields: w.given()}
	v := &p.Values
	v.Rate, v.Delay = w.rate.value, w.delay.value
	v.Duplicate, v.Corrupt, v.Blackhole = w.duplicate.value, w.corrupt.value, w.blackhole.value
	sound := true
	for _, s := range []state{w.rate.state, w.delay.state, w.duplicate.state, w.corrupt.state, w.blackhole.state} {
		sound = sound && s != bad
	}
	for _, part := range []bool{
		d.jitter(w.jitter, base, v, by),
		d.loss(w.loss, base, v),
		d.reorder(w.reorder, base, v),
		d.slot(w.slot, base, v),
		d.queue(w.queue, base, v),
		d.wireMTU(w.mtu, base, v, by),
		d.capacity(w.capacity, v, by),
		d.steps(w.steps, v, by),
	} {
		sound = sound && part
	}
	d.conflicts(w, p.Values)
	return p, sound && len(d.problems) == before
}

// conflicts reports keys of one direction that exclude each other.
func (d *decoder) conflicts(w *direction, v emulation.Impairments) {
	steps := emulation.StepColumns(0)
	if v.Steps != nil {
		steps = v.Steps.Columns
	}
	for _, c := range []struct {
		on   bool
		what string
		at   place
	}{
		{v.Capacity != nil && v.Rate != 0, "a rate and a capacity trace", w.capacity.place},
		{steps&emulation.StepRate != 0 && v.Rate != 0, "a rate and steps of the rate", w.steps.place},
		{steps&emulation.StepRate != 0 && v.Capacity != nil, "a capacity trace and steps of the rate", w.steps.place},
		{steps&emulation.StepDelay != 0 && v.Delay != 0, "a delay and steps of the delay", w.steps.place},
		{steps&emulation.StepLoss != 0 && v.Loss != 0 && !w.loss.part, "a random loss and steps of the loss", w.steps.place},
	} {
		if c.on {
			d.problem(c.at, Problem{Text: "both " + c.what, Expected: "one of them"})
		}
	}
}

func (d *decoder) jitter(f field[fileJitter], base emulation.Impairments, v *emulation.Impairments, by origin) bool {
	if f.state != good {
		return f.state == absent
	}
	if f.part {
		v.Jitter, v.Distribution, v.JitterTable = base.Jitter, base.Distribution, base.JitterTable
	}
	j := &f.value
	v.Jitter, v.Distribution = j.width.or(v.Jitter), j.distribution.or(v.Distribution)
	switch {
	case j.width.state == bad || j.distribution.state == bad || j.table.state == bad || j.sha256.state == bad:
		return false
	case j.distribution.state == good && v.Distribution != emulation.Empirical && j.table.state == absent, v.Jitter == 0 && j.distribution.state == absent:
		v.JitterTable = nil
	}
	if v.Jitter == 0 && j.distribution.state == absent {
		v.Distribution = emulation.Uniform
	}
	if j.table.state == good {
		if v.Distribution != emulation.Empirical {
			d.problem(j.table.place, Problem{Text: fmt.Sprintf("a table for the distribution %v", v.Distribution), Expected: "distribution: table beside it"})
			return false
		}
		t := d.fromFile(TraceTable, j.table, j.sha256, by)
		if t == nil {
			return false
		}
		v.JitterTable = t.table
	}
	if v.Distribution == emulation.Empirical && v.JitterTable == nil {
		d.problem(j.distribution.place, Problem{Text: "distribution table without a table", Expected: "table: FILE beside it"})
		return false
	}
	return true
}

func (d *decoder) loss(f field[fileLoss], base emulation.Impairments, v *emulation.Impairments) bool {
	if f.state != good {
		return f.state == absent
	}
	if f.part {
		v.Loss, v.GilbertElliott, v.FourState, v.LoseEvery, v.LosePackets = base.Loss, base.GilbertElliott, base.FourState, base.LoseEvery, base.LosePackets
	}
	l := &f.value
	v.Loss, v.LoseEvery = l.random.or(v.Loss), int(l.every.or(uint64(v.LoseEvery)))
	sound := l.random.state != bad && l.every.state != bad && l.packets.state != bad
	if g := &l.gilbertElliott; g.state == good {
		value, ok := d.gilbertElliott(g, v.GilbertElliott)
		v.GilbertElliott, sound = value, sound && ok
	}
	if g := &l.fourState; g.state == good {
		value, ok := d.fourState(g, v.FourState)
		v.FourState, sound = value, sound && ok
	}
	if l.packets.state == good {
		list, ok := d.packetList(l.packets)
		v.LosePackets, sound = list, sound && ok
	}
	return sound && l.gilbertElliott.state != bad && l.fourState.state != bad
}

func (d *decoder) gilbertElliott(f *field[fileGilbertElliott], base emulation.GilbertElliott) (emulation.GilbertElliott, bool) {
	g := &f.value
	if *g == (fileGilbertElliott{}) {
		return emulation.GilbertElliott{}, true // none
	}
	if !f.part || base == (emulation.GilbertElliott{}) {
		base = emulation.GilbertElliott{K: 1}
	}
	out := emulation.GilbertElliott{P: g.p.or(base.P), R: g.r.or(base.R), H: g.h.or(base.H), K: g.k.or(base.K)}
	if g.p.state == bad || g.r.state == bad || g.h.state == bad || g.k.state == bad {
		return out, false
	}
	if out == (emulation.GilbertElliott{}) {
		d.problem(f.place, Problem{Text: "a Gilbert-Elliott chain that stays in a state without a packet that passes", Expected: "one of p, r, h and k above 0%; 100% loss is random: 100%"})
		return out, false
	}
	return out, true
}

func (d *decoder) fourState(f *field[fileFourState], base emulation.FourState) (emulation.FourState, bool) {
	s := &f.value
	if *s == (fileFourState{}) {
		return emulation.FourState{}, true // none
	}
	if !f.part || base == (emulation.FourState{}) {
		base = emulation.FourState{P23: 1}
	}
	out := emulation.FourState{P13: s.p13.or(base.P13), P31: s.p31.or(base.P31), P32: s.p32.or(base.P32), P23: s.p23.or(base.P23), P14: s.p14.or(base.P14)}
	for _, p := range []state{s.p13.state, s.p31.state, s.p32.state, s.p23.state, s.p14.state} {
		if p == bad {
			return out, false
		}
	}
	if out == (emulation.FourState{}) {
		d.problem(f.place, Problem{Text: "a chain of four states that never leaves the first", Expected: "p13 or p14 above 0%, or none"})
		return out, false
	}
	for _, sum := range []struct {
		names string
		value float64
	}{{"p13 and p14", out.P13 + out.P14}, {"p31 and p32", out.P31 + out.P32}} {
		if sum.value > 1 {
			d.problem(f.place, Problem{Text: sum.names + " are over 100% in sum", Expected: "at most 100%: they are the ways out of one state"})
			return out, false
		}
	}
	return out, true
}

// maxListed is how many packets a list may have.
const maxListed = 65_536

func (d *decoder) packetList(f field[[]field[uint64]]) (*emulation.PacketList, bool) {
	if f.value == nil {
		return nil, true // none
	}
	if n := len(f.value); n == 0 || n > maxListed {
		d.problem(f.place, Problem{Text: count(n, "packet"), Expected: fmt.Sprintf("1 to %d, or none", maxListed)})
		return nil, false
	}
	list := make(emulation.PacketList, len(f.value))
	for i, n := range f.value {
		if n.state != good {
			return nil, false
		}
		if list[i] = n.value; i > 0 && n.value <= list[i-1] {
			d.problem(n.place, Problem{Text: fmt.Sprintf("packet %d after %d", n.value, list[i-1]), Expected: "an ascending list"})
			return nil, false
		}
	}
	return &list, true
}

func (d *decoder) reorder(f field[fileReorder], base emulation.Impairments, v *emulation.Impairments) bool {
	if f.state != good {
		return f.state == absent
	}
	if f.part {
		v.Reorder = base.Reorder
	}
	r := &f.value
	v.Reorder.Probability, v.Reorder.Gap = r.probability.or(v.Reorder.Probability), int(r.gap.or(uint64(v.Reorder.Gap)))
	return r.probability.state != bad && r.gap.state != bad
}

func (d *decoder) slot(f field[fileSlot], base emulation.Impairments, v *emulation.Impairments) bool {
	if f.state != good {
		return f.state == absent
	}
	s := &f.value
	if *s == (fileSlot{}) {
		return true // none
	}
	if f.part {
		v.Slot = base.Slot
	}
	v.Slot = emulation.Slot{
		Min: s.least.or(v.Slot.Min), Max: s.most.or(v.Slot.Max),
		Packets: int(s.packets.or(uint64(v.Slot.Packets))), Bytes: s.bytes.or(v.Slot.Bytes),
	}
	if s.least.state == bad || s.most.state == bad || s.packets.state == bad || s.bytes.state == bad {
		return false
	}
	if v.Slot.Max == 0 || v.Slot.Min > v.Slot.Max {
		d.problem(placeOf(f.place, s.most.place), Problem{
			Text:     fmt.Sprintf("a slot from %s to %s", FormatTime(v.Slot.Min), FormatTime(v.Slot.Max)),
			Expected: "max above 0 and not below min, or none",
		})
		return false
	}
	return true
}

func (d *decoder) queue(f field[fileQueue], base emulation.Impairments, v *emulation.Impairments) bool {
	if f.state != good {
		return f.state == absent
	}
	if f.part {
		v.Queue = base.Queue
	}
	q := &f.value
	out := v.Queue
	if q.limit.state == good {
		out.Packets, out.Bytes, out.Time = q.limit.value.Packets, q.limit.value.Bytes, q.limit.value.Time
	}
	if q.discipline.state == good {
		if out.Discipline = q.discipline.value; out.Discipline != emulation.CoDel {
			out.Target, out.Interval, out.ECN = 0, 0, false
		}
	}
	out.Target, out.Interval = q.target.or(out.Target), q.interval.or(out.Interval)
	out.ECN, out.Mark = q.ecn.or(out.ECN), q.mark.or(out.Mark)
	v.Queue = out
	for _, s := range []state{q.limit.state, q.discipline.state, q.target.state, q.interval.state, q.ecn.state, q.mark.state} {
		if s == bad {
			return false
		}
	}
	switch {
	case out.Discipline != emulation.CoDel && (out.Target != 0 || out.Interval != 0 || out.ECN):
		d.problem(placeOf(f.place, q.target.place, q.interval.place, q.ecn.place), Problem{
			Text: fmt.Sprintf("target, interval and ecn with the discipline %v", out.Discipline), Expected: "discipline: codel: they are CoDel's",
		})
		return false
	case out.Discipline == emulation.DropHead && out.Packets == 0 && out.Bytes == 0 && out.Time == 0:
		d.problem(placeOf(f.place, q.discipline.place), Problem{Text: "a drop-head queue without a limit", Expected: "a limit beside it: without one it never drops"})
		return false
	}
	return true
}

func (d *decoder) wireMTU(f field[fileMTU], base emulation.Impairments, v *emulation.Impairments, by origin) bool {
	if f.state != good {
		return f.state == absent
	}
	if f.part {
		v.MTU, v.TooBig = base.MTU, base.TooBig
	}
	m := &f.value
	v.MTU, v.TooBig = int(m.size.or(uint64(v.MTU))), m.tooBig.or(v.TooBig)
	switch {
	case m.size.state == bad || m.tooBig.state == bad:
		return false
	case m.size.state == good && m.size.value != 0 && !d.wantMTU(m.size, by.carries):
		return false
	case v.MTU == 0 && (m.tooBig.state == absent || m.size.state == absent && !f.part): // the latter is reported
		v.TooBig = emulation.TooBigSilent
	case v.MTU == 0 && v.TooBig != emulation.TooBigSilent:
		d.problem(m.tooBig.place, Problem{Text: "too-big without a size", Expected: "a size beside it: without one nothing is too big"})
		return false
	}
	return true
}

// off reports whether the file has none.
func (c *fileCapacity) off() bool { return *c == fileCapacity{} }

func (d *decoder) capacity(f field[fileCapacity], v *emulation.Impairments, by origin) bool {
	c := &f.value
	if f.state != good || c.off() {
		return f.state != bad
	}
	if !d.sources(f.place, "trace or generate", c.trace.state, c.model.state) || !d.belongs("trace", c.trace.state, c.sha256.place) ||
		!d.generators("generate", &c.fileGenerator, field[fileCapacity]{}.place) {
		return false
	}
	var t *traced
	if c.trace.state != absent {
		if c.sha256.state == bad {
			return false
		}
		t = d.fromFile(TraceMahimahi, c.trace, c.sha256, by)
	} else {
		t = d.generated(&c.fileGenerator, 0, by)
	}
	if t != nil {
		v.Capacity = t.trace
	}
	return t != nil
}

func (d *decoder) steps(f field[fileSteps], v *emulation.Impairments, by origin) bool {
	s := &f.value
	if f.state != good || s.off() {
		return f.state != bad
	}
	if !d.sources(f.place, "list, csv or generate", s.list.state, s.csv.state, s.model.state) || !d.belongs("csv", s.csv.state, s.sha256.place) ||
		!d.generators("generate", &s.fileGenerator, s.window.place) {
		return false
	}
	if s.sha256.state == bad || s.repeat.state == bad || s.window.state == bad {
		return false
	}
	before := len(d.problems)
	switch {
	case s.list.state != absent:
		if v.Steps = d.schedule(s.list); v.Steps == nil {
			return false
		}
	case s.csv.state != absent:
		t := d.fromFile(TraceCSV, s.csv, s.sha256, by)
		if t == nil {
			return false
		}
		own := *t.steps
		v.Steps = &own
	default:
		if s.repeat.state != absent {
			d.problem(s.repeat.place, Problem{Text: "repeat with generate", Expected: "duration: generated steps repeat after it"})
			return false
		}
		t := d.generated(&s.fileGenerator, s.window.or(defaultWindow), by)
		if t == nil {
			return false
		}
		v.Steps = t.steps
	}
	d.period(v.Steps, s.repeat)
	if len(d.problems) > before {
		return false
	}
	if err := v.Steps.Validate(); err != nil {
		d.problem(f.place, Problem{Text: oneLine(err.Error())})
		return false
	}
	return true
}

// off reports whether the file has none.
func (s *fileSteps) off() bool {
	return s.list.state == absent && s.csv.state == absent && s.model.state == absent && s.sha256.state == absent && s.repeat.state == absent &&
		s.window.state == absent && s.duration.state == absent && s.seed.state == absent && s.mean.state == absent
}

// sources reports a mapping that does not have one of the keys that say where the
// trace comes from.
func (d *decoder) sources(at place, names string, states ...state) bool {
	n := 0
	sound := true
	for _, s := range states {
		if s != absent {
			n++
		}
		sound = sound && s != bad
	}
	if text := "no source"; n != 1 {
		if n > 1 {
			text = count(n, "source")
		}
		d.problem(at, Problem{Text: text, Expected: "one of " + names})
	}
	return n == 1 && sound
}

// belongs reports a key that goes with another that is not there.
func (d *decoder) belongs(name string, with state, keys ...place) bool {
	for _, p := range keys {
		if p.line != 0 && with == absent {
			_, key, _ := cutLast(p.path)
			d.problem(p, Problem{Text: key + " without " + name, Expected: name + " beside it"})
			return false
		}
	}
	return true
}

func (d *decoder) generators(name string, g *fileGenerator, window place) bool {
	return d.belongs(name, g.model.state, g.duration.place, g.seed.place, g.mean.place, window)
}

// cutLast splits a path at its last dot.
func cutLast(path string) (before, after string, found bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// blame reports what makes a direction impossible at the key that is at fault, or at
// the fallback where the file has no such key.
func (d *decoder) blame(err error, w *direction, fallback place) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			d.blame(e, w, fallback)
		}
		return
	}
	if inner := errors.Unwrap(err); inner != nil {
		if _, ok := inner.(interface{ Unwrap() []error }); ok {
			d.blame(inner, w, fallback)
			return
		}
	}
	text := oneLine(err.Error())
	at := fallback
	for _, b := range []struct {
		word  string
		place []place
	}{
		{"jitter", []place{w.jitter.place, w.delay.place}},
		{"queue", []place{w.queue.place, w.rate.place}},
		{"reorder", []place{w.reorder.place, w.delay.place}},
		{"slot", []place{w.slot.place}},
		{"capacity trace", []place{w.capacity.place, w.steps.place, w.rate.place}},
		{"schedule", []place{w.steps.place}},
		{"steps", []place{w.steps.place, w.loss.place, w.delay.place}},
		{"mtu", []place{w.mtu.place}},
		{"delay", []place{w.delay.place, w.steps.place}},
		{"gilbert-elliott", []place{w.loss.place}},
		{"four-state", []place{w.loss.place}},
		{"lose", []place{w.loss.place}},
		{"loss", []place{w.loss.place}},
	} {
		if strings.Contains(text, b.word) {
			at = placeOf(fallback, b.place...)
			break
		}
	}
	d.problem(at, Problem{Text: text})
}
