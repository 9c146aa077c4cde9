package runner

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/results"
)

// Line shows progress on one line of a terminal, rewritten in place. Where there
// is no terminal it writes a plain line for each trial that is over.
type Line struct {
	out   io.Writer
	width func() int // columns; 0 means that out is no terminal

	mu        sync.Mutex
	shown     bool           // the status line is on the screen
	news      results.Change // the latest change, which is shown
	newsUntil time.Duration  // into the trial
}

// NewLine returns a line on f, usually os.Stderr.
func NewLine(f *os.File) *Line {
	return &Line{out: f, width: func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0
		}
		return width
	}}
}

// Show is a sink for Config.Progress. Write errors are ignored: progress is not
// worth a run.
func (l *Line) Show(p Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	width := l.width()
	switch {
	case p.Done != nil:
		l.clear()
		if width == 0 {
			fmt.Fprintln(l.out, doneText(p))
		}
	case width == 0:
		for _, c := range p.Changes {
			fmt.Fprintln(l.out, changeText(p, c))
		}
	case width > 1:
		text := statusText(p) + l.newsText(p)
		// The last column stays free: some terminals wrap when it is filled.
		text = text[:min(len(text), width-1)]
		fmt.Fprintf(l.out, "\r%s%s", text, eraseToEnd)
		l.shown = true
	}
}

// newsTime is how long the status line shows a change.
const newsTime = 3 * time.Second

// newsText is the latest change, for a while.
func (l *Line) newsText(p Progress) string {
	if n := len(p.Changes); n > 0 {
		l.news, l.newsUntil = p.Changes[n-1], p.Elapsed+newsTime
	}
	if l.news.What == "" || p.Elapsed > l.newsUntil || p.Elapsed < l.newsUntil-newsTime {
		return ""
	}
	return "  [" + changeWords(l.news) + "]"
}

// Close takes the status line off the screen. Idempotent.
func (l *Line) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

// eraseToEnd is ECMA-48's EL: erase from the cursor to the end of the line.
const eraseToEnd = "\x1b[K"

func (l *Line) clear() {
	if l.shown {
		fmt.Fprintf(l.out, "\r%s", eraseToEnd)
		l.shown = false
	}
}

// statusText is the line while a trial runs, in ASCII.
func statusText(p Progress) string {
	var rates strings.Builder
	for _, path := range p.Paths {
		fmt.Fprintf(&rates, "  %s %s", path.Link, rateText(path.BPS))
	}
	return fmt.Sprintf("[%d/%d] round %d/%d  %s  %.1fs%s  = %s",
		p.Trial, p.Trials, p.Round, p.Rounds, p.Label,
		p.Elapsed.Seconds(), rates.String(), rateText(p.BPS))
}

// changeText is the line that a change leaves behind where there is no terminal.
func changeText(p Progress, c results.Change) string {
	return fmt.Sprintf("[%d/%d] %.1fs  %s", p.Trial, p.Trials, c.TMS/1e3, changeWords(c))
}

func changeWords(c results.Change) string {
	text := c.What
	if c.By == string(journal.Hand) {
		text += " (by hand)"
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// doneText is the line that a trial leaves behind where there is no terminal.
func doneText(p Progress) string {
	outcome := outcomeText(*p.Done)
	if !p.Done.OK() {
		outcome = "failed: " + p.Done.Error
	}
	return fmt.Sprintf("[%d/%d] round %d/%d  %s  %s", p.Trial, p.Trials, p.Round, p.Rounds,
		p.Label, strings.ReplaceAll(outcome, "\n", "; "))
}

// rateText writes a rate with its SI prefix and one decimal at most.
func rateText(bps float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "Gbit/s"}, {1e6, "Mbit/s"}, {1e3, "kbit/s"}} {
		if bps >= unit.size {
			return fmt.Sprintf("%.1f %s", bps/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%.0f bit/s", bps)
}
