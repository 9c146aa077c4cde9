package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has of what labs need",
		Long: `Tries out what labs, engines and tests use of this machine: the kernel's links,
qdiscs and socket options in a namespace of its own, which is gone afterwards;
privileges, settings, tools and the disk. Each check answers yes, no (with what
brings it), or could not tell (with the error), and says what its lack costs.

    sudo tquiclab doctor

doctor exits with 0 when everything is there that no lab can do without, and with
3 otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r := doctor.Run(c.Context(), doctor.Checks(doctor.Config{Root: os.DirFS("/"), Runs: runsFolder}))
			if err := a.printDoctor(r, asJSON); err != nil {
				return err
			}
			if err := c.Context().Err(); err != nil {
				return err
			}
			if r.OK {
				return nil
			}
			if err := lab.CheckPrivileges(); err != nil {
				return err // the rest may be for lack of it
			}
			return fmt.Errorf("%w: see what is required above", lab.ErrUnsupported)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) printDoctor(r doctor.Report, asJSON bool) error {
	if asJSON {
		return writeJSON(a.stdout, r)
	}
	return doctor.Write(a.stdout, r)
}
