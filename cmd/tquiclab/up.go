package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/runner"
	"github.com/tquiclab/tquiclab/topologies"
)

type upFlags struct {
	name    string
	backend string
	dryRun  bool
	json    bool
	verbose bool
}

func (a *app) upCommand() *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use:   "up TOPOLOGY",
		Short: "Build the lab of a topology and leave it running",
		Long: `Builds the namespaces, links and wires of a topology and leaves them running.

A lab that is up already, from the same topology, is left as it is. What a crash
left of a lab of that name is taken down first. When up fails or is interrupted,
nothing stays.

Each node is a network namespace, tql-LAB-NODE, and each link has its name as an
interface in both of its nodes:

    sudo tquiclab up lte-wifi
    sudo ip netns exec tql-lte-wifi-client ip addr`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE:              func(c *cobra.Command, args []string) error { return a.up(c, f, args[0]) },
	}
	c.Flags().StringVar(&f.name, "name", "", "name of the lab, instead of the topology's")
	addBackendFlag(c, &f.backend)
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the steps without doing them")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	addVerboseFlag(c, &f.verbose)
	return c
}

func addBackendFlag(c *cobra.Command, backend *string) {
	c.Flags().StringVar(backend, "backend", lab.BackendAuto, "who emulates the impaired links: auto, netem or relay")
}

// checkBackend refuses what is no backend of a lab.
func checkBackend(backend string) error {
	switch backend {
	case lab.BackendAuto, lab.BackendNetem, lab.BackendRelay:
		return nil
	case runner.BackendSim:
		return usageError{errors.New("backend sim needs no lab: tquiclab run --backend sim TOPOLOGY runs by itself")}
	}
	return usageError{fmt.Errorf("unknown backend %q: expected auto, netem or relay", backend)}
}

func addVerboseFlag(c *cobra.Command, verbose *bool) {
	c.Flags().BoolVarP(verbose, "verbose", "v", false, "log details to standard error")
}

func completeTopologies(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, e := range topologies.Catalog() {
		names = append(names, e.Name+"\t"+e.Description)
	}
	return names, cobra.ShellCompDirectiveDefault // files too
}

// upResult is what up prints with --json.
type upResult struct {
	Lab        string            `json:"lab"`
	AlreadyUp  bool              `json:"already_up"`
	Repaired   bool              `json:"repaired"`
	Backend    string            `json:"backend"`
	Namespaces map[string]string `json:"namespaces"` // by node
}

func (a *app) up(c *cobra.Command, f upFlags, topology string) error {
	if err := checkBackend(f.backend); err != nil {
		return err
	}
	t, err := a.loader().Find(topology)
	if err != nil {
		return err
	}
	host := a.host(a.log(c))
	if f.dryRun {
		return a.dryRun(host, t, f)
	}
	r, err := host.Up(c.Context(), lab.UpConfig{Topology: t, Name: f.name, Backend: f.backend})
	if err != nil {
		return err
	}
	result := upResult{
		Lab: r.Lab.Name(), AlreadyUp: r.AlreadyUp, Repaired: r.Repaired,
		Backend: r.Lab.Backend(), Namespaces: map[string]string{},
	}
	for _, n := range t.Nodes {
		result.Namespaces[n.Name] = lab.NodeNamespace(r.Lab.Name(), n.Name)
	}
	if f.json {
		return writeJSON(a.stdout, result)
	}
	return a.printUp(result, t)
}

func (a *app) printUp(r upResult, t topologies.Topology) error {
	word := "is up"
	if r.AlreadyUp {
		word = "was up already"
	}
	if r.Repaired {
		word += ", after taking down what a crash had left"
	}
	first := t.Nodes[0].Name
	_, err := fmt.Fprintf(a.stdout, "%s %s (backend %s)\n%s\nenter a node:   ip netns exec %s bash\ntake it down:   tquiclab down %s\n",
		r.Lab, word, r.Backend, topologies.Diagram(t), r.Namespaces[first], r.Lab)
	return err
}

func (a *app) dryRun(host lab.Host, t topologies.Topology, f upFlags) error {
	backend, err := host.Backend(t, f.backend)
	if err != nil {
		return err
	}
	name := f.name
	if name == "" {
		name = t.Name
	}
	plan := lab.NewPlan(t, name, backend)
	if f.json {
		return writeJSON(a.stdout, plan)
	}
	fmt.Fprintf(a.stdout, "lab %s, backend %s; nothing was done\n", plan.Lab, plan.Backend)
	for i, s := range plan.Steps {
		fmt.Fprintf(a.stdout, "%3d  %s: %s\n", i+1, s.Do, s.What)
		if s.Undo != "" {
			fmt.Fprintf(a.stdout, "     undo: %s\n", s.Undo)
		}
	}
	return nil
}
