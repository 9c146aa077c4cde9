package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/sim"
	"github.com/tquiclab/tquiclab/lab/runner"
	"github.com/tquiclab/tquiclab/results"
	"github.com/tquiclab/tquiclab/topologies"
)

// keepSimulated leaves the engines in the experiment that can be simulated, and says
// which it left out. Those that the user asked for must all be among them.
func (a *app) keepSimulated(f runFlags, x *topologies.Experiment) error {
	var kept, left []string
	for _, text := range x.Engines {
		ref, err := topologies.ParseEngine(text)
		if err != nil {
			return usageError{err}
		}
		if slices.Contains(sim.Engines(), ref.Name) {
			kept = append(kept, text)
		} else {
			left = append(left, text)
		}
	}
	can := strings.Join(sim.Engines(), ", ")
	switch {
	case len(left) == 0:
	case len(f.engines) > 0:
		return fmt.Errorf("cannot simulate %s: %w: those that can be simulated are %s", strings.Join(left, ", "), engine.ErrUnsupported, can)
	case len(kept) == 0:
		return fmt.Errorf("cannot simulate any of %s: %w: choose with --engine from %s", strings.Join(left, ", "), engine.ErrUnsupported, can)
	default:
		fmt.Fprintf(a.stderr, "left out, since they cannot be simulated: %s\n", strings.Join(left, ", "))
	}
	x.Engines = kept
	return nil
}

// simulate runs the experiment in virtual time.
func (a *app) simulate(c *cobra.Command, f runFlags, t topologies.Topology, folder *results.Run, _ *invokingUser) (results.Summary, error) {
	machine, err := results.ReadMachine(os.DirFS("/"))
	if err != nil {
		return results.Summary{}, errors.Join(err, folder.Discard())
	}
	line := runner.NewLine(os.Stderr)
	defer line.Close()
	config := a.runConfig(c, f, t, folder, a.programFacts(machine))
	config.LabName, config.Backend = cmp.Or(f.name, t.Name), runner.BackendSim
	config.Progress = line.Show
	return runner.Run(c.Context(), config)
}
