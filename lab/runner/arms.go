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

// arm is what one trial runs, with the links that its record only names.
type arm struct {
	results.Arm
	links []topologies.Link // in the topology's order
}

// label is the arm as the user would type it.
func (a arm) label() string { return a.Engine + "@" + strings.Join(a.Paths, "+") }

// planArms returns the arms of the experiment in the order of its engines. A
// multipath engine uses all links that join the two nodes. A single-path engine
// gets an arm per link, so that the best single path is measured and not
// assumed. Every problem is returned at once.
func planArms(c Config) ([]arm, error) {
	x := c.Experiment
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
		sets, err := linkSets(ref, e.Capabilities(), c.Topology.Between(x.From, x.To), c.Alone)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, links := range sets {
			a := newArm(e, links, x.Workload)
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

// linkSets returns the links of each arm that a reference stands for.
func linkSets(ref topologies.EngineRef, can engine.Capabilities, joining []topologies.Link, alone bool) ([][]topologies.Link, error) {
	links := joining
	if len(ref.Links) > 0 {
		links = nil
		for _, l := range joining {
			if slices.Contains(ref.Links, l.Name) {
				links = append(links, l)
			}
		}
	}
	if !can.Multipath && len(ref.Links) > 1 {
		return nil, fmt.Errorf("%s: %s uses one path at a time: write %s@%s, or %s for an arm per link", ref, ref.Name, ref.Name, ref.Links[0], ref.Name)
	}
	var sets [][]topologies.Link
	if can.Multipath {
		sets = append(sets, links)
	}
	if !can.Multipath || alone {
		for _, l := range links {
			sets = append(sets, []topologies.Link{l})
		}
	}
	return sets, nil
}

func newArm(e engine.Engine, links []topologies.Link, w topologies.Workload) arm {
	a := arm{links: links}
	a.Engine = e.Name()
	a.Congestion = e.Capabilities().Congestion
	a.Streams, a.Connections = w.Streams, w.Connections
	for i, l := range links {
		a.Paths = append(a.Paths, l.Name)
		if i == 0 || l.MTU < a.MTU {
			a.MTU = l.MTU
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
