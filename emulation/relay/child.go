package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/tquiclab/tquiclab/emulation/control"
)

const maxFiles = 1024

// Child is the whole life of a relay process. It reads its Spec as JSON from in,
// takes the files that it was started with (exec.Cmd.ExtraFiles, in order),
// writes "ready" to out once it forwards, and serves until SIGTERM or SIGINT,
// until ctx ends, or until no wire is left. An error before that is the one
// line on out; every error is returned.
func Child(ctx context.Context, in io.Reader, out io.Writer, log *slog.Logger) error {
	return control.Live(ctx, out, func(ctx context.Context, ready func() error) error {
		return serveSpec(ctx, in, ready, log)
	})
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
	return Serve(ctx, spec, control.Files(n), ready, log)
}
