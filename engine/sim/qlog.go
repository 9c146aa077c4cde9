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
	spare  *trace   // of the next connection
	opened []*trace // those of connections
	err    error    // the first of opening a file
}

// trace is a Tracer that opens its file at the first event: only then is the
// connection sure to come, and its name known.
type trace struct {
	traces *traces
	id     wire.ConnID // destination of the client's first Initial
	file   *os.File
	log    *qlog.Trace
}

func newTraces(dir string, side wire.Perspective) *traces {
	if dir == "" {
		return nil
	}
	return &traces{dir: dir, side: side}
}

// next returns the tracer of a connection that is being dialled.
func (t *traces) next() proto.Tracer {
	if t == nil {
		return nil
	}
	return &trace{traces: t}
}

// prepare returns the tracer that a connection gets if the datagram opens one: taken
// says if it did.
func (t *traces) prepare(datagram []byte) proto.Tracer {
	if t == nil {
		return nil
	}
	if t.spare == nil {
		t.spare = &trace{traces: t}
	}
	if h, ok := wire.ParseInvariant(datagram, 0); ok && h.Long && len(h.DstID) <= wire.MaxConnIDLen {
		t.spare.id = wire.NewConnID(h.DstID)
	}
	return t.spare
}

func (t *traces) taken() {
	if t != nil {
		t.spare = nil
	}
}

// Trace implements proto.Tracer.
func (t *trace) Trace(e *proto.TraceEvent) {
	if t.log == nil {
		t.open(e)
	}
	t.log.Trace(e)
}

func (t *trace) open(e *proto.TraceEvent) {
	if t.traces.side == wire.Client && e.Kind == proto.TraceConnectionStarted {
		t.id = e.PeerID
	}
	all := t.traces
	o := qlog.Options{Title: "tquic in virtual time", Side: all.side, GroupID: t.id.String()}
	var err error
	if t.file, err = qlog.File(all.dir, all.side, t.id); err != nil {
		all.err = errors.Join(all.err, err)
		t.log = qlog.New(discard{}, o)
		return
	}
	t.log = qlog.New(t.file, o)
	all.opened = append(all.opened, t)
}

// discard takes what cannot be kept.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

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
