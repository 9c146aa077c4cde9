package topologies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// EngineRef is an item of an experiment's list of engines: an engine, and the
// links that its arm is pinned to: those that the paths between the experiment's two
// hosts begin with. Without links the arm uses every path that its engine can use.
type EngineRef struct {
	Name  string   // up to 63 bytes of lower-case letters, digits and dashes
	Links []string // in the order written
	// Scheduler and Congestion are the engine's own words; empty: the experiment's, or
	// else the engine's default.
	Scheduler, Congestion string
}

// engineRefPattern is what ParseEngine accepts, but for repeated links.
const engineRefPattern = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?(@[a-z0-9-]+(\+[a-z0-9-]+)*)?` +
	`(` + schedulerPattern + congestionPattern + `|` + congestionPattern + schedulerPattern + `)$`

const (
	schedulerPattern  = `(:scheduler=[a-z0-9]([a-z0-9-]*[a-z0-9])?)?`
	congestionPattern = `(:congestion=[a-z0-9]([a-z0-9-]*[a-z0-9])?)?`
)

// ParseEngine reads `name`, `name@link` or `name@link+link`, and behind it
// `:scheduler=name` and `:congestion=name`, in any order. It checks the form, not
// whether the engine, the links and the names exist.
func ParseEngine(text string) (EngineRef, error) {
	head, settings, isSet := strings.Cut(text, ":")
	name, pinned, isPinned := strings.Cut(head, "@")
	if !isName(name, maxLabName) {
		return EngineRef{}, &QuantityError{Text: quote(name) + " is not the name of an engine", Expected: "a name such as tcp, tcp@lte or mptcp@lte+wifi", Nearest: lowerEngine(text)}
	}
	ref := EngineRef{Name: name}
	if isPinned {
		if err := ref.pin(pinned); err != nil {
			return EngineRef{}, err
		}
	}
	if isSet {
		if err := ref.set(settings); err != nil {
			return EngineRef{}, err
		}
	}
	return ref, nil
}

// pin reads what stands behind the @.
func (r *EngineRef) pin(text string) error {
	if strings.Count(text, "+") >= maxLinks {
		return &QuantityError{Text: quote(r.Name+"@"+text) + " names too many links", Expected: fmt.Sprintf("at most %d", maxLinks)}
	}
	r.Links = strings.Split(text, "+")
	for i, link := range r.Links {
		if !isName(link, maxNodeName) {
			return &QuantityError{Text: quote(link) + " after the @ is not the name of a link", Expected: "links as in tcp@lte or mptcp@lte+wifi"}
		}
		if slices.Contains(r.Links[:i], link) {
			return &QuantityError{Text: fmt.Sprintf("link %s twice in %s", quote(link), quote(r.Name+"@"+text)), Expected: "each link once"}
		}
	}
	return nil
}

// set reads what stands behind the first colon.
func (r *EngineRef) set(text string) error {
	const expected = "settings as in tquic:scheduler=ecf:congestion=bbr"
	for setting := range strings.SplitSeq(text, ":") {
		key, value, _ := strings.Cut(setting, "=")
		var to *string
		what := key
		switch key {
		case "scheduler":
			to = &r.Scheduler
		case "congestion":
			to, what = &r.Congestion, "congestion control"
		default:
			return &QuantityError{Text: quote(key) + " after the : is no setting of an engine", Expected: expected}
		}
		if *to != "" {
			return &QuantityError{Text: key + " twice for engine " + quote(r.Name), Expected: "each setting once, as in one arm"}
		}
		if !isName(value, maxLabName) {
			return &QuantityError{Text: fmt.Sprintf("%s is not the name of a %s", quote(value), what), Expected: expected}
		}
		*to = value
	}
	return nil
}

// lowerEngine returns text in lower case if that is a reference.
func lowerEngine(text string) string {
	lower := strings.ToLower(text)
	if lower == text {
		return ""
	}
	if _, err := ParseEngine(lower); err != nil {
		return ""
	}
	return lower
}

// String returns the form that ParseEngine reads, the scheduler first.
func (r EngineRef) String() string {
	text := r.Name
	if len(r.Links) > 0 {
		text += "@" + strings.Join(r.Links, "+")
	}
	if r.Scheduler != "" {
		text += ":scheduler=" + r.Scheduler
	}
	if r.Congestion != "" {
		text += ":congestion=" + r.Congestion
	}
	return text
}

// Between returns the links that join the two nodes, in the file's order.
func (t Topology) Between(a, b string) []Link {
	var links []Link
	for _, l := range t.Links {
		if l.joins(a, b) {
			links = append(links, l)
		}
	}
	return links
}

func (l Link) joins(a, b string) bool {
	return a != b && l.End(a) >= 0 && l.End(b) >= 0
}

// arm returns what tells one arm from another: the order of its links does not.
func (r EngineRef) arm() string {
	r.Links = slices.Sorted(slices.Values(r.Links))
	return r.String()
}

// CheckEngine returns what is wrong with an engine that the experiment is to
// use, as one error, or nil. known lists the engines; nil means that any name
// will do.
func (t Topology) CheckEngine(ref EngineRef, from, to string, known []string) error {
	var errs []error
	for _, p := range checkEngine(ref, t.Links, t.PathNames(from, to), known) {
		errs = append(errs, errors.New(sentence(p.Text, p.Expected, p.Nearest)))
	}
	return errors.Join(errs...)
}

// checkEngine returns what is wrong with a reference. joining names the links
// that an arm may be pinned to; nil means that it is not known.
func checkEngine(ref EngineRef, links []Link, joining, known []string) []Problem {
	var problems []Problem
	if known != nil && !slices.Contains(known, ref.Name) {
		problems = append(problems, Problem{Text: "unknown engine " + quote(ref.Name), Expected: "one of " + some(known), Nearest: nearestOne(ref.Name, known)})
	}
	for _, name := range ref.Links {
		if joining == nil || slices.Contains(joining, name) {
			continue
		}
		p := Problem{Text: "no link " + quote(name), Expected: "one of " + some(joining), Nearest: nearestOne(name, joining)}
		if slices.ContainsFunc(links, func(l Link) bool { return l.Name == name }) {
			p.Text = "link " + quote(name) + " does not join from and to"
		}
		problems = append(problems, p)
	}
	return problems
}
