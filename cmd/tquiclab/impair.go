package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/topologies"
)

type impairFlags struct {
	lasts time.Duration
	reset bool
	show  bool
	json  bool
}

func (a *app) impairCommand() *cobra.Command {
	var f impairFlags
	c := &cobra.Command{
		Use:   "impair LAB LINK[,LINK...] [CHANGE...]",
		Short: "Change the links of a running lab",
		Long: `Changes what links of a running lab do to packets. All changes to impairments take
effect together, on all links that are named, or none does. A change stays until the
topology's timeline sets the same key, or a run arms the lab's clock.

A CHANGE is an assignment in the words of a topology file, for both directions or,
behind "up." or "down.", for one; or one of the words

    down       both ends lose the carrier
    up         they have it again
    blackhole  packets vanish, the interfaces stay up
    through    a black hole ends
    rebind     a NAT, named in the place of LINK, forgets its mappings

Without a CHANGE it shows what is in force.

    sudo tquiclab impair lte-wifi lte down.rate=5mbit delay=80ms
    sudo tquiclab impair lte-wifi lte,wifi loss=2% --for 10s
    sudo tquiclab impair lte-wifi wifi down

Every change is recorded, with its time, in a run that is in progress; see
"tquiclab events".`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completeImpair,
		RunE: func(c *cobra.Command, args []string) error {
			l, err := a.host(nil).Open(a.labName(args[0]))
			if err != nil {
				return err
			}
			return a.impair(c.Context(), l, f, strings.Split(args[1], ","), args[2:])
		},
	}
	c.Flags().DurationVar(&f.lasts, "for", 0, "wait so long, then put back what was in force")
	c.Flags().BoolVar(&f.reset, "reset", false, "put the links' impairments back to what the topology says, first")
	c.Flags().BoolVar(&f.show, "show", false, "show what is in force, afterwards")
	c.Flags().BoolVar(&f.json, "json", false, "show it as JSON")
	return c
}

// completeImpair offers labs, then links, then the words.
func (a *app) completeImpair(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.completeLabs(c, args, word)
	case 1:
		l, err := a.host(nil).Open(a.labName(args[0]))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, t := range l.Topology().Links {
			names = append(names, t.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"down", "up", "blackhole", "through"}, cobra.ShellCompDirectiveNoSpace
}

// changeSet is what one impair does.
type changeSet struct {
	links    []string
	settings []lab.Setting
	carrier  lab.Carrier // empty: as it is
	nat      string      // to rebind
}

func (a *app) impair(ctx context.Context, l *lab.Lab, f impairFlags, links, words []string) error {
	before, err := l.InForce(ctx)
	if err != nil {
		return err
	}
	set, err := a.readChanges(l, before, f, links, words)
	if err != nil {
		return err
	}
	back, err := set.reverting(before)
	if err != nil && f.lasts > 0 {
		return err
	}
	if f.reset {
		if err := l.Reset(ctx, links...); err != nil {
			return err
		}
	}
	if err := set.apply(ctx, l); err != nil {
		return err
	}
	if len(words) == 0 && !f.reset || f.show || f.json {
		if err := a.showInForce(ctx, l, f, links); err != nil {
			return err
		}
	}
	if f.lasts == 0 {
		return nil
	}
	return lasting(ctx, f.lasts, func(ctx context.Context) error { return back.apply(ctx, l) })
}

// lasting waits, and takes back what was done even when ctx ends.
func lasting(ctx context.Context, d time.Duration, takeBack func(context.Context) error) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	return errors.Join(takeBack(context.WithoutCancel(ctx)), ctx.Err())
}

// readChanges understands the words of a command line. What is wrong with them is a
// usage error or Problems.
func (a *app) readChanges(l *lab.Lab, before []lab.InForce, f impairFlags, links, words []string) (changeSet, error) {
	set := changeSet{links: links}
	if slices.Equal(words, []string{string(topologies.EventRebind)}) {
		if len(links) != 1 || f.lasts > 0 || f.reset {
			return set, usageError{errors.New("rebind takes one NAT, and cannot be put back")}
		}
		set.nat = links[0]
		return set, nil
	}
	var bases []topologies.Link
	for _, name := range links {
		base, err := linkInForce(l.Topology(), before, name, f.reset)
		if err != nil {
			return set, err
		}
		bases = append(bases, base)
	}
	if f.lasts < 0 || f.lasts > 0 && (len(words) == 0 || f.reset) {
		return set, usageError{errors.New("--for needs a time and a change, and does not go with --reset")}
	}
	return set, a.readWords(&set, bases, words)
}

// linkInForce returns the link as it is, or as its file says.
func linkInForce(t topologies.Topology, before []lab.InForce, name string, asFiled bool) (topologies.Link, error) {
	i := slices.IndexFunc(t.Links, func(l topologies.Link) bool { return l.Name == name })
	if i < 0 {
		var names []string
		for _, l := range t.Links {
			names = append(names, l.Name)
		}
		return topologies.Link{}, usageError{fmt.Errorf("there is no link %q: %s has %s", name, t.Name, strings.Join(names, ", "))}
	}
	base := t.Links[i]
	for _, f := range before {
		switch {
		case asFiled || f.Link != name:
		case f.Way == "up":
			base.Up = f.Impairments
		default:
			base.Down = f.Impairments
		}
	}
	return base, nil
}

func (a *app) readWords(set *changeSet, bases []topologies.Link, words []string) error {
	var assignments []string
	for _, w := range words {
		switch topologies.EventKind(w) {
		case topologies.EventDown:
			set.carrier = lab.CarrierOff
		case topologies.EventUp:
			set.carrier = lab.CarrierOn
		case topologies.EventBlackhole, topologies.EventThrough:
			on := w == string(topologies.EventBlackhole)
			patch := emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: on}}
			for _, b := range bases {
				set.settings = append(set.settings, lab.Setting{Link: b.Name, Patch: patch})
			}
		default:
			assignments = append(assignments, w)
		}
	}
	if len(assignments) == 0 {
		return nil
	}
	loader := a.loader()
	loader.Dir = "." // traces are relative to where the command is typed
	for _, b := range bases {
		patches, err := loader.ParsePatch(assignments, b)
		if err != nil {
			return fmt.Errorf("link %s: %w", b.Name, err)
		}
		for _, p := range patches {
			set.settings = append(set.settings, lab.Setting{Link: b.Name, Way: p.Way, Patch: p.Patch})
		}
	}
	return nil
}

func (s changeSet) apply(ctx context.Context, l *lab.Lab) error {
	if s.nat != "" {
		return l.Rebind(ctx, s.nat)
	}
	if len(s.settings) > 0 {
		if err := l.Impair(ctx, s.settings); err != nil {
			return err
		}
	}
	if s.carrier == "" {
		return nil
	}
	var errs []error
	for _, link := range s.links {
		errs = append(errs, l.SetLink(ctx, link, s.carrier))
	}
	return errors.Join(errs...)
}

// reverting returns what takes s back.
func (s changeSet) reverting(before []lab.InForce) (changeSet, error) {
	back := changeSet{links: s.links}
	switch s.carrier {
	case lab.CarrierOff:
		back.carrier = lab.CarrierOn
	case lab.CarrierOn:
		back.carrier = lab.CarrierOff
	}
	var err error
	back.settings, err = lab.Reverting(before, s.settings)
	return back, err
}

func (a *app) showInForce(ctx context.Context, l *lab.Lab, f impairFlags, links []string) error {
	all, err := l.InForce(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(i lab.InForce) bool { return !slices.Contains(links, i.Link) })
	if f.json {
		if all == nil {
			all = []lab.InForce{}
		}
		return writeJSON(a.stdout, all)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.stdout, "no impairments")
		return err
	}
	rows := [][]string{{"LINK", "DIRECTION", "IN FORCE"}}
	for _, i := range all {
		text := topologies.Summary(i.Impairments)
		if i.Omitted != 0 {
			text += fmt.Sprintf(" and %v, too long to show", i.Omitted)
		}
		rows = append(rows, []string{i.Link, i.Way, text})
	}
	return writeColumns(a.stdout, rows)
}
