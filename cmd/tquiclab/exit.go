package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/lab"
	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/topologies"
)

// The exit codes of every verb.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2   // wrong arguments, or a file with problems
	exitUnsupported = 3   // not on this machine, or not as this user
	exitMissed      = 4   // a threshold was missed
	exitInterrupted = 130 // by a signal; cleaned up
)

// usageError is a wrong command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// exitCode returns the code for what a verb returned.
func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitDone
	}
	// An interrupted verb fails in many ways; the signal is the reason of them all.
	if ctx.Err() != nil {
		return exitInterrupted
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[topologies.Problems](err); ok || errors.Is(err, topologies.ErrNotFound) {
		return exitUsage
	}
	if _, ok := errors.AsType[missedError](err); ok {
		return exitMissed
	}
	for _, unsupported := range []error{lab.ErrUnsupported, lab.ErrPrivileges, engine.ErrUnsupported, link.ErrNoMPTCP} {
		if errors.Is(err, unsupported) {
			return exitUnsupported
		}
	}
	return exitFailed
}

// hint says what to do next where the error's own text does not.
func (a *app) hint(err error) string {
	if errors.Is(err, lab.ErrPrivileges) {
		return "type: sudo " + strings.Join(a.args, " ")
	}
	if _, ok := errors.AsType[usageError](err); ok {
		verb, _, err := a.command().Find(a.args[1:])
		if err != nil {
			return "see: tquiclab --help"
		}
		return fmt.Sprintf("see: %s --help", verb.CommandPath())
	}
	return ""
}
