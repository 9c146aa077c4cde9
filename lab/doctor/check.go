package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Answer is what a probe found.
type Answer string

// The answers.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "could not tell"
)

// Need says how much depends on a check.
type Need string

// The needs.
const (
	Required Need = "required" // no lab without it
	Useful   Need = "useful"   // something is slower, worse or absent
	Tests    Need = "tests"    // for the project's own tests
)

// Check is something that this machine may have or not.
type Check struct {
	Group string // kernel, sockets ...
	Name  string
	Need  Need
	For   string // what it is used for
	Cost  string // what happens without it
	Get   string // how to get it: the kernel's option and version, a package, a command
	// Probe returns a detail for people, such as a version. An error that wraps
	// ErrAbsent means that the machine does not have it, another one that the probe
	// could not tell. It ends within a few seconds when ctx ends.
	Probe func(ctx context.Context) (detail string, err error)
}

// ErrAbsent is wrapped by errors of probes that know that something is not there.
var ErrAbsent = errors.New("not there")

// absent returns an error that wraps ErrAbsent and says only the text.
func absent(format string, args ...any) error {
	return absentError{fmt.Errorf(format, args...)}
}

type absentError struct{ error }

func (e absentError) Is(target error) bool { return target == ErrAbsent }
func (e absentError) Unwrap() error        { return e.error }

// Finding is a check with its answer. Cost and Get are set where it is not yes.
type Finding struct {
	Group  string `json:"group"`
	Name   string `json:"name"`
	Need   Need   `json:"need"`
	For    string `json:"for"`
	Answer Answer `json:"answer"`
	Detail string `json:"detail,omitempty"` // of a yes, or why not
	Cost   string `json:"cost,omitempty"`
	Get    string `json:"get,omitempty"`
}

// Report is what Run found, in the order of the checks.
type Report struct {
	OK       bool      `json:"ok"` // everything required is there
	Findings []Finding `json:"findings"`
}

// probeBound is how long a probe may take: each asks the kernel or the disk a few
// questions.
const probeBound = 10 * time.Second

// Run makes every check, one after the other. When ctx ends the rest could not be
// told.
func Run(ctx context.Context, checks []Check) Report {
	r := Report{OK: true, Findings: []Finding{}}
	for _, c := range checks {
		f := c.find(ctx)
		if c.Need == Required && f.Answer != Yes {
			r.OK = false
		}
		r.Findings = append(r.Findings, f)
	}
	return r
}

// find runs the check's probe. One that does not come back is left behind.
func (c Check) find(ctx context.Context) Finding {
	f := Finding{Group: c.Group, Name: c.Name, Need: c.Need, For: c.For}
	type outcome struct {
		detail string
		err    error
	}
	ctx, cancel := context.WithTimeoutCause(ctx, probeBound, fmt.Errorf("no answer after %v", probeBound))
	defer cancel()
	done := make(chan outcome, 1)
	go func() {
		detail, err := c.Probe(ctx)
		done <- outcome{detail, err}
	}()
	var got outcome
	select {
	case got = <-done:
	case <-ctx.Done():
		got.err = context.Cause(ctx)
	}
	switch {
	case got.err == nil:
		f.Answer, f.Detail = Yes, got.detail
		return f
	case errors.Is(got.err, ErrAbsent):
		f.Answer = No
	default:
		f.Answer = Unknown
	}
	f.Detail, f.Cost, f.Get = got.err.Error(), c.Cost, c.Get
	return f
}

// Missing returns the findings that are not yes and are needed as much.
func (r Report) Missing(n Need) []Finding {
	var missing []Finding
	for _, f := range r.Findings {
		if f.Need == n && f.Answer != Yes {
			missing = append(missing, f)
		}
	}
	return missing
}
