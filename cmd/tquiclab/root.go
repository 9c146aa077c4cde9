package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/topologies"
)

// run executes the command line and returns the exit code.
func (a *app) run(ctx context.Context) int {
	root := a.command()
	root.SetArgs(a.args[1:])
	err := root.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	switch {
	case code == exitInterrupted:
		fmt.Fprintf(a.stderr, "tquiclab: interrupted: %v\n", err)
	case err != nil:
		fmt.Fprintf(a.stderr, "tquiclab: %v\n", err)
		if hint := a.hint(err); hint != "" {
			fmt.Fprintln(a.stderr, hint)
		}
	}
	return code
}

// command returns the command tree.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "tquiclab",
		Short: "Build a multipath WAN on this machine and measure real transports over it",
		Long: `tquiclab builds a multipath WAN on one Linux box out of network namespaces and
links that behave like LTE, Wi-Fi and Ethernet, runs real transports over it,
checks every byte, and prints what each of them achieved.

A TOPOLOGY is a YAML file or a name of the catalogue ("tquiclab topologies list").
Data goes to standard output, progress and warnings to standard error.

Exit codes: 0 done, 1 failed, 2 wrong usage or an invalid file, 3 not supported
on this machine (the message says what to do), 4 a threshold was missed, 130
interrupted and cleaned up.

The environment variable TQUICLAB_STATE names the folder in which labs keep their
state (default /run/tquiclab). Commands with another one do not see these labs.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		a.upCommand(), a.downCommand(), a.statusCommand(), a.execCommand(), a.shellCommand(), a.captureCommand(),
		a.calibrateCommand(), a.graphCommand(), a.doctorCommand(), a.reapCommand(),
		a.impairCommand(), a.startCommand(), a.eventsCommand(),
		a.topologiesCommand(), a.runCommand(),
		a.agentCommand(), a.relayCommand(), a.conductCommand(), a.docsCommand(),
	)
	for _, c := range allCommands(root) {
		wrapArgs(c)
	}
	return root
}

// allCommands returns the command and everything below it.
func allCommands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, allCommands(sub)...)
	}
	return all
}

// wrapArgs makes a wrong number of arguments, or an unknown verb, a usage error.
func wrapArgs(c *cobra.Command) {
	check := c.Args
	if check == nil {
		check = cobra.NoArgs
		if c.HasSubCommands() {
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// host returns this machine with this program as its relay and its conductor.
func (a *app) host(log *slog.Logger) lab.Host {
	return lab.Host{
		Dir: a.stateDir, Environment: os.Environ(), Log: log,
		Relay: []string{a.executable, relayVerb}, Conductor: []string{a.executable, conductVerb},
	}
}

// log returns a logger for people on standard error: warnings, and details with
// --verbose.
func (a *app) log(c *cobra.Command) *slog.Logger {
	level := slog.LevelWarn
	if verbose, err := c.Flags().GetBool("verbose"); err == nil && verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: dropTime}))
}

func dropTime(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return attr
}

// loader reads topologies with this program's engines.
func (a *app) loader() topologies.Loader { return topologies.Loader{Engines: a.engines.Names()} }

// version is the module's version: a tag, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version // a pseudo-version has the revision in it
	if text == "" || text == "(devel)" {
		text = "of no known revision"
	}
	return text + ", " + info.GoVersion
}
