package proto

import (
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Tracer takes what a connection does, as it happens. Trace borrows the event and
// everything in it. A connection without a tracer makes no events.
type Tracer interface {
	Trace(e *TraceEvent)
}

// TraceKind is what a TraceEvent says. The names are those of
// draft-ietf-quic-qlog-quic-events.
type TraceKind uint8

// The trace events, with the fields of TraceEvent that each has beside Time and Kind.
const (
	TraceConnectionStarted  TraceKind = iota + 1 // Local, Remote, ID (source), PeerID (destination)
	TraceConnectionClosed                        // Err, ByPeer, Trigger
	TraceStateUpdated                            // Trigger: new state
	TraceVersionInformation                      // Versions, Version (chosen)
	TraceALPN                                    // Trigger: the protocol
	TraceParametersSet                           // Parameters, ByPeer
	TracePacketSent                              // packet fields, Payload
	TracePacketReceived                          // packet fields, Payload
	TracePacketDropped                           // packet fields as far as known, Trigger: why
	TracePacketLost                              // packet fields but Payload, Trigger: why
	TraceMetricsUpdated                          // Path, Metrics
	TraceCongestionState                         // Path, Trigger: new state
	TraceKeyUpdated                              // PacketType, KeyPhase, ByPeer
	TraceKeyDiscarded                            // PacketType
	TraceMTUUpdated                              // Path, Size
	TraceMigrationState                          // Path, Trigger, Local, Remote
	TraceECNState                                // Path, Trigger: new state

	// Of connections with several paths, not in the draft.

	TracePathState  // Path, Trigger: new state, Local, Remote, Err: why it is closed
	TraceScheduled  // Path unless Scheduling.Wait, Scheduling, Trigger: the scheduler's name
	TraceReinjected // Path: whose data is sent again, Reinjection, Trigger: why
)

// TraceEvent is one event of a trace. Which fields count depends on Kind.
type TraceEvent struct {
	Time clock.Time
	Kind TraceKind

	// The packet fields.
	PacketType wire.PacketType
	Path       wire.PathID
	Number     wire.PacketNumber
	KeyPhase   uint8 // 0 or 1, of 1-RTT packets
	ECN        wire.ECN
	ID, PeerID wire.ConnID // source, destination
	Size       int         // bytes on the wire, of the packet; an MTU in TraceMTUUpdated
	Payload    []byte      // plaintext frames

	Local, Remote netip.AddrPort
	Trigger       string
	ByPeer        bool
	Err           error
	Version       wire.Version
	Versions      []wire.Version
	Parameters    *wire.TransportParameters
	Metrics       Metrics
	Scheduling    Scheduling
	Reinjection   Reinjection
}

// Scheduling is a decision of the scheduler that is not the one before.
type Scheduling struct {
	Wait bool // nothing leaves, although there is room
	// Room is how much may leave now on the path chosen or, if none is, on all, bytes.
	Room   wire.ByteCount
	Ready  wire.ByteCount // what waits to be sent, bytes
	SRTT   time.Duration  // of the path; 0: not measured yet
	Trains uint64         // of data that left since the decision before
}

// Reinjection is data that is under way and is to be sent again without being known to be
// lost.
type Reinjection struct {
	To       wire.PathID
	Anywhere bool           // on whatever path the scheduler chooses: there is no To
	Bytes    wire.ByteCount // of streams
	Frames   int            // STREAM frames that had them
}

// Metrics is the recovery state of a path.
type Metrics struct {
	SRTT, MinRTT, LatestRTT, RTTVar time.Duration
	CongestionWindow, BytesInFlight wire.ByteCount
	SSThresh                        wire.ByteCount // 0: none yet
	PTOCount                        int
	PacingRate                      int64 // bit/s, 0: unpaced
	PacketsInFlight                 int
}
