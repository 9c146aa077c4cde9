package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tquiclab/tquiclab/engine/tquic"
	"github.com/tquiclab/tquiclab/lab/breadth"
)

const usage = `usage: breadth wsp [flags]                  the four classes of pairs of paths
       breadth catalog [flags] [TOPOLOGY...]  the catalogue's topologies, or those named
       breadth failover [flags]               links that go black or down, in virtual time
       breadth failover FOLDER...             the same from the records of tquiclab run failover
"breadth VERB -help" lists the flags.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		if err != errUsage {
			fmt.Fprintln(os.Stderr, "breadth:", err)
		}
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "breadth:", err)
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "breadth:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("breadth "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	switch args[0] {
	case "wsp":
		return runWSP(ctx, flags, args[1:], stdout, stderr)
	case "catalog":
		return runCatalog(ctx, flags, args[1:], stdout, stderr)
	case "failover":
		return runFailover(ctx, flags, args[1:], stdout)
	}
	return errUsage
}

func runWSP(ctx context.Context, flags *flag.FlagSet, args []string, stdout, stderr io.Writer) error {
	x := breadth.WSP{Progress: progress(stderr, "runs")}
	flags.IntVar(&x.Sample, "sample", 0, "runs of each class, spread evenly; 0: all 506")
	flags.IntVar(&x.Repeats, "repeats", 3, "transfers over the same links, whose median counts")
	flags.Int64Var(&x.Bytes, "bytes", 20_000_000, "size of a transfer")
	flags.StringVar(&x.Scheduler, "scheduler", "", "what chooses the path of data; empty: the engine's default")
	flags.StringVar(&x.Congestion, "congestion", "", "congestion control; empty: the engine's default")
	flags.IntVar(&x.Workers, "workers", 0, "simulations at a time; 0: one a core")
	out := flags.String("out", "", "file for the runs, one a line, as JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return errUsage
	}
	file, err := create(*out)
	if err != nil {
		return err
	}
	runs, err := x.Run(ctx)
	if err := errors.Join(err, writeLines(file, runs)); err != nil {
		return err
	}
	return breadth.WriteSummaries(stdout, breadth.Summarize(runs))
}

func runCatalog(ctx context.Context, flags *flag.FlagSet, args []string, stdout, stderr io.Writer) error {
	c := breadth.Catalog{Engine: tquic.NewEngine(), Progress: progress(stderr, "topologies")}
	flags.IntVar(&c.Rounds, "rounds", 5, "transfers over each topology and each of its paths alone")
	flags.Int64Var(&c.Bytes, "bytes", 0, "size of each transfer; 0: what the topology says")
	flags.StringVar(&c.Scheduler, "scheduler", "", "what chooses the path of data; empty: the engine's default")
	flags.StringVar(&c.Congestion, "congestion", "", "congestion control; empty: the engine's default")
	flags.IntVar(&c.Workers, "workers", 0, "simulations at a time; 0: one a core")
	flags.StringVar(&c.Out, "out", "", "folder, to be made, for each topology's results; empty: they are thrown away")
	if err := parse(flags, args); err != nil {
		return err
	}
	c.Names = flags.Args()
	bonds, err := c.Run(ctx)
	if err != nil {
		return err
	}
	return breadth.WriteBonds(stdout, bonds)
}

func runFailover(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) error {
	f := breadth.Failover{Engine: tquic.NewEngine()}
	flags.IntVar(&f.Rounds, "rounds", 5, "transfers")
	flags.StringVar(&f.Scheduler, "scheduler", "", "what chooses the path of data; empty: the engine's default")
	flags.StringVar(&f.Congestion, "congestion", "", "congestion control; empty: the engine's default")
	flags.StringVar(&f.Out, "out", "", "folder, to be made, for the records; empty: they are thrown away")
	if err := parse(flags, args); err != nil {
		return err
	}
	var all []breadth.Recovery
	var err error
	switch {
	case flags.NArg() == 0:
		all, err = f.Run(ctx)
	case flags.NFlag() > 0:
		return fmt.Errorf("%w: flags say how to run in virtual time, and records are read as they are", errUsage)
	default:
		all, err = breadth.ReadFailover(flags.Args()...)
	}
	if err != nil {
		return err
	}
	return breadth.WriteRecoveries(stdout, all)
}

// parse is Parse, whose errors it has written out by then.
func parse(flags *flag.FlagSet, args []string) error {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	}
	return nil
}

// create makes a file; nil for no name.
func create(name string) (*os.File, error) {
	if name == "" {
		return nil, nil
	}
	return os.Create(name)
}

// writeLines writes each run as a line of JSON and closes the file, which may be nil.
func writeLines(file *os.File, runs []breadth.Run) error {
	if file == nil {
		return nil
	}
	e := json.NewEncoder(file)
	for _, r := range runs {
		if err := e.Encode(r); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", file.Name(), err), file.Close())
		}
	}
	return file.Close()
}

// progress tells on a line of its own every few seconds how far it is.
func progress(w io.Writer, what string) func(done, all int) {
	began := time.Now()
	last := began
	return func(done, all int) {
		now := time.Now()
		if done == all || now.Sub(last) >= 5*time.Second {
			last = now
			fmt.Fprintf(w, "%d of %d %s after %v\n", done, all, what, now.Sub(began).Round(time.Second))
		}
	}
}
