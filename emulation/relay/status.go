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
	Lab   string       `json:"lab"`
	PID   int          `json:"pid"`
	Wires []WireStatus `json:"wires"` // in the spec's order
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
// departed, each was sent or is in SendErrors.
//
// Dropped is the emulated path's doing, as asked. RelayDrops and SendErrors are
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
	RelayDrops      RelayDrops          `json:"relay_drops"`
	SendErrors      uint64              `json:"send_errors"`
	SendError       string              `json:"send_error,omitempty"` // the latest
	SendRetries     uint64              `json:"send_retries"`         // waits for room in the kernel; nothing lost
	Lateness        LatenessSummary     `json:"lateness"`
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
		SendErrors:  s.sendFailed,
		SendRetries: s.sendRetry,
		Lateness:    s.lateness.summary(),
	}
	for reason, n := range s.model.Dropped {
		d.Dropped[emulation.DropReason(reason).String()] = n
	}
	if s.sendError != 0 {
		d.SendError = s.sendError.Error()
	}
	return d
}
