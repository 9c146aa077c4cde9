package topologies

import (
	"fmt"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

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

// schedule returns the steps that the file lists, or nil.
func (d *decoder) schedule(f field[[]field[fileStep]]) *emulation.Schedule {
	switch n := len(f.value); {
	case n == 0:
		d.problem(f.place, Problem{Text: "no steps", Expected: "at least one, such as {at: 0s, rate: 10mbit}"})
		return nil
	case n > maxStepList:
		d.problem(f.value[maxStepList].place, Problem{Text: count(n, "step"), Expected: fmt.Sprintf("at most %d in a list; csv: FILE takes more", maxStepList)})
		return nil
	}
	s := &emulation.Schedule{}
	before := len(d.problems)
	var step emulation.Step
	for i, item := range f.value {
		if v := &item.value; item.state != good || v.at.state != good || v.rate.state == bad || v.delay.state == bad || v.loss.state == bad {
			return nil
		}
		columns := d.step(&item.value, &step)
		switch {
		case i == 0 && step.At != 0:
			d.problem(item.value.at.place, Problem{Text: "the first step is at " + FormatTime(step.At), Expected: "at: 0s"})
		case i > 0 && step.At <= s.Steps[i-1].At:
			d.problem(item.value.at.place, Problem{Text: "a step at " + FormatTime(step.At), Expected: "a time after " + FormatTime(s.Steps[i-1].At) + ", the step before"})
		case i > 0 && columns&^s.Columns != 0:
			d.problem(item.place, Problem{Text: "this step sets what the first does not", Expected: "the first step to set all of rate, delay and loss that any sets"})
		}
		s.Columns |= columns
		s.Steps = append(s.Steps, step)
	}
	if s.Columns == 0 {
		d.problem(f.value[0].place, Problem{Text: "the step sets nothing", Expected: "one at least of rate, delay and loss"})
	}
	if len(d.problems) > before {
		return nil
	}
	return s
}

// step lays one step over the one before it, and returns what it sets.
func (d *decoder) step(f *fileStep, into *emulation.Step) (columns emulation.StepColumns) {
	into.At = f.at.value
	if f.rate.state != absent {
		columns |= emulation.StepRate
		into.Rate = f.rate.value
	}
	if f.delay.state != absent {
		columns |= emulation.StepDelay
		into.Delay = f.delay.value
	}
	if f.loss.state != absent {
		columns |= emulation.StepLoss
		into.Loss = f.loss.value
	}
	return columns
}

// period sets when a schedule repeats.
func (d *decoder) period(s *emulation.Schedule, f field[time.Duration]) {
	if f.state != good {
		return
	}
	last := s.Steps[len(s.Steps)-1].At
	switch {
	case f.value > last:
		s.Period = f.value
	case f.value != 0:
		d.problem(f.place, Problem{Text: "repeat after " + FormatTime(f.value), Expected: "a time after " + FormatTime(last) + ", the last step"})
	case len(s.Steps) < 2:
		d.problem(f.place, Problem{Text: "repeat: true with one step", Expected: "a time: there is no step before the last to go by"})
	default:
		s.Period = last + last - s.Steps[len(s.Steps)-2].At
	}
}
