package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab/conductor"
)

// conductVerb is how up starts this program as a lab's conductor.
const conductVerb = "conduct"

func (a *app) conductCommand() *cobra.Command {
	return &cobra.Command{
		Use:    conductVerb,
		Short:  "Be the conductor of a lab (started by up)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return conductor.Child(c.Context(), a.stdin, a.stdout, slog.New(slog.NewTextHandler(a.stderr, nil)))
		},
	}
}
