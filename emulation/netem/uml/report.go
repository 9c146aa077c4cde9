package uml

import (
	"fmt"
	"strings"
)

// Report is which tests ran inside, subtests included, each under its full name
// (TestX/case), in the order in which they ended.
type Report struct {
	Passed  []string
	Failed  []string
	Skipped []string
}

// marker stands before each line of the testing package's own under
// -test.v=test2json, so that nothing a test prints is taken for a verdict.
const marker = "\x16"

// take reads one line of a test binary's output, without its line feed. It
// returns the line as a reader should see it, and whether to show it at all.
func (r *Report) take(line string) (text string, show bool) {
	line = strings.TrimSuffix(line, "\r") // the serial line's
	before, event, found := strings.Cut(line, marker)
	if !found {
		return line, true
	}
	if verdict, rest, ok := strings.Cut(strings.TrimPrefix(event, "--- "), ": "); ok && strings.HasPrefix(event, "--- ") {
		name := rest
		if end := strings.LastIndex(rest, " ("); end >= 0 {
			name = rest[:end]
		}
		switch verdict {
		case "PASS":
			r.Passed = append(r.Passed, name)
		case "FAIL":
			r.Failed = append(r.Failed, name)
		case "SKIP":
			r.Skipped = append(r.Skipped, name)
		}
		return before + event, true
	}
	// The marker also carries bookkeeping (=== NAME, === CONT) that only a
	// program wants to see.
	return before, before != ""
}

// verdict returns why the tests inside did not all pass, or nil.
func (r *Report) verdict(exit int) error {
	switch {
	case len(r.Failed) > 0:
		return fmt.Errorf("failed inside: %s", strings.Join(r.Failed, ", "))
	case exit != 0:
		return fmt.Errorf("the tests inside ended with status %d", exit)
	case len(r.Skipped) > 0:
		return fmt.Errorf("skipped inside, where nothing is to be missing: %s", strings.Join(r.Skipped, ", "))
	case len(r.Passed) == 0:
		return fmt.Errorf("no test ran inside: does Config.Test match one?")
	}
	return nil
}
