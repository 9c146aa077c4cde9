package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) startCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "start LAB",
		Short: "Start the clock of a lab's timeline",
		Long: `Starts the clock from which the events, traces and steps of all links of a running
lab count. A topology with "start: manual" waits for it; otherwise the first packet
on any link that is emulated starts the clock, or up does.

A run starts a manual clock by itself, with each transfer.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeLabs,
		RunE: func(c *cobra.Command, args []string) error {
			l, err := a.host(nil).Open(a.labName(args[0]))
			if err != nil {
				return err
			}
			if err := l.StartClock(c.Context()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "the clock of %s runs\n", l.Name())
			return err
		},
	}
}
