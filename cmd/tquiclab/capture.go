package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/capture"
	"github.com/tquiclab/tquiclab/topologies"
)

type captureFlags struct {
	write    string
	keyLog   string
	duration string
	size     string
	snaplen  string
	ring     string
	packets  uint64
	json     bool
}

func (a *app) captureCommand() *cobra.Command {
	var f captureFlags
	c := &cobra.Command{
		Use:   "capture LAB [POINT...]",
		Short: "Capture packets of a running lab into a pcapng file",
		Long: `Captures what passes the points of a running lab into one pcapng file, with an
interface for each point, until ctrl-C or the first limit. A POINT is one of

` + capture.PointsHelp + `

Without points it is each link's interface in its first endpoint. Packets of all
points are in the order of their time stamps (nanoseconds).

    sudo tquiclab capture lte-wifi lte.down --duration 5s

With --keylog the TLS secrets of a key log (as programs write it to the file that
SSLKEYLOGFILE names) go into the file, so that Wireshark shows what is inside. A
run has them by itself: tquiclab run --capture.

What the capture was too slow for is counted, in the table and in the file. A
smaller --snaplen or a larger --ring help; without all of its bytes a packet cannot
be decrypted. A capture that is killed leaves a readable file without secrets.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeCapture,
		RunE:              func(c *cobra.Command, args []string) error { return a.capture(c, f, args[0], args[1:]) },
	}
	c.Flags().StringVarP(&f.write, "write", "w", "", "file to write (default LAB-DATE.pcapng)")
	c.Flags().StringVar(&f.keyLog, "keylog", "", "key log whose TLS secrets go into the file when the capture ends")
	c.Flags().StringVar(&f.duration, "duration", "", "stop after this time, such as 10s")
	c.Flags().Uint64Var(&f.packets, "packets", 0, "stop after this many packets")
	c.Flags().StringVar(&f.size, "size", "", "stop before the file is larger, such as 100MB")
	c.Flags().StringVar(&f.snaplen, "snaplen", "", "keep this much of each packet, such as 128B (default all)")
	c.Flags().StringVar(&f.ring, "ring", "", "memory for the packets of each point that wait to be written (default 16MiB)")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// config returns what the flags say.
func (f captureFlags) config() (capture.Config, error) {
	c := capture.Config{Path: f.write, Packets: f.packets}
	var errs []error
	if f.duration != "" {
		d, err := topologies.ParseTime(f.duration)
		if err != nil {
			errs = append(errs, fmt.Errorf("--duration: %w", err))
		}
		c.Duration = d
	}
	for _, s := range []struct {
		flag, text string
		most       emulation.ByteCount
		set        func(emulation.ByteCount)
	}{
		{"size", f.size, 1 << 50, func(n emulation.ByteCount) { c.Size = int64(n) }},
		{"snaplen", f.snaplen, capture.DefaultSnaplen, func(n emulation.ByteCount) { c.Snaplen = int(n) }},
		{"ring", f.ring, 1 << 30, func(n emulation.ByteCount) { c.Ring = int(n) }},
	} {
		if s.text == "" {
			continue
		}
		n, err := topologies.ParseSize(s.text)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("--%s: %w", s.flag, err))
		case n < 1 || n > s.most:
			errs = append(errs, fmt.Errorf("--%s: %s is not from 1B to %s", s.flag, s.text, topologies.FormatSize(s.most)))
		default:
			s.set(n)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

func (a *app) capture(c *cobra.Command, f captureFlags, labName string, words []string) error {
	config, err := f.config()
	if err != nil {
		return err
	}
	l, err := a.openLab(labName)
	if err != nil {
		return err
	}
	if config.Points, err = capture.Points(l.Topology(), words); err != nil {
		return usageError{err}
	}
	if f.keyLog != "" {
		if _, err := os.Stat(f.keyLog); err != nil {
			return usageError{fmt.Errorf("--keylog: %w: start what writes it first, with SSLKEYLOGFILE", err)}
		}
		config.Secrets = func() (capture.Secrets, error) { return capture.ReadSecrets(f.keyLog) }
	}
	user, err := a.invokingUser()
	if err != nil {
		return err
	}
	// From here on the lab's end is this process's end.
	if err := l.Join(a.executable, a.args); err != nil {
		return err
	}
	if config.Path == "" {
		config.Path = l.Name() + "-" + time.Now().Format("20060102-150405") + ".pcapng"
	}
	config.Comment = "lab " + l.Name() + ", topology " + l.Topology().Name + ", backend " + l.Backend()
	config.Do = l.Do
	summary, err := a.captureUntilDone(c, l, config, user)
	if summary.File == "" {
		return err
	}
	return errors.Join(err, a.printCapture(f, summary))
}

// captureUntilDone captures until a limit, or until the user has seen enough: that is
// how a capture ends, and no failure.
func (a *app) captureUntilDone(c *cobra.Command, l *lab.Lab, config capture.Config, user *invokingUser) (capture.Summary, error) {
	running, err := capture.Start(config)
	if err != nil {
		return capture.Summary{}, err
	}
	err = user.own(config.Path)
	fmt.Fprintf(a.stderr, "capturing at %s of %s into %s; ctrl-C ends it\n", plural(len(config.Points), "point"), l.Name(), config.Path)
	a.showCapture(c, running)
	summary, stopErr := running.Stop()
	return summary, errors.Join(err, stopErr, user.own(config.Path))
}

// showCapture returns when the capture has ended or shall end, and shows a terminal
// meanwhile where it stands.
func (a *app) showCapture(c *cobra.Command, running *capture.Capture) {
	var ticks <-chan time.Time
	if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		ticks = ticker.C
		defer fmt.Fprint(a.stderr, "\r\x1b[K")
	}
	for {
		select {
		case <-c.Context().Done():
			return
		case <-running.Done():
			return
		case <-ticks:
			s := running.Progress()
			fmt.Fprintf(a.stderr, "\r\x1b[K%.0f s: %d packets, %.1f MB, %d dropped", s.Seconds, s.Packets, float64(s.Bytes)/1e6, s.Dropped)
		}
	}
}

func (a *app) printCapture(f captureFlags, s capture.Summary) error {
	if s.Dropped > 0 {
		fmt.Fprintf(a.stderr, "warning: the capture was too slow for %d packets, which are not in the file: try a larger --ring, a smaller --snaplen or fewer points\n", s.Dropped)
	}
	if s.Skipped > 0 {
		fmt.Fprintf(a.stderr, "warning: %d lines of %s are no TLS secrets and were left out\n", s.Skipped, f.keyLog)
	}
	if f.json {
		return writeJSON(a.stdout, s)
	}
	rows := [][]string{{"POINT", "PACKETS", "DROPPED", "WHAT"}}
	for _, p := range s.Points {
		rows = append(rows, []string{p.Name, fmt.Sprint(p.Packets), fmt.Sprint(p.Dropped), p.Description()})
	}
	if err := writeColumns(a.stdout, rows); err != nil {
		return err
	}
	text := fmt.Sprintf("%s: %d packets, %d bytes, %.1f s", s.File, s.Packets, s.Bytes, s.Seconds)
	if f.keyLog != "" {
		text += fmt.Sprintf(", secrets of %s", plural(s.Sessions, "session"))
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}

func (a *app) completeCapture(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.completeLabs(c, args, word)
	}
	l, err := a.host(nil).Open(a.labName(args[0]))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, link := range l.Topology().Links {
		words = append(words, link.Name, link.Name+".up", link.Name+".down", link.Endpoints[0]+":"+link.Name, link.Endpoints[1]+":"+link.Name)
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
