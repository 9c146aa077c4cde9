package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/topologies"
)

type watchFlags struct {
	watch    bool
	interval string
	samples  int
	json     bool
}

// errEnoughSamples ends a watch after --samples.
var errEnoughSamples = errors.New("enough samples")

// watch shows what a lab's links do, until ctrl-C.
func (a *app) watch(ctx context.Context, f watchFlags, name string) error {
	interval, err := topologies.ParseTime(f.interval)
	if err != nil {
		return usageError{fmt.Errorf("--interval: %w", err)}
	}
	if interval < 10*time.Millisecond || f.samples < 0 {
		return usageError{fmt.Errorf("--interval %s and --samples %d: expected 10ms or more, and 0 or more", f.interval, f.samples)}
	}
	l, err := a.openLab(name)
	if err != nil {
		return err
	}
	show := a.watchPrinter(f, l.Name())
	seen := 0
	err = l.Watch(ctx, interval, func(s lab.Sample) error {
		if err := show(s); err != nil {
			return err
		}
		if seen++; seen == f.samples {
			return errEnoughSamples
		}
		return nil
	})
	if errors.Is(err, errEnoughSamples) {
		return nil
	}
	return err
}

// watchPrinter returns what shows a sample: as JSON, as lines, or in place on a
// terminal.
func (a *app) watchPrinter(f watchFlags, name string) func(lab.Sample) error {
	if f.json {
		encoder := json.NewEncoder(a.stdout)
		return func(s lab.Sample) error { return encoder.Encode(s) }
	}
	file, ok := a.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(s lab.Sample) error { return writeLines(a.stdout, flowLines(s, s.At.Format("15:04:05.000")+"  ")) }
	}
	shown := 0
	return func(s lab.Sample) error {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil {
			width, height = 80, 24
		}
		text := append([]string{fmt.Sprintf("%s  %s  ctrl-C ends it", name, s.At.Format("15:04:05"))}, flowLines(s, "")...)
		if len(text) >= height {
			text = text[:max(height-1, 1)] // what scrolled away could not be overwritten
		}
		var b strings.Builder
		if shown > 0 {
			fmt.Fprintf(&b, "\x1b[%dA", shown)
		}
		for _, line := range text {
			fmt.Fprintf(&b, "\x1b[K%s\r\n", clip(line, width))
		}
		b.WriteString("\x1b[J")
		shown = len(text)
		_, err = fmt.Fprint(a.stdout, b.String())
		return err
	}
}

// clip cuts a line to a terminal's width, in characters.
func clip(line string, width int) string {
	if runes := []rune(line); len(runes) > width && width > 0 {
		return string(runes[:width])
	}
	return line
}

// flowLines returns a sample as a table with a heading, each line behind a prefix.
func flowLines(s lab.Sample, prefix string) []string {
	rows := [][]string{{"LINK", "DIRECTION", "RATE", "PACKETS/s", "QUEUE", "HELD", "DROPPED", "LATE p99"}}
	link := ""
	for _, f := range s.Flows {
		shown := f.Link
		if shown == link && prefix == "" {
			shown = ""
		}
		link = f.Link
		rows = append(rows, []string{
			shown, fmt.Sprintf("%-4s %s > %s", f.Direction, f.From, f.To),
			rateText(f.RateBPS), fmt.Sprintf("%.0f", f.PacketRate),
			queueText(f.Queue), fmt.Sprint(f.HeldPackets), droppedText(f), latenessText(f.LatenessP99),
		})
	}
	var b strings.Builder
	_ = writeColumns(&b, rows) // a Builder takes everything
	var out []string
	for line := range lines(b.String()) {
		out = append(out, prefix+strings.TrimRight(line, " "))
	}
	return out
}

// rateText writes a rate in the largest unit that leaves a digit before the point.
func rateText(bps float64) string {
	for _, u := range []struct {
		name string
		of   float64
	}{{"Gbit/s", 1e9}, {"Mbit/s", 1e6}, {"kbit/s", 1e3}} {
		if bps >= u.of {
			return fmt.Sprintf("%.1f %s", bps/u.of, u.name)
		}
	}
	return fmt.Sprintf("%.0f bit/s", bps)
}

func queueText(q *lab.QueueStatus) string {
	if q == nil {
		return "-"
	}
	text := fmt.Sprintf("%d pkt %.1f KB", q.Packets, float64(q.Bytes)/1e3)
	if q.Delay > 0 {
		text += fmt.Sprintf(" %.1f ms", float64(q.Delay.Microseconds())/1e3)
	}
	return text
}

func droppedText(f lab.Flow) string {
	var words []string
	for _, reason := range slices.Sorted(maps.Keys(f.Dropped)) {
		words = append(words, fmt.Sprintf("%d %s", f.Dropped[reason], reason))
	}
	if f.BackendLost > 0 {
		words = append(words, fmt.Sprintf("%d LOST BY THE EMULATOR", f.BackendLost))
	}
	if f.State != "" && f.State != "up" {
		words = append(words, "interface "+f.State)
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}

func latenessText(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Microsecond).String()
}
