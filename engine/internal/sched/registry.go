package sched

import (
	"fmt"
	"strings"
)

// Default is the scheduler of a connection that names none: the one that bonds best
// over paths unlike each other (TestDefaultBondsBest).
const Default = "blest"

// Names returns the names that New knows, sorted.
func Names() []string {
	return []string{"aggregate", "backup", "blest", "ecf", "minrtt", "redundant", "roundrobin", "weighted"}
}

// New returns a new scheduler of that name; of Default for the empty one.
func New(name string) (Scheduler, error) {
	switch name {
	case "":
		return New(Default)
	case "aggregate":
		return newAggregate(), nil
	case "backup":
		return backup{}, nil
	case "blest":
		return newBLEST(), nil
	case "ecf":
		return &ecf{}, nil
	case "minrtt":
		return minRTT{}, nil
	case "redundant":
		return redundant{}, nil
	case "roundrobin":
		return &roundRobin{}, nil
	case "weighted":
		return newWeighted(), nil
	}
	return nil, fmt.Errorf("unknown scheduler %q: want one of %s", name, strings.Join(Names(), ", "))
}

// TraitsOf returns what the scheduler of that name asks of the connection. Names that
// New does not know ask nothing.
func TraitsOf(name string) Traits {
	return Traits{Redundant: name == "redundant"}
}
