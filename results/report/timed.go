package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tquiclab/tquiclab/results"
)

// timedColumn is a figure of a workload that goes by the clock.
type timedColumn struct {
	head   string
	figure string
	format func(float64) string
	spread bool // with its interval: the figure that the workload is about
}

// share writes part of a whole so that a single late frame of many shows.
func share(v float64) string {
	if v == 0 {
		return "0 %"
	}
	text := strconv.FormatFloat(100*v, 'f', 2, 64)
	if strings.Trim(text, "0.") == "" {
		text = "<0.01"
	}
	return text + " %"
}

// timedColumns returns the columns of the trials' kind, or nil where it is bulk.
func timedColumns(trials []results.Trial) []timedColumn {
	latency := func(spread string) []timedColumn {
		var c []timedColumn
		for _, l := range [][2]string{
			{"p50 ms", results.FigureP50},
			{"p90 ms", results.FigureP90},
			{"p99 ms", results.FigureP99},
			{"p99.9 ms", results.FigureP999},
			{"max ms", results.FigureMax},
		} {
			c = append(c, timedColumn{l[0], l[1], digits3, l[1] == spread})
		}
		return c
	}
	gap := timedColumn{"longest gap ms", results.FigureGapMax, digits3, false}
	for _, t := range trials {
		switch {
		case t.RPC != nil:
			return append(latency(results.FigureP99), timedColumn{"unanswered", results.FigureUnanswered, share, false}, gap)
		case t.CBR != nil:
			return append([]timedColumn{
				{"late", results.FigureLate, share, true},
				{"lost", results.FigureLost, share, false},
				gap,
			}, latency("")...)
		case t.Handshake != nil:
			return append([]timedColumn{
				{"sessions/s", results.FigurePerS, digits3, true},
				{"failed", results.FigureFailed, share, false},
				{"dial p50 ms", results.FigureDialP50, digits3, false},
			}, latency("")...)
		}
	}
	return nil
}

// timedGrid makes the table of arms whose trials went by the clock.
func timedGrid(s results.Summary, columns []timedColumn, n *notes) grid {
	names, links := labels(s.Arms), linksOf(s.Arms)
	engine := &column{head: []string{"engine", "paths"}}
	count := &column{head: []string{"n"}, align: right}
	bytes := &column{head: []string{"share of bytes"}}
	intact := &column{head: []string{"intact"}}
	g := grid{engine}
	for _, c := range columns {
		g = append(g, &column{head: []string{c.head}, align: right})
	}
	for i, a := range s.Arms {
		trials := trialsOf(s.Trials, a.Arm)
		passed := slices.DeleteFunc(slices.Clone(trials), func(t results.Trial) bool { return !t.OK() })
		engine.add(names[i], plain(strings.Join(a.Arm.Paths, "+")))
		for k, c := range columns {
			g[k+1].add(timedCell(a.Figures, c, n)...)
		}
		count.add(fmt.Sprint(a.Goodput.N))
		bytes.add(shareCell(passed, a.Arm, links)...)
		intact.add(intactCell(names[i], a.Arm, trials, n))
	}
	return append(g, count, bytes, intact)
}

func timedCell(figures map[string]results.Estimate, c timedColumn, n *notes) []string {
	e, ok := figures[c.figure]
	switch {
	case !ok || e.N == 0:
		if c.spread {
			return []string{nothing, ""}
		}
		return []string{nothing}
	case !c.spread:
		return []string{c.format(e.Median)}
	case e.Lo != nil && e.Hi != nil:
		n.interval = true
		return []string{c.format(e.Median), "[" + c.format(*e.Lo) + "–" + c.format(*e.Hi) + "]"}
	}
	n.extremes = true
	return []string{c.format(e.Median), "[" + c.format(e.Min) + "–" + c.format(e.Max) + "]†"}
}
