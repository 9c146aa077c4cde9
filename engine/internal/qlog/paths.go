package qlog

import (
	"errors"
	"slices"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// pathState writes what a path has become, and its addresses where they are new. A word
// that doc.go does not list is not written.
func (t *Trace) pathState(e *proto.TraceEvent) {
	switch e.Trigger {
	case "validating", "active", "suspect", "dead", "closing", "closed":
	default:
		return
	}
	t.assignTuple(e)
	p := t.path(e.Path)
	if e.Trigger == p.state {
		return
	}
	r := t.beginTuple(e.Path, e, "tquiclab:path_state_updated")
	r.pathID(e.Path)
	if p.state != "" {
		r.word("old", p.state)
	}
	r.word("new", e.Trigger)
	if why, ok := errors.AsType[*wire.TransportError](e.Err); ok {
		r.number("error_code", uint64(why.Code))
	}
	t.end()
	p.state = e.Trigger
	if p.state == "closed" { // for good: its ID is not used again
		t.paths = slices.DeleteFunc(t.paths, func(p path) bool { return p.id == e.Path })
	}
}

// scheduled writes what the scheduler decided.
func (t *Trace) scheduled(e *proto.TraceEvent) {
	s := &e.Scheduling
	path := e.Path
	if s.Wait {
		path = 0
	}
	r := t.beginTuple(path, e, "tquiclab:scheduling_updated")
	r.text("scheduler", e.Trigger)
	if s.Wait {
		r.flag("wait", true)
	} else {
		r.pathID(path)
	}
	r.number("room", uint64(max(0, s.Room)))
	if !s.Wait && s.SRTT > 0 {
		r.millis("smoothed_rtt", s.SRTT)
	}
	r.number("ready", uint64(max(0, s.Ready)))
	r.number("trains", s.Trains)
	t.end()
}

// reinjected writes that data of a path is to be sent again.
func (t *Trace) reinjected(e *proto.TraceEvent) {
	i := &e.Reinjection
	r := t.beginTuple(e.Path, e, "tquiclab:data_reinjected")
	r.number("from_path_id", uint64(e.Path))
	if !i.Anywhere {
		r.number("to_path_id", uint64(i.To))
	}
	r.number("length", uint64(max(0, i.Bytes)))
	r.number("frames", uint64(max(0, i.Frames)))
	switch e.Trigger {
	case "path_silent", "path_closed", "tail":
		r.word("trigger", e.Trigger)
	}
	t.end()
}
