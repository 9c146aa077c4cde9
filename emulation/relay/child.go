package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const (
	firstFile = 3 // of exec.Cmd's ExtraFiles in the child
	maxFiles  = 1024
	readyLine = "ready"
)

// Child is the whole life of a relay process. It reads its Spec as JSON from in,
// takes the files that it was started with (exec.Cmd.ExtraFiles, in order),
// writes "ready" to out once it forwards, and serves until SIGTERM or SIGINT,
// until ctx ends, or until no wire is left. An error before that is the one
// line on out; every error is returned.
func Child(ctx context.Context, in io.Reader, out io.Writer, log *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// The starter may be gone when something is logged.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	said := false
	ready := func() error {
		said = true
		_, err := fmt.Fprintln(out, readyLine)
		return err
	}
	err := serveSpec(ctx, in, ready, log)
	if err != nil && !said {
		fmt.Fprintln(out, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return err
}

func serveSpec(ctx context.Context, in io.Reader, ready func() error, log *slog.Logger) error {
	var spec Spec
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&spec); err != nil {
		return fmt.Errorf("read relay spec: %w", err)
	}
	n := 1 + 2*len(spec.Wires)
	if n > maxFiles {
		return fmt.Errorf("read relay spec: %d wires are too many", len(spec.Wires))
	}
	files := make([]*os.File, n)
	for i := range files {
		fd := firstFile + i
		syscall.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), fmt.Sprintf("relay file %d", i))
	}
	return Serve(ctx, spec, files, ready, log)
}

// WaitReady reads what a child says on its standard output: nil once it
// forwards, else the error that it gave. It blocks until then or until r ends.
func WaitReady(r io.Reader) error {
	line, err := bufio.NewReader(r).ReadString('\n')
	switch line = strings.TrimSpace(line); {
	case line == readyLine:
		return nil
	case line != "":
		return fmt.Errorf("start relay: %s", line)
	case errors.Is(err, io.EOF):
		return errors.New("start relay: it ended without a word; see its log")
	}
	return fmt.Errorf("start relay: %w", err)
}
