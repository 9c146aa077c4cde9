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
}

// engineRefPattern is what ParseEngine accepts, but for repeated links.
const engineRefPattern = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?(@[a-z0-9-]+(\+[a-z0-9-]+)*)?$`

// ParseEngine reads `name`, `name@link` or `name@link+link`. It checks the form,
// not whether the engine and the links exist.
func ParseEngine(text string) (EngineRef, error) {
	name, pinned, isPinned := strings.Cut(text, "@")
	if !isName(name, maxLabName) {
		return EngineRef{}, &QuantityError{Text: quote(name) + " is not the name of an engine", Expected: "a name such as tcp, tcp@lte or mptcp@lte+wifi", Nearest: lowerEngine(text)}
	}
	if !isPinned {
		return EngineRef{Name: name}, nil
	}
	if strings.Count(pinned, "+") >= maxLinks {
		return EngineRef{}, &QuantityError{Text: quote(text) + " names too many links", Expected: fmt.Sprintf("at most %d", maxLinks)}
	}
	ref := EngineRef{Name: name, Links: strings.Split(pinned, "+")}
	for i, link := range ref.Links {
		if !isName(link, maxNodeName) {
			return EngineRef{}, &QuantityError{Text: quote(link) + " after the @ is not the name of a link", Expected: "links as in tcp@lte or mptcp@lte+wifi"}
		}
		if slices.Contains(ref.Links[:i], link) {
			return EngineRef{}, &QuantityError{Text: fmt.Sprintf("link %s twice in %s", quote(link), quote(text)), Expected: "each link once"}
		}
	}
	return ref, nil
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

// String returns the form that ParseEngine reads.
func (r EngineRef) String() string {
	if len(r.Links) == 0 {
		return r.Name
	}
	return r.Name + "@" + strings.Join(r.Links, "+")
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
	links := slices.Sorted(slices.Values(r.Links))
	return EngineRef{r.Name, links}.String()
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
