package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab/privilege"
)

func (a *app) shellCommand() *cobra.Command {
	var asRoot bool
	c := &cobra.Command{
		Use:   "shell LAB NODE",
		Short: "Open a shell inside a node",
		Long: `Opens an interactive shell inside a node of a running lab. The prompt says where
it is; TQUICLAB_LAB and TQUICLAB_NODE in its environment do, too.

    sudo tquiclab shell lte-wifi client

It is the login shell of the user who typed sudo, and runs as that user; with
--root it is root's. What needs root in a node is what exec --help says.

Taking the lab down ends it.`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeExec,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := a.openLab(args[0])
			if err != nil {
				return err
			}
			as, err := a.shellUser(asRoot)
			if err != nil {
				return err
			}
			return l.Shell(args[1], as)
		},
	}
	addRootFlag(c, &asRoot, "shell")
	return c
}

// shellUser returns whose shell to open.
func (a *app) shellUser(asRoot bool) (privilege.User, error) {
	if !asRoot {
		if u, err := a.invokingIdentity(); u != nil || err != nil {
			if err != nil {
				return privilege.User{}, err
			}
			return *u, nil
		}
	}
	return privilege.Lookup(os.Getuid(), os.Getgid())
}
