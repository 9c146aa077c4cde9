package trace

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// column is a kind of column of a CSV file: its units, each with its size in what
// the schedule counts, and how a value gets into a step.
type column struct {
	name  string
	bit   emulation.StepColumns // 0 for the time
	units []unit
	most  float64
	set   func(s *emulation.Step, v float64)
}

type unit struct {
	name  string
	scale float64
}

func columns() []column {
	times := []unit{{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}
	return []column{
		{"time", 0, times, float64(emulation.MaxSchedule), func(s *emulation.Step, v float64) { s.At = time.Duration(math.Round(v)) }},
		{
			"rate", emulation.StepRate,
			[]unit{{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}},
			1e15, func(s *emulation.Step, v float64) { s.Rate = emulation.Rate(math.Round(v)) },
		},
		{"delay", emulation.StepDelay, times, float64(emulation.MaxDelay), func(s *emulation.Step, v float64) { s.Delay = time.Duration(math.Round(v)) }},
		{
			"loss", emulation.StepLoss,
			[]unit{{"percent", 0.01}, {"fraction", 1}},
			1, func(s *emulation.Step, v float64) { s.Loss = min(v, 1) },
		},
	}
}

// used is a column that a file has.
type used struct {
	column
	scale float64
}

// ReadCSV reads a schedule. The header names the columns with their units, in any
// order: time_s (or ns, us, ms), and one at least of rate_mbit (bit, kbit, gbit),
// delay_ms (ns, us, s) and loss_percent (fraction). Each further line is a step;
// times ascend from 0 and a rate of 0 is an outage. Lines that are empty or begin
// with # are passed over. The schedule does not repeat: its Period is the caller's
// to set. The errors are of type *Error, joined.
func ReadCSV(file string, r io.Reader) (*emulation.Schedule, error) {
	f := findings{file: file}
	s := &emulation.Schedule{}
	var header []used
	f.lines(r, func(line string) bool {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			return true
		case header == nil:
			header = f.header(line, s)
			return header != nil
		case len(s.Steps) == emulation.MaxSteps:
			f.add(fmt.Sprintf("at most %d steps", len(s.Steps)), "the schedule goes on")
			return false
		}
		f.step(line, header, s)
		return true
	})
	if len(f.errs) == 0 {
		if header == nil {
			f.whole(fmt.Errorf("there is no header: the first line names the columns, as time_s,rate_mbit"))
		} else if err := s.Validate(); err != nil {
			f.whole(err)
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// header reads the names of the columns, nil when one is wrong.
func (f *findings) header(line string, s *emulation.Schedule) []used {
	var header []used
	known := columns()
	for cell := range strings.SplitSeq(line, ",") {
		cell = strings.TrimSpace(cell)
		name, unitName, _ := strings.Cut(cell, "_")
		i := slices.IndexFunc(known, func(c column) bool { return c.name == name })
		if i < 0 {
			f.add("time, rate, delay or loss with its unit, as rate_mbit", "column %.40q", cell)
			continue
		}
		u := slices.IndexFunc(known[i].units, func(u unit) bool { return u.name == unitName })
		if u < 0 {
			f.add(name+"_ and one of "+unitNames(known[i].units), "column %.40q", cell)
			continue
		}
		if slices.ContainsFunc(header, func(h used) bool { return h.name == name }) {
			f.add("each once", "column %q for a second time", name)
			continue
		}
		header = append(header, used{known[i], known[i].units[u].scale})
		s.Columns |= known[i].bit
	}
	if len(f.errs) == 0 && (s.Columns == 0 || !slices.ContainsFunc(header, func(h used) bool { return h.bit == 0 })) {
		f.add("time and one at least of rate, delay and loss", "columns %q", line)
	}
	if len(f.errs) > 0 {
		return nil
	}
	return header
}

func unitNames(units []unit) string {
	var names []string
	for _, u := range units {
		names = append(names, u.name)
	}
	return strings.Join(names, ", ")
}

// step reads one line.
func (f *findings) step(line string, header []used, s *emulation.Schedule) {
	cells := strings.Split(line, ",")
	if len(cells) != len(header) {
		f.add(fmt.Sprintf("%d, as in the header", len(header)), "%d cells", len(cells))
		return
	}
	var step emulation.Step
	before := len(f.errs)
	for i, h := range header {
		cell := strings.TrimSpace(cells[i])
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil || !(v >= 0) || !(v*h.scale <= h.most) {
			f.add(fmt.Sprintf("a number from 0 to %g", h.most/h.scale), "%s %.40q", h.name, cell)
			continue
		}
		h.set(&step, v*h.scale)
	}
	switch last := len(s.Steps) - 1; {
	case len(f.errs) > before:
	case last < 0 && step.At != 0:
		f.add("the first at 0", "step at %v", step.At)
	case last >= 0 && step.At <= s.Steps[last].At:
		f.add(fmt.Sprintf("a time after %v, the step before", s.Steps[last].At), "step at %v", step.At)
	default:
		s.Steps = append(s.Steps, step)
	}
}
