package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/lab"
)

// app is what the verbs share: the process's surroundings, so that tests can
// give others.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	args           []string // as typed, program first
	getenv         func(string) string
	executable     string // path of this program, to start agents and relays
	engines        engine.Registry
	stateDir       string
}

// stateVariable names the folder in which labs keep their state, when that is
// not lab.DefaultDir. Commands with another one see none of each other's labs.
const stateVariable = "TQUICLAB_STATE"

func main() {
	exe, err := os.Executable()
	if err != nil {
		exe = os.Args[0]
	}
	a := &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		args: os.Args, getenv: os.Getenv, executable: exe,
		engines: newRegistry(), stateDir: cmp.Or(os.Getenv(stateVariable), lab.DefaultDir),
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once; `tquiclab reap` cleans up then
	}()
	os.Exit(a.run(ctx))
}
