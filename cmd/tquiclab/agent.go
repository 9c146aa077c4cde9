package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab/agent"
)

// agentVerb is how run starts this program inside a node.
const agentVerb = "agent"

func (a *app) agentCommand() *cobra.Command {
	return &cobra.Command{
		Use:    agentVerb,
		Short:  "Be the process of a lab inside a node (started by run)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// Ctrl-C reaches the whole terminal: what it means for an agent is for run to say.
			return agent.Main(context.WithoutCancel(c.Context()), a.stdin, a.stdout, a.engines)
		},
	}
}
