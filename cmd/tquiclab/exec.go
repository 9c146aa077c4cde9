package main

import "github.com/spf13/cobra"

func (a *app) execCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "exec LAB NODE COMMAND [ARGUMENT...]",
		Short: "Run a command inside a node",
		Long: `Runs a command inside a node of a running lab, with this terminal and these
standard streams, and exits with its exit code. Flags after NODE are the
command's.

    sudo tquiclab exec lte-wifi client ping -c 3 10.77.0.2

The command carries the lab's mark: taking the lab down ends it.`,
		Args:              cobra.MinimumNArgs(3),
		ValidArgsFunction: a.completeExec,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := a.host(nil).Open(a.labName(args[0]))
			if err != nil {
				return err
			}
			return l.Exec(args[1], args[2:])
		},
	}
	c.Flags().SetInterspersed(false)
	return c
}

func (a *app) completeExec(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.completeLabs(c, args, word)
	case 1:
		l, err := a.host(nil).Open(a.labName(args[0]))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, n := range l.Topology().Nodes {
			names = append(names, n.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}
