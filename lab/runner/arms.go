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
	paths []topologies.Path // from the dialler on, in the order of its links
}

// label is the arm as the user would type it.
func (a arm) label() string { return a.Engine + "@" + strings.Join(a.Paths, "+") }

// planArms returns the arms of the experiment in the order of its engines. A
// multipath engine uses all paths between the two nodes. A single-path engine
// gets an arm per path, so that the best single path is measured and not
// assumed. Every problem is returned at once.
func planArms(c Config) ([]arm, error) {
	x := c.Experiment
	all := c.paths()
	var arms []arm
	var errs []error
	for _, text := range x.Engines {
		ref, err := topologies.ParseEngine(text)
		if err == nil {
			err = c.Topology.CheckEngine(ref, x.From, x.To, c.Engines.Names())
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e, err := c.Engines.Lookup(ref.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		sets, err := pathSets(ref, e.Capabilities(), all, c.Alone)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, paths := range sets {
			a := newArm(e, paths, x.Workload)
			same := func(b arm) bool { return b.Equal(a.Arm) }
			if !slices.ContainsFunc(arms, same) {
				arms = append(arms, a)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return arms, nil
}

// pathSets returns the paths of each arm that a reference stands for.
func pathSets(ref topologies.EngineRef, can engine.Capabilities, all []topologies.Path, alone bool) ([][]topologies.Path, error) {
	paths := all
	if len(ref.Links) > 0 {
		paths = nil
		for _, p := range all {
			if slices.Contains(ref.Links, p.Name) {
				paths = append(paths, p)
			}
		}
	}
	if !can.Multipath && len(ref.Links) > 1 {
		return nil, fmt.Errorf("%s: %s uses one path at a time: write %s@%s, or %s for an arm per path", ref, ref.Name, ref.Name, ref.Links[0], ref.Name)
	}
	var sets [][]topologies.Path
	if can.Multipath {
		sets = append(sets, paths)
	}
	if !can.Multipath || alone {
		for _, p := range paths {
			sets = append(sets, []topologies.Path{p})
		}
	}
	return sets, nil
}

func newArm(e engine.Engine, paths []topologies.Path, w topologies.Workload) arm {
	a := arm{paths: paths}
	a.Engine = e.Name()
	a.Congestion = e.Capabilities().Congestion
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

// name is the trial's, in file names.
func (p planned) name() string { return fmt.Sprintf("%d-%d-%s", p.round, p.order, p.arm.Engine) }

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
