package relay

import (
	"github.com/tquiclab/tquiclab/emulation"
)

// State says whether a direction can forward.
type State string

// The states. Down lasts until the next frame comes in.
const (
	StateUp   State = "up"
	StateDown State = "down" // the interface that it receives from was set down
	StateGone State = "gone" // an interface was deleted: the wire has ended
)

// Status is what a relay process has done so far.
type Status struct {
	Lab   string    `json:"lab"`
	PID   int       `json:"pid"`
	Start StartKind `json:"start,omitempty"`
	// Started is when the clock of traces, steps and timelines started or will, in ns of
	// CLOCK_MONOTONIC; nil while that is not known.
	Started *emulation.Time `json:"started_ns,omitempty"`
	Wires   []WireStatus    `json:"wires"` // in the spec's order
}

// WireStatus is the part of one wire.
type WireStatus struct {
	Link    string          `json:"link"`
	Offload Offload         `json:"offload,omitempty"`
	Up      DirectionStatus `json:"up"`
	Down    DirectionStatus `json:"down"`
}

// DirectionStatus is the part of one direction. Of the frames that reached the
// interface, each is either in Arrived or in RelayDrops; of those that arrived or
// were Duplicated, each has departed, was dropped by the model, or is held; of those that
// departed, each was sent or is in Cut or SendErrors.
//
// Dropped and Cut are the emulated path's doing, as asked. RelayDrops and SendErrors are
// the relay's own failures: a run that has them was not emulated as asked.
type DirectionStatus struct {
	State           State               `json:"state"`
	Realtime        bool                `json:"realtime"`                // its thread runs at a real-time priority
	ArrivedUnits    uint64              `json:"arrived_units,omitempty"` // with OffloadOn: frames, of one wire packet or more each
	SentUnits       uint64              `json:"sent_units,omitempty"`
	ArrivedPackets  uint64              `json:"arrived_packets"`
	ArrivedBytes    uint64              `json:"arrived_bytes"` // Ethernet frames
	DepartedPackets uint64              `json:"departed_packets"`
	DepartedBytes   uint64              `json:"departed_bytes"`
	Duplicated      uint64              `json:"duplicated_packets,omitempty"` // copies that the model added to what arrived
	Marked          uint64              `json:"marked_packets,omitempty"`     // made CE
	Corrupted       uint64              `json:"corrupted_packets,omitempty"`
	Reordered       uint64              `json:"reordered_packets,omitempty"`
	Dropped         map[string]uint64   `json:"dropped"` // packets, by emulation.DropReason
	HeldPackets     int                 `json:"held_packets"`
	HeldBytes       emulation.ByteCount `json:"held_bytes"`
	QueuedPackets   int                 `json:"queued_packets"` // of those held, waiting for their transmission
	QueuedBytes     emulation.ByteCount `json:"queued_bytes"`
	RelayDrops      RelayDrops          `json:"relay_drops"`
	Cut             uint64              `json:"cut_packets,omitempty"` // departed towards an interface that was set down
	SendErrors      uint64              `json:"send_errors"`
	SendError       string              `json:"send_error,omitempty"` // the latest
	SendRetries     uint64              `json:"send_retries"`         // waits for room in the kernel; nothing lost
	Lateness        LatenessSummary     `json:"lateness"`

	At   emulation.Time `json:"at_ns"`    // of these figures, on CLOCK_MONOTONIC: two of them give the live rate
	Rate emulation.Rate `json:"rate_bps"` // in force; of a trace or schedule the mean; 0: no limit
	// Impairments are what is in force, without the fields that Omitted names: their lists
	// are too long for a status.
	Impairments emulation.Impairments `json:"impairments,omitzero"`
	Omitted     emulation.Fields      `json:"impairments_omitted,omitempty"`
	// RefusedChanges are those of the timeline that a change by hand had made impossible;
	// what was in force stayed.
	RefusedChanges uint64 `json:"refused_changes,omitempty"`
	RefusedChange  string `json:"refused_change,omitempty"` // why, the latest

	TooBig TooBigStatus `json:"too_big,omitzero"`
}

// TooBigStatus counts what became of the messages that packets are too big.
type TooBigStatus struct {
	Told     uint64 `json:"told"`
	HeldBack uint64 `json:"held_back"` // by the limit of their rate (RFC 4443, section 2.4 (f))
	Untold   uint64 `json:"untold"`    // none may be sent about such a packet, or could be
}

// statusList is the longest list that a status shows.
const statusList = 256

// shown returns the impairments without what is too long, and what that is.
func shown(i emulation.Impairments) (emulation.Impairments, emulation.Fields) {
	var omitted emulation.Fields
	if i.Capacity != nil && len(*i.Capacity) > statusList {
		i.Capacity = nil
		omitted |= emulation.FieldCapacity
	}
	if i.Steps != nil && len(i.Steps.Steps) > statusList {
		i.Steps = nil
		omitted |= emulation.FieldSteps
	}
	if i.LosePackets != nil && len(*i.LosePackets) > statusList {
		i.LosePackets = nil
		omitted |= emulation.FieldLosePackets
	}
	if i.JitterTable != nil && len(*i.JitterTable) > statusList {
		i.JitterTable = nil
		omitted |= emulation.FieldJitter
	}
	return i, omitted
}

// RelayDrops counts frames that the relay lost, by reason.
type RelayDrops struct {
	Ring       uint64 `json:"ring"`        // came in faster than the relay could take them
	Unfinished uint64 `json:"unfinished"`  // checksum left to the hardware: an offload is on at the sender
	Oversized  uint64 `json:"oversized"`   // longer than the MTU: segmentation offload is on at the sender
	Tagged     uint64 `json:"vlan_tagged"` // not supported
	Memory     uint64 `json:"memory"`      // the direction held as much as it may
}

// Total returns the frames lost for any reason.
func (d RelayDrops) Total() uint64 {
	return d.Ring + d.Unfinished + d.Oversized + d.Tagged + d.Memory
}

func newDirectionStatus(s snapshot, ringDrops uint64) DirectionStatus {
	d := DirectionStatus{
		State:           s.state,
		Realtime:        s.realtime,
		ArrivedUnits:    s.units,
		SentUnits:       s.runs,
		ArrivedPackets:  s.model.ArrivedPackets,
		ArrivedBytes:    s.model.ArrivedBytes,
		DepartedPackets: s.model.DepartedPackets,
		DepartedBytes:   s.model.DepartedBytes,
		Duplicated:      s.model.DuplicatedPackets,
		Marked:          s.model.MarkedPackets,
		Corrupted:       s.model.CorruptedPackets,
		Reordered:       s.model.ReorderedPackets,
		Dropped:         map[string]uint64{},
		HeldPackets:     s.model.HeldPackets,
		HeldBytes:       s.model.HeldBytes,
		RelayDrops: RelayDrops{
			Ring:       ringDrops,
			Unfinished: s.unfinished,
			Oversized:  s.oversized,
			Tagged:     s.tagged,
			Memory:     s.noMemory,
		},
		QueuedPackets: s.model.QueuedPackets,
		QueuedBytes:   s.model.QueuedBytes,
		At:            s.at,
		Rate:          s.inForce.MeanRate(),
		TooBig:        TooBigStatus{Told: s.told, HeldBack: s.heldBack, Untold: s.untold},

		RefusedChanges: s.refused,

		Cut:         s.cut,
		SendErrors:  s.sendFailed,
		SendRetries: s.sendRetry,
		Lateness:    s.lateness.summary(),
	}
	for reason, n := range s.model.Dropped {
		d.Dropped[emulation.DropReason(reason).String()] = n
	}
	d.Impairments, d.Omitted = shown(s.inForce)
	if s.refusal != nil {
		d.RefusedChange = s.refusal.Error()
	}
	if s.sendError != 0 {
		d.SendError = s.sendError.Error()
	}
	return d
}
