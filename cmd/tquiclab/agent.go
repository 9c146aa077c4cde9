package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab/agent"
)

// agentVerb is how run starts this program inside a node.
const agentVerb = "agent"

// keyLogVariable names the file that takes the TLS secrets of a run's sessions, as in
// browsers.
const keyLogVariable = "SSLKEYLOGFILE"

func (a *app) agentCommand() *cobra.Command {
	return &cobra.Command{
		Use:    agentVerb,
		Short:  "Be the process of a lab inside a node (started by run)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// Ctrl-C reaches the whole terminal: what it means for an agent is for run to say.
			config := agent.Config{In: a.stdin, Out: a.stdout, Engines: a.engines}
			if path := a.getenv(keyLogVariable); path != "" {
				// Both nodes' agents append to it.
				file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
				if err != nil {
					return fmt.Errorf("open the file that %s names: %w", keyLogVariable, err)
				}
				defer file.Close()
				config.KeyLog = file
			}
			return agent.Main(context.WithoutCancel(c.Context()), config)
		},
	}
}
