package sim

import (
	"errors"
	"fmt"
	"os"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/qlog"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// traces makes the qlog files of a host's connections. A nil one makes none.
type traces struct {
	dir    string
	side   wire.Perspective
	opened []trace
	err    error // of opening files
}

// trace is a connection's file.
type trace struct {
	file *os.File
	log  *qlog.Trace
}

func newTraces(dir string, side wire.Perspective) *traces {
	if dir == "" {
		return nil
	}
	return &traces{dir: dir, side: side}
}

// tracer returns what makes the tracer of each connection, or nil.
func (t *traces) tracer() func(wire.Perspective, wire.ConnID) proto.Tracer {
	if t == nil {
		return nil
	}
	return func(side wire.Perspective, id wire.ConnID) proto.Tracer {
		file, err := qlog.File(t.dir, side, id)
		if err != nil {
			t.err = errors.Join(t.err, err)
			return nil
		}
		o := trace{file, qlog.New(file, qlog.Options{Title: "tquic in virtual time", Side: side, GroupID: id.String()})}
		t.opened = append(t.opened, o)
		return o.log
	}
}

// close writes out and closes every file.
func (t *traces) close() error {
	if t == nil {
		return nil
	}
	errs := []error{t.err}
	for _, o := range t.opened {
		if err := errors.Join(o.log.Close(), o.file.Close()); err != nil {
			errs = append(errs, fmt.Errorf("write qlog file %s: %w", o.file.Name(), err))
		}
	}
	t.opened = nil
	return errors.Join(errs...)
}
