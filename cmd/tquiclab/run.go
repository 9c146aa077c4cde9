package main

import "github.com/spf13/cobra"

func (a *app) runCommand() *cobra.Command { return &cobra.Command{Use: "run"} }
