package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/topologies"
)

func (a *app) statusCommand() *cobra.Command {
	var f watchFlags
	var verbose bool
	c := &cobra.Command{
		Use:   "status [LAB]",
		Short: "Show the labs that are up, their links and what went over them",
		Long: `Shows every lab of which anything is there, or one: its nodes and what runs in
them, its links, what each wire has passed and dropped so far and why, and what
keeps it from being whole, if anything does.

With --watch it shows what each link of one lab does now, in each direction, again
and again until ctrl-C: the rate and the packets that come out of the wire, what
waits in its queue (packets, bytes, and how long at the link's rate), what it holds
with what is in flight, what it dropped since the line before and why, and how late
the relay is (since the lab came up). The kernel's netem does not tell queued from
delayed packets: its queue is shown as -. On a terminal the table stays in place,
else each line has its time; with --json each sample is an object on a line.

    sudo tquiclab status lte-wifi --watch --samples 3`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeLabs,
		RunE: func(c *cobra.Command, args []string) error {
			if f.watch {
				if len(args) != 1 {
					return usageError{errors.New("status --watch takes a lab")}
				}
				return a.watch(c.Context(), f, args[0])
			}
			host := a.host(a.log(c))
			var all []lab.Status
			var err error
			if len(args) == 1 {
				var one lab.Status
				if one, err = host.Status(c.Context(), a.labName(args[0])); err == nil {
					all = append(all, one)
				}
			} else {
				all, err = host.List(c.Context())
			}
			if err != nil {
				return err
			}
			if f.json {
				if all == nil {
					all = []lab.Status{}
				}
				return writeJSON(a.stdout, all)
			}
			return a.printStatus(all)
		},
	}
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "show what the links do, until ctrl-C")
	c.Flags().StringVar(&f.interval, "interval", "1s", "time between two samples of --watch")
	c.Flags().IntVar(&f.samples, "samples", 0, "end --watch after this many samples (default never)")
	addVerboseFlag(c, &verbose)
	return c
}

// completeLabs offers the labs that are up.
func (a *app) completeLabs(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := a.host(nil).List(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Lab)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) printStatus(all []lab.Status) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.stdout, "no lab is up")
		return err
	}
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		fmt.Fprintf(a.stdout, "%s  %s\n", s.Lab, strings.Join(headline(s), ", "))
		if s.Broken != "" {
			fmt.Fprintf(a.stdout, "  not whole: %s; `tquiclab up` repairs it, `tquiclab down %s` removes it\n", s.Broken, s.Lab)
		}
		for _, n := range s.Nodes {
			fmt.Fprintf(a.stdout, "  node %s  namespace %s", n.Name, n.Namespace)
			for _, p := range n.Processes {
				fmt.Fprintf(a.stdout, "\n    process %s", p)
			}
			fmt.Fprintln(a.stdout)
		}
		if err := a.printLinks(s); err != nil {
			return err
		}
		if s.WiresError != "" {
			fmt.Fprintf(a.stdout, "  wires: %s\n", s.WiresError)
		}
	}
	return nil
}

func headline(s lab.Status) []string {
	words := []string{s.Phase}
	if s.Backend != "" {
		words = append(words, "backend "+s.Backend)
	}
	if !s.Created.IsZero() {
		words = append(words, "for "+time.Since(s.Created).Round(time.Second).String())
	}
	if s.Owner != 0 {
		words = append(words, fmt.Sprintf("for the run of process %d", s.Owner))
	}
	if s.Relay != 0 {
		words = append(words, fmt.Sprintf("relay process %d", s.Relay))
	}
	if s.Conductor != 0 {
		words = append(words, fmt.Sprintf("conductor process %d", s.Conductor))
	}
	if s.Clock != nil {
		words = append(words, clockText(*s.Clock))
	}
	return words
}

func (a *app) printLinks(s lab.Status) error {
	rows := [][]string{{"  LINK", "DIRECTION", "RATE", "DELAY", "PASSED", "DROPPED", "HELD", "LATE p99"}}
	for _, l := range s.Links {
		i := slices.IndexFunc(s.Wires, func(w lab.WireStatus) bool { return w.Link == l.Name })
		if i < 0 {
			rows = append(rows, []string{"  " + l.Name, l.Endpoints[0] + " -- " + l.Endpoints[1], "-", "-", "-", "-", "-", "-"})
			continue
		}
		rows = append(rows,
			directionRow("  "+l.Name, "up   "+l.Endpoints[0]+" > "+l.Endpoints[1], l.Up.Rate, l.Up.Delay, s.Wires[i].Up),
			directionRow("", "down "+l.Endpoints[1]+" > "+l.Endpoints[0], l.Down.Rate, l.Down.Delay, s.Wires[i].Down))
	}
	return writeColumns(a.stdout, rows)
}

func directionRow(link, direction string, rate emulation.Rate, delay time.Duration, d lab.DirectionStatus) []string {
	orDash := func(set bool, text string) string {
		if !set {
			return "-"
		}
		return text
	}
	dropped := []string{}
	for _, reason := range slices.Sorted(maps.Keys(d.Dropped)) {
		if n := d.Dropped[reason]; n > 0 {
			dropped = append(dropped, fmt.Sprintf("%d %s", n, reason))
		}
	}
	if d.BackendLost > 0 {
		dropped = append(dropped, fmt.Sprintf("%d LOST BY THE EMULATOR", d.BackendLost))
	}
	if d.State != "" && d.State != "up" {
		dropped = append(dropped, "interface "+d.State)
	}
	return []string{
		link, direction,
		orDash(rate > 0, topologies.FormatRate(rate)),
		orDash(delay > 0, topologies.FormatTime(delay)),
		fmt.Sprintf("%d packets", d.PassedPackets),
		orDash(len(dropped) > 0, strings.Join(dropped, ", ")),
		fmt.Sprint(d.HeldPackets),
		orDash(d.LatenessP99 > 0, d.LatenessP99.Round(time.Microsecond).String()),
	}
}
