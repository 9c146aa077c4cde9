package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (a *app) docsCommand() *cobra.Command {
	var man bool
	c := &cobra.Command{
		Use:    "docs FOLDER",
		Short:  "Write a page for each command",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("write pages: %w", err)
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			if man {
				return doc.GenManTree(root, &doc.GenManHeader{Title: "TQUICLAB", Section: "1", Source: "tquiclab"}, args[0])
			}
			return doc.GenMarkdownTree(root, args[0])
		},
	}
	c.Flags().BoolVar(&man, "man", false, "as man pages instead of Markdown")
	return c
}
