package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/emulation/relay"
)

// relayVerb is how up starts this program as a lab's relay process.
const relayVerb = "relay"

func (a *app) relayCommand() *cobra.Command {
	return &cobra.Command{
		Use:    relayVerb,
		Short:  "Be the relay process of a lab (started by up)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return relay.Child(c.Context(), a.stdin, a.stdout, slog.New(slog.NewTextHandler(a.stderr, nil)))
		},
	}
}
