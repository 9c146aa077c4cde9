package runner

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/topologies"
)

// choice is what an arm asks of its engine by name. Empty is the engine's default.
type choice struct {
	scheduler, congestion string
}

// The two things that engines take by name, in words.
const (
	schedulerWord  = "scheduler"
	congestionWord = "congestion control"
)

// choicesOf returns each combination that a reference stands for, and what to tell
// the user: names that are for all engines pass by one that takes none. Names that it
// takes, but not this one, are an error.
func choicesOf(ref topologies.EngineRef, x topologies.Experiment, can engine.Capabilities) ([]choice, []string, error) {
	if !can.Multipath {
		can.Schedulers = nil
	}
	schedulers, saidOfSchedulers, schedulerErr := namesOf(ref, schedulerWord, ref.Scheduler, x.Schedulers, can.Schedulers)
	congestions, saidOfCongestions, congestionErr := namesOf(ref, congestionWord, ref.Congestion, x.Congestions, can.Congestions)
	if err := errors.Join(schedulerErr, congestionErr); err != nil {
		return nil, nil, err
	}
	var choices []choice
	for _, scheduler := range schedulers {
		for _, congestion := range congestions {
			choices = append(choices, choice{scheduler, congestion})
		}
	}
	var said []string
	if saidOfSchedulers != "" && can.Multipath { // over one path nobody misses a scheduler
		said = append(said, saidOfSchedulers)
	}
	if saidOfCongestions != "" {
		said = append(said, saidOfCongestions)
	}
	return choices, said, nil
}

// namesOf returns the names of a what that a reference runs with, at least one. own is
// the reference's, all are the experiment's, known those that the engine takes.
func namesOf(ref topologies.EngineRef, what, own string, all, known []string) (names []string, said string, err error) {
	switch {
	case own != "" && len(known) == 0:
		return nil, "", fmt.Errorf("%s: %s takes no %s by name: leave it out", ref, ref.Name, what)
	case own != "":
		all = []string{own}
	case len(all) == 0:
		return []string{""}, "", nil
	case len(known) == 0:
		return []string{""}, fmt.Sprintf("%s takes no %s by name: it keeps its own", ref.Name, what), nil
	}
	var errs []error
	for _, name := range all {
		if !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s: %s has no %s %q: it has %s", ref, ref.Name, what, name, strings.Join(known, ", ")))
		}
	}
	return all, "", errors.Join(errs...)
}

// checkChoices returns what is wrong with what the experiment asks of all engines
// together: paths that are none, and names that no engine of the program takes, which
// would else only be passed by.
func checkChoices(c Config) error {
	x := c.Experiment
	var errs []error
	if len(x.Paths) > 0 {
		errs = append(errs, c.Topology.CheckEngine(topologies.EngineRef{Links: x.Paths}, x.From, x.To, nil))
	}
	var schedulers, congestions []string
	for _, name := range c.Engines.Names() {
		if e, err := c.Engines.Lookup(name); err == nil {
			schedulers = append(schedulers, e.Capabilities().Schedulers...)
			congestions = append(congestions, e.Capabilities().Congestions...)
		}
	}
	errs = append(errs, unknown(schedulerWord, x.Schedulers, schedulers), unknown(congestionWord, x.Congestions, congestions))
	return errors.Join(errs...)
}

// unknown returns an error for each name that is not known.
func unknown(what string, names, known []string) error {
	slices.Sort(known)
	known = slices.Compact(known)
	list := strings.Join(known, ", ")
	if list == "" {
		list = "none: no engine takes one by name"
	}
	var errs []error
	for _, name := range names {
		if !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("unknown %s %q: known are %s", what, name, list))
		}
	}
	return errors.Join(errs...)
}
