package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/topologies"
)

func (a *app) topologiesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "topologies",
		Short: "List, show and check topologies",
	}
	c.AddCommand(a.topologiesList(), a.topologiesShow(), a.topologiesValidate(), a.topologiesSchema())
	return c
}

func (a *app) topologiesList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the catalogue",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			type entry struct {
				Name        string `json:"name"`
				Description string `json:"description"`
			}
			var entries []entry
			var rows [][]string
			for _, e := range topologies.Catalog() {
				entries = append(entries, entry{e.Name, e.Description})
				rows = append(rows, []string{e.Name, e.Description})
			}
			if asJSON {
				return writeJSON(a.stdout, entries)
			}
			return writeColumns(a.stdout, rows)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) topologiesShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:               "show TOPOLOGY",
		Short:             "Show a topology with every default filled in",
		Long:              "Shows a topology as a file with every default filled in, below a picture of its\nlinks in comments. What is printed is a topology file that means the same.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := a.loader().Find(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.stdout, t)
			}
			_, err = fmt.Fprintf(a.stdout, "%s%s", commented(topologies.Diagram(t)), topologies.Show(t))
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) topologiesValidate() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:               "validate TOPOLOGY...",
		Short:             "Check topology files and say everything that is wrong with them",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE: func(_ *cobra.Command, args []string) error {
			found := topologies.Problems{}
			var errs []error
			for _, arg := range args {
				t, err := a.loader().Find(arg)
				if problems, ok := errors.AsType[topologies.Problems](err); ok {
					found = append(found, problems...)
				} else if err != nil {
					errs = append(errs, err)
				} else if !asJSON {
					fmt.Fprintf(a.stdout, "%s: %s is valid: %d nodes, %d links\n", arg, t.Name, len(t.Nodes), len(t.Links))
				}
			}
			if len(found) > 0 {
				errs = append(errs, found)
			}
			if asJSON {
				errs = append(errs, writeJSON(a.stdout, found))
			}
			return errors.Join(errs...)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the problems as JSON")
	return c
}

func (a *app) topologiesSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of topology files, for editors",
		Long: `Prints the JSON Schema of topology files. An editor with a YAML language server
checks a file while you type when the file's first line is

    # yaml-language-server: $schema=PATH-OF-THE-SCHEMA`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(topologies.Schema())
			return err
		},
	}
}

// commented returns text as YAML comments.
func commented(text string) string {
	out := ""
	for line := range lines(text) {
		out += "# " + line + "\n"
	}
	return out
}
