package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab"
)

func (a *app) downCommand() *cobra.Command {
	var all, asJSON, verbose bool
	c := &cobra.Command{
		Use:   "down [LAB|TOPOLOGY]",
		Short: "Take a lab down",
		Long: `Takes a lab down, whole, half-made or crashed: ends its processes, removes its
namespaces with everything in them, and its state. It touches nothing that does
not bear the lab's mark. A lab that is not up is no error.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeLabs,
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) == 1) {
				return usageError{errors.New("down takes either a lab or --all")}
			}
			var results []lab.DownResult
			var err error
			if all {
				results, err = a.host(a.log(c)).DownAll(c.Context())
			} else {
				var one lab.DownResult
				one, err = a.host(a.log(c)).Down(c.Context(), a.labName(args[0]))
				results = append(results, one)
			}
			return errors.Join(err, a.printDown(results, asJSON, err == nil))
		},
	}
	c.Flags().BoolVar(&all, "all", false, "take every lab down")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addVerboseFlag(c, &verbose)
	return c
}

func (a *app) printDown(results []lab.DownResult, asJSON, whole bool) error {
	if asJSON {
		if results == nil {
			results = []lab.DownResult{}
		}
		return writeJSON(a.stdout, results)
	}
	if len(results) == 0 {
		fmt.Fprintln(a.stdout, "no lab is up")
	}
	for _, r := range results {
		switch {
		case !whole && len(r.Namespaces) == 0:
		case !r.WasUp:
			fmt.Fprintf(a.stdout, "%s is not up\n", r.Lab)
		default:
			fmt.Fprintf(a.stdout, "%s is down: %d namespaces removed, %d processes ended\n", r.Lab, len(r.Namespaces), len(r.Ended))
		}
		warnLeft(a.stderr, r)
	}
	return nil
}

func warnLeft(w io.Writer, r lab.DownResult) {
	for _, p := range r.Left {
		fmt.Fprintf(w, "%s: process %s is not the lab's and was left running, without links; end it with `kill %d`\n", r.Lab, p, p.PID)
	}
}

// labName accepts a topology where a lab is wanted: `down lte-wifi.yaml` takes
// down what `up lte-wifi.yaml` raised.
func (a *app) labName(arg string) string {
	if t, err := a.loader().Find(arg); err == nil {
		return t.Name
	}
	return arg
}
