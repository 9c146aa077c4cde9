package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"

	"github.com/tquiclab/tquiclab/emulation/control"
	"github.com/tquiclab/tquiclab/lab/journal"
	"github.com/tquiclab/tquiclab/lab/netns"
)

const maxFiles = 4096

// Child is the whole life of a conductor. It reads its Spec as JSON from in, takes
// the files that it was started with (exec.Cmd.ExtraFiles, in order), writes "ready"
// to out once it answers and its clock waits, and plays until SIGTERM or SIGINT, or
// until ctx ends. An error before that is the one line on out; every error is
// returned.
func Child(ctx context.Context, in io.Reader, out io.Writer, log *slog.Logger) error {
	return control.Live(ctx, out, func(ctx context.Context, ready func() error) error {
		return serveSpec(ctx, in, ready, log)
	})
}

func serveSpec(ctx context.Context, in io.Reader, ready func() error, log *slog.Logger) error {
	spec, err := readSpec(in)
	if err != nil {
		return err
	}
	return serve(ctx, spec, control.Files(spec.files()), ready, log)
}

// readSpec reads a spec that makes sense by itself.
func readSpec(in io.Reader) (Spec, error) {
	var spec Spec
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&spec); err != nil {
		return Spec{}, fmt.Errorf("read the conductor's spec: %w", err)
	}
	if n := spec.files(); n > maxFiles {
		return Spec{}, fmt.Errorf("read the conductor's spec: %d files are too many", n)
	}
	if err := spec.validate(spec.files()); err != nil {
		return Spec{}, fmt.Errorf("conductor of lab %s: %w", spec.Lab, err)
	}
	return spec, nil
}

// files is how many files the spec speaks of: the control socket and the namespaces.
func (s Spec) files() int { return 1 + len(s.Wires) + len(s.NATs) }

// serve plays the spec's score over the files, which it closes.
func serve(ctx context.Context, spec Spec, files []*os.File, ready func() error, log *slog.Logger) (err error) {
	listener, err := net.FileListener(files[spec.Control])
	if err != nil {
		return fmt.Errorf("listen on the control socket: %w", err)
	}
	defer listener.Close()
	stage, err := NewKernel(spec.Wires, spec.NATs, func(index int, name string) (*netns.NS, error) {
		return netns.FromFile(files[index], name), nil
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	clock, err := spec.clock(stage)
	if err != nil {
		return err
	}
	c := New(Config{
		Spec: spec, Stage: stage, Clock: clock, Now: journal.Now, Log: log,
		Record: func(e journal.Entry) error { return journal.Append(spec.Journal, e) },
	})
	server := control.NewServer(listener, func(conn net.Conn) { c.serve(ctx, conn) })
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { server.Serve() })
	defer server.Close()
	if err := ready(); err != nil {
		return fmt.Errorf("say ready: %w", err)
	}
	c.Run(ctx)
	return nil
}

// clock returns the relay's clock, or one of the conductor's own.
func (s Spec) clock(stage *Kernel) (Clock, error) {
	if s.Relay != "" {
		return NewRelayClock(s.Relay), nil
	}
	return NewOwnClock(s.Start, stage.Packets, journal.Now)
}
