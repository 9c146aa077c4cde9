package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/topologies"
)

// eventsResult is what events prints with --json.
type eventsResult struct {
	Lab     string             `json:"lab"`
	Clock   lab.ClockStatus    `json:"clock"`
	Planned []topologies.Event `json:"planned"`
	Changes []journal.Entry    `json:"changes"`
}

func (a *app) eventsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "events LAB",
		Short: "Show what is planned to happen in a lab, and what has happened",
		Long: `Shows the events of a running lab's topology, and every change that has taken
effect: those of the timeline and those made by hand, with the time since the clock
started and how late they were.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeLabs,
		RunE: func(c *cobra.Command, args []string) error {
			l, err := a.host(nil).Open(a.labName(args[0]))
			if err != nil {
				return err
			}
			r := eventsResult{Lab: l.Name(), Planned: l.Topology().Events}
			if r.Clock, err = l.Clock(c.Context()); err != nil {
				return err
			}
			if r.Changes, err = l.History(c.Context()); err != nil {
				return err
			}
			if !asJSON {
				return a.printEvents(r)
			}
			if r.Planned == nil {
				r.Planned = []topologies.Event{}
			}
			if r.Changes == nil {
				r.Changes = []journal.Entry{}
			}
			return writeJSON(a.stdout, r)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) printEvents(r eventsResult) error {
	fmt.Fprintf(a.stdout, "%s: %s\n", r.Lab, clockText(r.Clock))
	rows := [][]string{{"PLANNED AT", "WHAT", ""}}
	for _, e := range r.Planned {
		rows = append(rows, []string{topologies.FormatTime(e.At), eventEntry(e).Text(), repeatText(e)})
	}
	if len(r.Planned) == 0 {
		fmt.Fprintln(a.stdout, "nothing is planned")
	} else if err := writeColumns(a.stdout, rows); err != nil {
		return err
	}
	rows = [][]string{{"HAPPENED AT", "WHAT", "BY", "LATE"}}
	for _, e := range r.Changes {
		at, late := "-", "-"
		if e.Since != nil {
			at = e.Since.Round(time.Millisecond).String()
		}
		if e.Late > 0 {
			late = e.Late.Round(time.Microsecond).String()
		}
		rows = append(rows, []string{at, e.Text(), string(e.By), late})
	}
	if len(r.Changes) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nothing has happened")
		return err
	}
	return writeColumns(a.stdout, rows)
}

func clockText(c lab.ClockStatus) string {
	if !c.Running {
		return "the clock waits"
	}
	return fmt.Sprintf("the clock runs for %v", c.Since.Round(time.Millisecond))
}

// eventEntry is a planned event in the words of one that happened.
func eventEntry(e topologies.Event) journal.Entry {
	entry := journal.Entry{Kind: journal.Kind(e.Kind), Link: e.Link, Way: e.Way, Node: e.Node, Ramp: e.Ramp}
	if e.Kind == topologies.EventSet {
		entry.Set = &e.Set
	}
	return entry
}

func repeatText(e topologies.Event) string {
	var words []string
	if e.For > 0 {
		words = append(words, "for "+topologies.FormatTime(e.For))
	}
	if e.Every > 0 {
		words = append(words, "every "+topologies.FormatTime(e.Every))
	}
	if e.Times > 0 {
		words = append(words, fmt.Sprintf("%d times", e.Times))
	}
	return strings.Join(words, ", ")
}
