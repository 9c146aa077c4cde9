package congest

import (
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Controller is the congestion control of one path.
type Controller interface {
	// OnSent is told of every packet that counts as in flight.
	OnSent(now clock.Time, s Sent)
	// OnAck is told of every ACK frame that newly acknowledges packets in flight, after
	// OnLoss for what the same frame shows to be lost.
	OnAck(now clock.Time, a Ack)
	// OnLoss is told of every detection of loss, and of new ECN-CE marks.
	OnLoss(now clock.Time, l Loss)
	// State returns the present answer. It is cheap: called for every train.
	State() State
}

// DatagramSizer is a Controller that follows the path's MTU.
type DatagramSizer interface {
	// SetDatagram sets the largest UDP payload, bytes.
	SetDatagram(size wire.ByteCount)
}

// PacketLossObserver is a Controller that is told of each lost packet, before the
// OnLoss for all of them.
type PacketLossObserver interface {
	OnPacketLost(now clock.Time, p LostPacket)
}

// Sent is a packet that left.
type Sent struct {
	Bytes      wire.ByteCount
	InFlight   wire.ByteCount // with this packet
	Number     wire.PacketNumber
	AppLimited bool // the sender had run out of data before
}

// Ack is what one ACK frame newly acknowledges.
type Ack struct {
	Bytes       wire.ByteCount    // of packets that were in flight
	Largest     wire.PacketNumber // newest packet newly acknowledged
	LargestSent clock.Time        // when it was sent
	// PriorInFlight is from before the frame, InFlight from after it, with losses that
	// it revealed taken off.
	PriorInFlight, InFlight wire.ByteCount
	// LatestRTT is the sample that this frame gave, 0 when it gave none.
	LatestRTT           time.Duration
	MinRTT, SmoothedRTT time.Duration
	// Round counts round trips: a new one starts with the first acknowledgment of a
	// packet sent after the last one started.
	Round      uint64
	RoundStart bool
	Delivered  wire.ByteCount // all that was ever acknowledged on the path
	Rate       RateSample
	CE         uint64 // newly reported ECN-CE marks
	AppLimited bool   // the newest packet was sent when the sender had run out of data before
}

// RateSample is a measurement of the delivery rate (draft-cheng-iccrg-delivery-rate-
// estimation-02, section 3.3). The zero value means that there was none.
type RateSample struct {
	Delivered      wire.ByteCount // over the interval
	Interval       time.Duration
	Rate           int64 // byte/s
	AppLimited     bool
	Lost           wire.ByteCount // lost since the newest packet acknowledged was sent
	PriorDelivered wire.ByteCount // Ack.Delivered as of when that packet was sent
	TxInFlight     wire.ByteCount // in flight just after that packet was sent
}

// Loss is a sign of congestion.
type Loss struct {
	Bytes       wire.ByteCount // newly lost
	Largest     wire.PacketNumber
	LargestSent clock.Time     // when the newest packet lost, or the one whose ACK brought the marks, was sent
	InFlight    wire.ByteCount // afterwards
	// Persistent: everything sent for long was lost (RFC 9002, section 7.6).
	Persistent bool
	// CE: packets were marked, not lost; Bytes is 0.
	CE        bool
	Delivered wire.ByteCount // as Ack.Delivered, with what the same frame acknowledges
}

// LostPacket is one lost packet.
type LostPacket struct {
	Number     wire.PacketNumber
	Bytes      wire.ByteCount
	TxInFlight wire.ByteCount // in flight just after it was sent
	LostSince  wire.ByteCount // lost since it was sent, itself included
	Delivered  wire.ByteCount // as Loss.Delivered
	AppLimited bool           // the sender had run out of data before
}

// The phases that a State names.
const (
	SlowStart           = "slow_start"
	CongestionAvoidance = "congestion_avoidance"
	Recovery            = "recovery"
	ApplicationLimited  = "application_limited"
)

// State is a Controller's answer.
type State struct {
	Window     wire.ByteCount
	PacingRate int64          // byte/s; 0: to be derived from Window and the smoothed RTT
	SSThresh   wire.ByteCount // 0: none yet
	Phase      string         // SlowStart and so on, or the controller's own name for it
	// SelfLimited: the window is small on purpose. Delivery rates of what leaves now say
	// nothing of the path.
	SelfLimited bool
}
