package topologies

import (
	"fmt"

	"github.com/tquiclab/tquiclab/emulation"
)

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
