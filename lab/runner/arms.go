package runner

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// arm is what one trial runs, with the paths that its record only names.
type arm struct {
	results.Arm
	paths  []topologies.Path // from the dialler on, in the order of its links
	chosen choice
}

// label is the arm as the user would type it.
func (a arm) label() string {
	return topologies.EngineRef{Name: a.Engine, Links: a.Paths, Scheduler: a.chosen.scheduler, Congestion: a.chosen.congestion}.String()
}

// planArms returns the arms of the experiment in the order of its engines, and what
// the user should know of them. A multipath engine uses all paths between the two
// nodes. A single-path engine gets an arm per path, so that the best single path is
// measured and not assumed. Where an engine can choose schedulers or congestion
// controls, there is an arm for each that is asked for. Every problem is returned at
// once.
func planArms(c Config) (arms []arm, said []string, err error) {
	x := c.Experiment
	all := c.paths()
	errs := []error{checkChoices(c)}
	for _, text := range x.Engines {
		ref, e, err := lookup(c, text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		can := e.Capabilities()
		sets, err := pathSets(ref, x.Paths, can, all, c.Baseline)
		choices, told, choiceErr := choicesOf(ref, x, can)
		if err := errors.Join(err, choiceErr); err != nil {
			errs = append(errs, err)
			continue
		}
		said = append(said, told...)
		if ref.Scheduler != "" && len(sets[0]) == 1 {
			said = append(said, fmt.Sprintf("%s: one path leaves a scheduler nothing to choose", ref))
		}
		for _, paths := range sets {
			for _, chosen := range choices {
				a := newArm(e, paths, x.Workload, chosen)
				same := func(b arm) bool { return b.Equal(a.Arm) }
				if !slices.ContainsFunc(arms, same) {
					arms = append(arms, a)
				}
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	slices.Sort(said)
	return arms, slices.Compact(said), nil
}

// CheckArms returns what is wrong with the arms that c asks for, joined, or nil. It
// looks at Topology, Engines, Experiment and Baseline only.
func CheckArms(c Config) error {
	_, _, err := planArms(c)
	return err
}

// lookup finds an item of the experiment's engines.
func lookup(c Config, text string) (topologies.EngineRef, engine.Engine, error) {
	x := c.Experiment
	ref, err := topologies.ParseEngine(text)
	if err != nil {
		return ref, nil, err
	}
	if err := c.Topology.CheckEngine(ref, x.From, x.To, c.Engines.Names()); err != nil {
		return ref, nil, err
	}
	e, err := c.Engines.Lookup(ref.Name)
	return ref, e, err
}

// pathSets returns the paths of each arm that a reference stands for. only, which may
// be nil, are those that the experiment limits references without links to.
func pathSets(ref topologies.EngineRef, only []string, can engine.Capabilities, all []topologies.Path, baseline bool) ([][]topologies.Path, error) {
	if !can.Multipath && len(ref.Links) > 1 {
		return nil, fmt.Errorf("%s: %s uses one path at a time: write %s@%s, or %s for an arm per path", ref, ref.Name, ref.Name, ref.Links[0], ref.Name)
	}
	names := ref.Links
	if len(names) == 0 {
		names = only
	}
	paths := all
	if len(names) > 0 {
		paths = nil
		for _, p := range all {
			if slices.Contains(names, p.Name) {
				paths = append(paths, p)
			}
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: none of the paths is %s", ref, strings.Join(names, " or "))
	}
	var sets [][]topologies.Path
	if can.Multipath {
		sets = append(sets, paths)
	}
	if !can.Multipath || baseline {
		for _, p := range paths {
			sets = append(sets, []topologies.Path{p})
		}
	}
	return sets, nil
}

// newArm makes an arm. On one path there is no scheduler: all arms of an engine that
// only differ in theirs share it.
func newArm(e engine.Engine, paths []topologies.Path, w topologies.Workload, chosen choice) arm {
	can := e.Capabilities()
	if len(paths) == 1 {
		chosen.scheduler, can.Scheduler = "", ""
	}
	a := arm{paths: paths, chosen: chosen}
	a.Engine = e.Name()
	a.Scheduler, a.Congestion = can.Scheduler, can.Congestion
	if chosen.scheduler != "" {
		a.Scheduler = chosen.scheduler
	}
	if chosen.congestion != "" {
		a.Congestion = chosen.congestion
	}
	a.Streams, a.Connections = w.Streams, w.Connections
	for i, p := range paths {
		a.Paths = append(a.Paths, p.Name)
		if mtu := p.MTU(); i == 0 || mtu < a.MTU {
			a.MTU = mtu
		}
	}
	return a
}

// planned is one trial to be.
type planned struct {
	round, order int // from 1
	arm          arm
}

// label is the trial's, for people.
func (p planned) label() string { return fmt.Sprintf("round %d, %s", p.round, p.arm.label()) }

// name is the trial's, in file names.
func (p planned) name() string {
	return results.Planned{Round: p.round, Order: p.order, Arm: p.arm.Arm}.Name()
}

// planOrder returns every trial: all arms in each round, in an order that the
// seed and the round give. Blocks of one arm would mix the arm up with whatever
// the machine did meanwhile (Abedi and Brecht, ICPE 2017: randomised multiple
// interleaved trials).
func planOrder(arms []arm, rounds int, seed uint64) []planned {
	var plan []planned
	for round := 1; round <= rounds; round++ {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		for k, i := range rng.Perm(len(arms)) {
			plan = append(plan, planned{round: round, order: k + 1, arm: arms[i]})
		}
	}
	return plan
}
