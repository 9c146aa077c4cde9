package tquic

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/qlog"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// checkQLOG returns an error unless the folder for qlog files is there, or none is
// asked for.
func (c *Config) checkQLOG() error {
	if c.QLOG == "" {
		return nil
	}
	info, err := os.Stat(c.QLOG)
	if err != nil {
		return fmt.Errorf("qlog folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("qlog folder %s is not a folder", c.QLOG)
	}
	return nil
}

// tracer returns what makes each connection write its file; nil without a folder. A
// connection whose file cannot be made goes on without one. epoch is the start of the
// connections' clock.
func (c *Config) tracer(epoch time.Time) func(wire.Perspective, wire.ConnID) proto.Tracer {
	if c.QLOG == "" {
		return nil
	}
	return func(side wire.Perspective, id wire.ConnID) proto.Tracer {
		file, err := qlog.File(c.QLOG, side, id)
		if err != nil {
			return nil
		}
		o := qlog.Options{Title: "tquic", Side: side, GroupID: id.String(), ReferenceTime: epoch}
		return &trace{qlog.New(file, o), file}
	}
}

// trace is a connection's qlog file. The driver closes it with the connection.
type trace struct {
	log  *qlog.Trace
	file *os.File
}

// Trace implements proto.Tracer.
func (t *trace) Trace(e *proto.TraceEvent) { t.log.Trace(e) }

// Flush writes out what was traced so far.
func (t *trace) Flush() error { return t.log.Flush() }

// Close writes out what is left.
func (t *trace) Close() error { return errors.Join(t.log.Close(), t.file.Close()) }
