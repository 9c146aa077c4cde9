package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tquiclab/tquiclab/results"
)

// nothing stands where there is no value to show or to compare with.
const nothing = "~"

// armsGrid makes the table of the arms. best is the index of the arm that the last
// column compares with, or -1. What needs explaining goes to n.
func armsGrid(s results.Summary, best int, n *notes) grid {
	names := labels(s.Arms)
	links := linksOf(s.Arms)
	var (
		engine  = &column{head: []string{"engine", "paths"}}
		goodput = &column{head: []string{"goodput"}, align: right}
		count   = &column{head: []string{"n"}, align: right}
		share   = &column{head: []string{"share of bytes"}}
		benefit = &column{head: []string{"benefit"}, align: right}
		cpu     = &column{head: []string{"CPU s/Gbit"}, align: right}
		intact  = &column{head: []string{"intact"}}
		versus  = &column{head: []string{"vs best single"}, align: right}
	)
	for i, a := range s.Arms {
		trials := trialsOf(s.Trials, a.Arm)
		passed := slices.DeleteFunc(slices.Clone(trials), func(t results.Trial) bool { return !t.OK() })
		engine.add(names[i], plain(strings.Join(a.Arm.Paths, "+")))
		goodput.add(goodputCell(a.Goodput, n)...)
		count.add(fmt.Sprint(a.Goodput.N))
		share.add(shareCell(passed, a.Arm, links)...)
		benefit.add(benefitCell(a.AggregationBenefit, n))
		cpu.add("send "+cpuCell(passed, senderOf), "recv "+cpuCell(passed, receiverOf))
		intact.add(intactCell(names[i], a.Arm, trials, n))
		versus.add(versusCell(s.Arms, i, best))
	}
	if best >= 0 {
		b := s.Arms[best]
		u := unitOf(b.Goodput.Median)
		n.bestName = fmt.Sprintf("%s over %s, %s %s, n %d",
			names[best], plain(b.Arm.Paths[0]), u.format(b.Goodput.Median), u.name, b.Goodput.N)
	}
	return grid{engine, goodput, count, share, benefit, cpu, intact, versus}
}

// labels names each arm by its engine, and by those settings in which it differs
// from another arm of the same engine over the same paths: two rows never look alike
// unless their arms are the same.
func labels(arms []results.ArmSummary) []string {
	out := make([]string, len(arms))
	for i, a := range arms {
		out[i] = plain(a.Arm.Engine)
		for _, setting := range settings() {
			differs := slices.ContainsFunc(arms, func(b results.ArmSummary) bool {
				return b.Arm.Engine == a.Arm.Engine && slices.Equal(b.Arm.Paths, a.Arm.Paths) &&
					setting.value(b.Arm) != setting.value(a.Arm)
			})
			if differs {
				out[i] += " " + setting.name + "=" + plain(setting.value(a.Arm))
			}
		}
	}
	return out
}

type setting struct {
	name  string
	value func(results.Arm) string
}

func settings() []setting {
	return []setting{
		{"scheduler", func(a results.Arm) string { return a.Scheduler }},
		{"congestion", func(a results.Arm) string { return a.Congestion }},
		{"transmit", func(a results.Arm) string { return a.Transmit }},
		{"streams", func(a results.Arm) string { return fmt.Sprint(a.Streams) }},
		{"connections", func(a results.Arm) string { return fmt.Sprint(a.Connections) }},
		{"mtu", func(a results.Arm) string { return fmt.Sprint(a.MTU) }},
	}
}

// linksOf returns the links of all arms in the topology's order, as far as the
// arms' own lists tell it: the longest come first.
func linksOf(arms []results.ArmSummary) []string {
	lists := make([][]string, len(arms))
	for i, a := range arms {
		lists[i] = a.Arm.Paths
	}
	slices.SortStableFunc(lists, func(a, b []string) int { return len(b) - len(a) })
	var links []string
	for _, link := range slices.Concat(lists...) {
		if !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	return links
}

func trialsOf(trials []results.Trial, arm results.Arm) []results.Trial {
	var out []results.Trial
	for _, t := range trials {
		if t.Arm.Equal(arm) {
			out = append(out, t)
		}
	}
	return out
}

func goodputCell(e results.Estimate, n *notes) []string {
	if e.N == 0 {
		return []string{nothing, ""}
	}
	u := unitOf(e.Median)
	value := u.format(e.Median) + " " + u.name
	if e.Lo != nil && e.Hi != nil {
		n.interval = true
		return []string{value, "[" + u.format(*e.Lo) + "–" + u.format(*e.Hi) + "]"}
	}
	n.extremes = true
	return []string{value, "[" + u.format(e.Min) + "–" + u.format(e.Max) + "]†"}
}

// shareCell has a part for each link, so that a link stands in one column.
func shareCell(passed []results.Trial, arm results.Arm, links []string) []string {
	parts := make([]string, len(links))
	for i, link := range links {
		if slices.Contains(arm.Paths, link) {
			parts[i] = plain(link) + " " + meanShare(passed, link)
		}
	}
	return parts
}

// meanShare is a mean because those of all paths add up to 100 %, which medians
// need not.
func meanShare(trials []results.Trial, link string) string {
	sum, n := 0.0, 0
	for _, t := range trials {
		for _, p := range t.Paths {
			if p.Link == link {
				sum += p.Share
				n++
			}
		}
	}
	if n == 0 {
		return nothing
	}
	return percent(sum / float64(n))
}

func benefitCell(b *float64, n *notes) string {
	if b == nil {
		return nothing
	}
	n.benefit = true
	return fmt.Sprintf("%.2f", *b)
}

func senderOf(t results.Trial) results.Usage   { return t.Sender }
func receiverOf(t results.Trial) results.Usage { return t.Receiver }

func cpuCell(passed []results.Trial, side func(results.Trial) results.Usage) string {
	var used []float64
	for _, t := range passed {
		// No process runs a transfer in no time: zero means that nothing was measured.
		if u := side(t); u.CPUS > 0 {
			used = append(used, u.CPUSPerGbit)
		}
	}
	if len(used) == 0 {
		return nothing
	}
	return digits3(results.NewEstimate(used).Median)
}

func intactCell(name string, arm results.Arm, trials []results.Trial, n *notes) string {
	passed := 0
	var marks []string
	for _, t := range trials {
		if t.OK() {
			passed++
			continue
		}
		reason := t.Error
		if reason == "" {
			reason = "the bytes that arrived are not those that were sent"
		}
		mark := n.failure(name+" over "+strings.Join(arm.Paths, "+"), plain(reason), t.Round)
		if !slices.Contains(marks, mark) {
			marks = append(marks, mark)
		}
	}
	if unchecked(trials) {
		marks = append(marks, n.uncheckedMark())
	}
	return strings.TrimRight(fmt.Sprintf("%d/%d %s", passed, len(trials), strings.Join(marks, "")), " ")
}

// unchecked reports whether there are transfers whose bytes nobody looked at.
func unchecked(trials []results.Trial) bool {
	return slices.ContainsFunc(trials, func(t results.Trial) bool { return t.Unchecked })
}

func versusCell(arms []results.ArmSummary, i, best int) string {
	switch {
	case best < 0 || arms[i].Goodput.N == 0 || arms[best].Goodput.Median <= 0:
		return nothing
	case i == best:
		return "best"
	}
	return digits3(arms[i].Goodput.Median/arms[best].Goodput.Median) + "×"
}
