package main

import (
	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab"
)

func (a *app) execCommand() *cobra.Command {
	var asRoot bool
	c := &cobra.Command{
		Use:   "exec LAB NODE COMMAND [ARGUMENT...]",
		Short: "Run a command inside a node",
		Long: `Runs a command inside a node of a running lab, with this terminal and these
standard streams; the command gets the signals, and its exit code is this one's.
Flags after NODE are the command's.

    sudo tquiclab exec lte-wifi client ping -c 3 10.77.0.2
    sudo tquiclab exec --root lte-wifi client tc -s qdisc

The command runs as the user who typed sudo, with their groups and HOME. Looking
at a node (ip addr, ss, ping, traceroute) needs no more. With --root it runs as
root: for what changes the node (ip link set, sysctl -w, nft), opens raw sockets
(tcpdump) or listens on a port below 1024.

It carries the lab's mark: taking the lab down ends it.`,
		Args:              cobra.MinimumNArgs(3),
		ValidArgsFunction: a.completeExec,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := a.openLab(args[0])
			if err != nil {
				return err
			}
			command := lab.Command{Argv: args[2:]}
			if !asRoot {
				if command.As, err = a.invokingIdentity(); err != nil {
					return err
				}
			}
			return l.Exec(args[1], command)
		},
	}
	c.Flags().SetInterspersed(false)
	addRootFlag(c, &asRoot, "command")
	return c
}

func addRootFlag(c *cobra.Command, asRoot *bool, what string) {
	c.Flags().BoolVar(asRoot, "root", false, "run the "+what+" as root, not as the user who typed sudo")
}

// openLab opens a lab that is up, for what needs to enter its nodes.
func (a *app) openLab(name string) (*lab.Lab, error) {
	if err := lab.CheckPrivileges(); err != nil {
		return nil, err
	}
	return a.host(nil).Open(a.labName(name))
}

func (a *app) completeExec(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.completeLabs(c, args, word)
	case 1:
		return a.completeNodes(args[0])
	}
	return nil, cobra.ShellCompDirectiveDefault
}

func (a *app) completeNodes(labName string) ([]string, cobra.ShellCompDirective) {
	l, err := a.host(nil).Open(a.labName(labName))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, n := range l.Topology().Nodes {
		names = append(names, n.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
