package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab"
)

func (a *app) reapCommand() *cobra.Command {
	var asJSON, verbose bool
	c := &cobra.Command{
		Use:   "reap",
		Short: "Take down what crashed commands left",
		Long: `Takes down every lab that is not whole: half-made or half-removed by a command
that was killed, raised for a run that is gone, or without its relay or conductor
process. Labs that are up and whole are left alone.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			results, err := a.host(a.log(c)).Reap(c.Context())
			if asJSON {
				if results == nil {
					results = []lab.DownResult{}
				}
				return errors.Join(err, writeJSON(a.stdout, results))
			}
			if len(results) == 0 && err == nil {
				fmt.Fprintln(a.stdout, "nothing to reap")
			}
			for _, r := range results {
				fmt.Fprintf(a.stdout, "%s: %d namespaces removed, %d processes ended\n", r.Lab, len(r.Namespaces), len(r.Ended))
				warnLeft(a.stderr, r)
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addVerboseFlag(c, &verbose)
	return c
}
