package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/topologies"
)

// workloadFlags override a topology's workload. What another kind has alone is refused
// by the rules for files.
type workloadFlags struct {
	kind     string
	rate     string
	size     string
	response string
	deadline string
	parallel int
}

func (f *workloadFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.kind, "workload", "", "kind of the workload, instead of the topology's: "+strings.Join(topologies.Kinds(), ", "))
	c.Flags().StringVar(&f.rate, "rate", "", "rpc: requests a second, such as 100/s; cbr: bit rate of the frames, such as 5mbit")
	c.Flags().StringVar(&f.size, "size", "", "rpc: bytes of a request, such as 1KB; cbr: of a frame, such as 20KB")
	c.Flags().StringVar(&f.response, "response", "", "rpc: bytes of an answer, such as 4KB")
	c.Flags().StringVar(&f.deadline, "deadline", "", "cbr: how old a frame may be, such as 200ms")
	c.Flags().IntVar(&f.parallel, "parallel", 0, "handshake: sessions at the same time")
	// No such flag, no completion: it is only a help.
	_ = c.RegisterFlagCompletionFunc("workload", cobra.FixedCompletions(topologies.Kinds(), cobra.ShellCompDirectiveNoFileComp))
}

// apply puts the flags into the workload. Another kind starts from that kind's defaults
// and keeps the duration, the streams and the connections.
func (f workloadFlags) apply(w *topologies.Workload) error {
	if f.kind != "" && f.kind != w.Kind {
		if !slices.Contains(topologies.Kinds(), f.kind) {
			return usageError{fmt.Errorf("--workload: unknown kind %q: known are %s", f.kind, strings.Join(topologies.Kinds(), ", "))}
		}
		other := topologies.WorkloadOf(f.kind)
		if w.Duration > 0 {
			other.Duration = w.Duration
		}
		if f.kind != topologies.Handshake {
			other.Streams, other.Connections = w.Streams, w.Connections
		}
		*w = other
	}
	for _, set := range []func() error{
		func() error {
			return quantityFlag("rate", f.rate, topologies.ParsePace, func(p topologies.Pace) { w.PerSecond, w.Rate = p.PerSecond, p.Rate })
		},
		func() error {
			return quantityFlag("size", f.size, topologies.ParseSize, func(n emulation.ByteCount) { w.Size = int64(n) })
		},
		func() error {
			return quantityFlag("response", f.response, topologies.ParseSize, func(n emulation.ByteCount) { w.Response = int64(n) })
		},
		func() error {
			return quantityFlag("deadline", f.deadline, topologies.ParseTime, func(d time.Duration) { w.Deadline = d })
		},
	} {
		if err := set(); err != nil {
			return err
		}
	}
	return nil
}

// quantityFlag reads a flag that was given and sets what it stands for.
func quantityFlag[V any](name, text string, parse func(string) (V, error), set func(V)) error {
	if text == "" {
		return nil
	}
	v, err := parse(text)
	if err != nil {
		return usageError{fmt.Errorf("--%s: %w", name, err)}
	}
	set(v)
	return nil
}

// keepAble leaves the engines in the experiment that can run its workload, and says which
// it left out. Those that the user asked for must all be among them.
func (a *app) keepAble(f experimentFlags, x *topologies.Experiment) error {
	if !x.Workload.Timed() {
		return nil
	}
	var kept, left []string
	for _, text := range x.Engines {
		ref, err := topologies.ParseEngine(text)
		if err != nil {
			return usageError{err}
		}
		if e, err := a.engines.Lookup(ref.Name); err == nil && e.Capabilities().BulkOnly {
			left = append(left, text)
		} else {
			kept = append(kept, text)
		}
	}
	if len(left) > 0 && (len(f.engines) > 0 || len(kept) == 0) {
		return fmt.Errorf("cannot run a workload of kind %s over %s: %w: it makes its own traffic, which is bulk", x.Workload.Kind, strings.Join(left, ", "), engine.ErrUnsupported)
	}
	if len(left) > 0 {
		fmt.Fprintf(a.stderr, "left out, since they move bulk data only: %s\n", strings.Join(left, ", "))
	}
	x.Engines = kept
	return nil
}
