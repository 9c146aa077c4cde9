package qlog

import (
	"bufio"
	"io"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// The schemas of this package's files. Until the draft is an RFC, the event schema
// carries its number (draft-ietf-quic-qlog-quic-events-13, section 2.1).
const (
	fileSchema  = "urn:ietf:params:qlog:file:sequential"
	eventSchema = "urn:ietf:params:qlog:events:quic-13"
	mediaType   = "application/qlog+json-seq"
)

// bufferSize is the writer's buffer, bytes: some hundred packets a write.
const bufferSize = 64 << 10

// Options says what stands in a file's header. All of it is optional.
type Options struct {
	Title       string
	Description string
	Side        wire.Perspective
	// GroupID names the connection: the client's first destination connection ID, in
	// hexadecimal.
	GroupID string
	// ReferenceTime is the wall clock's time at clock zero. The zero time says that
	// there is none, as in a simulation: times are then those of a monotonic clock
	// that began anywhere.
	ReferenceTime time.Time
}

// Trace writes one connection's events. It is a proto.Tracer, for one owner at a
// time.
type Trace struct {
	w    *bufio.Writer // keeps the first error and writes nothing after it
	rec  record
	side wire.Perspective

	paths    []path
	state    string   // of the connection
	keyPhase uint64   // of the 1-RTT keys: how often they were updated
	exponent [2]uint8 // of the ACK delays of each side; by side
	// multipath: the side has the extension.
	multipath [2]bool
}

var _ proto.Tracer = (*Trace)(nil)

// defaultAckDelayExponent holds until a side's parameters are known (RFC 9000,
// section 18.2).
const defaultAckDelayExponent = 3

// New returns a Trace that writes to w, and writes the header. w stays the
// caller's, who closes it after the Trace.
func New(w io.Writer, o Options) *Trace {
	t := &Trace{
		w: bufio.NewWriterSize(w, bufferSize), side: o.Side,
		exponent: [2]uint8{defaultAckDelayExponent, defaultAckDelayExponent},
	}
	t.header(o)
	return t
}

// Flush writes what is still in the buffer and returns the first error of writing that
// there was.
func (t *Trace) Flush() error { return t.w.Flush() }

// Close is Flush. Events must not follow.
func (t *Trace) Close() error { return t.w.Flush() }

// Trace writes an event. It borrows the event and all that is in it.
func (t *Trace) Trace(e *proto.TraceEvent) {
	switch e.Kind {
	case proto.TraceConnectionStarted:
		t.connectionStarted(e)
	case proto.TraceConnectionClosed:
		t.connectionClosed(e)
	case proto.TraceStateUpdated:
		t.stateUpdated(e)
	case proto.TraceVersionInformation:
		t.versionInformation(e)
	case proto.TraceALPN:
		t.alpnInformation(e)
	case proto.TraceParametersSet:
		t.parametersSet(e)
	case proto.TracePacketSent:
		t.packet(e, "quic:packet_sent", t.side)
	case proto.TracePacketReceived:
		t.packet(e, "quic:packet_received", t.side.Peer())
	case proto.TracePacketDropped:
		t.packetDropped(e)
	case proto.TracePacketLost:
		t.packetLost(e)
	case proto.TraceMetricsUpdated:
		t.metricsUpdated(e)
	case proto.TraceCongestionState:
		t.congestionState(e)
	case proto.TraceKeyUpdated:
		t.keyUpdated(e)
	case proto.TraceKeyDiscarded:
		t.keyDiscarded(e)
	case proto.TraceMTUUpdated:
		t.mtuUpdated(e)
	case proto.TraceMigrationState:
		t.migrationState(e)
	case proto.TraceECNState:
		t.ecnState(e)
	case proto.TracePathState:
		t.pathState(e)
	case proto.TraceScheduled:
		t.scheduled(e)
	case proto.TraceReinjected:
		t.reinjected(e)
	}
}

// recordSeparator begins each record (RFC 7464, section 2.2).
const recordSeparator = 0x1e

// header writes the first record. The schema and the format come first, since
// readers look for them in the first 256 bytes (main schema, section 3).
func (t *Trace) header(o Options) {
	r := &t.rec
	r.b = append(r.b[:0], recordSeparator, '{')
	r.word("file_schema", fileSchema)
	r.word("serialization_format", mediaType)
	if o.Title != "" {
		r.text("title", o.Title)
	}
	if o.Description != "" {
		r.text("description", o.Description)
	}
	r.object("trace")
	r.object("common_fields")
	if o.GroupID != "" {
		r.text("group_id", o.GroupID)
	}
	r.word("time_format", "relative_to_epoch")
	r.object("reference_time")
	if o.ReferenceTime.IsZero() {
		// A monotonic clock's epoch MUST be "unknown" (main schema, section 7.1).
		r.word("clock_type", "monotonic")
		r.word("epoch", "unknown")
	} else {
		r.word("clock_type", "system")
		r.word("epoch", o.ReferenceTime.UTC().Format(time.RFC3339Nano))
	}
	r.endObject()
	r.endObject()
	r.object("vantage_point")
	r.word("type", o.Side.String())
	r.endObject()
	r.array("event_schemas")
	r.b = append(r.b, `"`+eventSchema+`"`...)
	r.endArray()
	r.endObject()
	r.endObject()
	t.write()
}

// begin starts an event that is no path's. Its tuple is the default one, path 0's.
func (t *Trace) begin(e *proto.TraceEvent, name string) *record { return t.beginTuple(0, e, name) }

// beginOn starts an event on a path, and says which where there may be several.
func (t *Trace) beginOn(path wire.PathID, e *proto.TraceEvent, name string) *record {
	r := t.beginTuple(path, e, name)
	if t.multipath[wire.Client] && t.multipath[wire.Server] {
		r.pathID(path)
	}
	return r
}

// beginTuple starts an event on a path's tuple: what follows is its data.
func (t *Trace) beginTuple(path wire.PathID, e *proto.TraceEvent, name string) *record {
	r := &t.rec
	r.b = append(r.b[:0], recordSeparator, '{')
	r.millis("time", time.Duration(e.Time))
	if path != 0 {
		r.tuple("tuple", path)
	}
	r.word("name", name)
	r.object("data")
	return r
}

// end writes the event that begin started. One that is not ended is not written.
func (t *Trace) end() {
	t.rec.endObject()
	t.rec.endObject()
	t.write()
}

// write ends the record with a line feed (RFC 7464, section 2.2).
func (t *Trace) write() {
	t.rec.b = append(t.rec.b, '\n')
	_, _ = t.w.Write(t.rec.b) // Close returns the error
}

// initiator writes whose doing an event is.
func (r *record) initiator(byPeer bool) {
	who := "local"
	if byPeer {
		who = "remote"
	}
	r.word("initiator", who)
}
