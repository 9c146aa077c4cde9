package recovery

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Space is a packet number space (RFC 9000, section 12.3).
type Space uint8

// The spaces. 0-RTT shares SpaceApplication.
const (
	SpaceInitial Space = iota
	SpaceHandshake
	SpaceApplication
	// NumSpaces is how many there are.
	NumSpaces
)

// String returns the space as qlog spells it.
func (s Space) String() string {
	switch s {
	case SpaceInitial:
		return "initial"
	case SpaceHandshake:
		return "handshake"
	}
	return "application_data"
}

// Sent is a packet that was sent.
type Sent struct {
	Number wire.PacketNumber
	Time   clock.Time
	Size   wire.ByteCount // on the wire, without UDP and IP headers
	// First and Count are the caller's: where its log has what the packet carried.
	First uint64
	Count uint32

	AckEliciting bool
	InFlight     bool // ack-eliciting or padded: counts against the window
	MTUProbe     bool // its loss says nothing about congestion
	ECT          bool // marked ECT(0)
	// ByTime says of a lost packet that the time threshold was passed, and not the
	// reordering threshold.
	ByTime bool

	// What the path had seen when the packet left, for the delivery rate.
	appLimited  bool
	path        uint32 // which path it left on: Detector.path
	delivered   wire.ByteCount
	lost        wire.ByteCount
	txInFlight  wire.ByteCount // with this packet
	deliveredAt clock.Time
	firstSentAt clock.Time
}

// Ack is what an ACK frame says beside its ranges.
type Ack struct {
	Largest        wire.PacketNumber
	Delay          time.Duration // decoded
	HasECN         bool
	ECT0, ECT1, CE uint64
}

// Result is what a call found out. The caller reuses it: calls append to its slices
// and raise its flags, Reset empties it.
type Result struct {
	// Acked is newly acknowledged, newest first. Lost is newly lost, oldest first; MTU
	// probes are among them. Dropped is what neither will happen to: its keys are gone,
	// or it was never in flight and the peer passed over it.
	Acked, Lost, Dropped []Sent
	// LargestAcked is the newest packet that the call acknowledged newly, or NoPacket.
	// Only Ack sets it.
	LargestAcked wire.PacketNumber

	RTTUpdated           bool
	ECNFailed            bool // stop marking (RFC 9000, section 13.4.2)
	CE                   bool // new ECN-CE marks were reported
	PersistentCongestion bool
}

// Reset empties r and keeps its memory.
func (r *Result) Reset() {
	*r = Result{Acked: r.Acked[:0], Lost: r.Lost[:0], Dropped: r.Dropped[:0], LargestAcked: wire.NoPacket}
}
