package lab

import (
	"context"
	"errors"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/topologies"
)

// WireStatus is what an impaired link has done since the lab came up.
type WireStatus struct {
	Link string `json:"link"`
	// Units: the endpoints leave segmentation to the wire, which counts wire packets all
	// the same.
	Units bool            `json:"units,omitempty"`
	Up    DirectionStatus `json:"up"`
	Down  DirectionStatus `json:"down"`
}

// DirectionStatus is one direction of a wire. What arrived has passed, was
// dropped as asked, or is held. BackendLost is none of these: packets that the
// emulator itself lost, which make a result untrue.
type DirectionStatus struct {
	ArrivedPackets uint64            `json:"arrived_packets"`
	PassedPackets  uint64            `json:"passed_packets"`
	PassedBytes    uint64            `json:"passed_bytes"` // Ethernet frames
	Dropped        map[string]uint64 `json:"dropped"`      // packets, by reason
	HeldPackets    int               `json:"held_packets"`
	// Queue is the part of what is held that waits for its transmission; nil where the
	// backend does not tell it from what is in flight.
	Queue       *QueueStatus  `json:"queue,omitempty"`
	BackendLost uint64        `json:"backend_lost"`
	LatenessP99 time.Duration `json:"lateness_p99_ns,omitempty"` // behind the model's ideal departure
	LatenessMax time.Duration `json:"lateness_max_ns,omitempty"`
	State       string        `json:"state,omitempty"` // up, down or gone, where the backend knows
	// At is when this was counted, on CLOCK_MONOTONIC, where the backend knows: a
	// moment ago, or longer when nothing happened since.
	At time.Duration `json:"at_ns,omitempty"`
}

// QueueStatus is how full a direction's queue is.
type QueueStatus struct {
	Packets int                 `json:"packets"`
	Bytes   emulation.ByteCount `json:"bytes"`
	// Delay is how long the last of them waits at the rate in force, or at its mean; 0
	// where there is no rate.
	Delay time.Duration `json:"delay_ns"`
}

// newQueueStatus returns the status of a queue at a rate; 0 means that there is none.
func newQueueStatus(packets int, bytes emulation.ByteCount, rate emulation.Rate) *QueueStatus {
	q := &QueueStatus{Packets: packets, Bytes: bytes}
	if rate > 0 {
		q.Delay = time.Duration(float64(bytes) * 8 / float64(rate) * float64(time.Second))
	}
	return q
}

// DroppedPackets returns the packets dropped as asked, for any reason.
func (d DirectionStatus) DroppedPackets() uint64 {
	var n uint64
	for _, packets := range d.Dropped {
		n += packets
	}
	return n
}

// Wires returns what each impaired link has done so far, in topology order.
func (l *Lab) Wires(ctx context.Context) ([]WireStatus, error) {
	b, err := l.host.backend(l.state.Backend)
	if err != nil {
		return nil, err
	}
	return b.wires(ctx, l)
}

// Status is what a lab looks like from outside.
type Status struct {
	Lab        string            `json:"lab"`
	Phase      string            `json:"phase"`            // raising, up or lowering
	Broken     string            `json:"broken,omitempty"` // why the lab is not whole
	Backend    string            `json:"backend"`
	Created    time.Time         `json:"created"`
	Owner      int               `json:"owner_pid,omitempty"` // the run that the lab belongs to
	Relay      int               `json:"relay_pid,omitempty"`
	Conductor  int               `json:"conductor_pid,omitempty"`
	Clock      *ClockStatus      `json:"clock,omitempty"` // where something goes by it
	Nodes      []NodeStatus      `json:"nodes"`
	Links      []topologies.Link `json:"links"`
	Wires      []WireStatus      `json:"wires"`
	WiresError string            `json:"wires_error,omitempty"`
}

// NodeStatus is a node and what runs in it.
type NodeStatus struct {
	Name      string    `json:"name"`
	Namespace string    `json:"namespace"`
	Processes []Process `json:"processes"`
}

// List returns the status of every lab of which anything is there. It takes no
// lock: a lab that is being raised shows as such.
func (h Host) List(ctx context.Context) ([]Status, error) {
	names, err := h.allNames()
	errs := []error{err}
	var all []Status
	for _, name := range names {
		s, err := h.Status(ctx, name)
		if errors.Is(err, ErrNotUp) {
			continue // gone meanwhile
		}
		errs = append(errs, err)
		all = append(all, s)
	}
	return all, errors.Join(errs...)
}

// Status returns the status of one lab. An error wraps ErrNotUp when there is
// nothing of it.
func (h Host) Status(ctx context.Context, name string) (Status, error) {
	if err := errors.Join(checkName(name), CheckPrivileges()); err != nil {
		return Status{}, err
	}
	found, err := h.examine(name)
	if err != nil {
		return Status{}, err
	}
	if !found.any() {
		_, err := h.load(name)
		return Status{}, err
	}
	s := found.state
	status := Status{
		Lab: name, Phase: s.Phase, Broken: found.broken, Backend: s.Backend,
		Created: s.Created, Links: s.Topology.Links,
	}
	if s.Phase != phaseUp && s.Maker.alive() {
		status.Broken = "" // at work
	}
	if s.Owner != nil {
		status.Owner = s.Owner.PID
	}
	if s.Relay != nil {
		status.Relay = s.Relay.PID
	}
	if s.Conductor != nil {
		status.Conductor = s.Conductor.PID
	}
	status.Nodes, err = h.nodeStatus(s)
	if s.Phase == phaseUp {
		var wiresErr error
		l := &Lab{host: h, state: s}
		if status.Wires, wiresErr = l.Wires(ctx); wiresErr != nil {
			status.WiresError = wiresErr.Error()
		}
		if len(s.Topology.Events) > 0 {
			if clock, err := l.Clock(ctx); err == nil {
				status.Clock = &clock
			}
		}
	}
	return status, err
}

func (h Host) nodeStatus(s state) ([]NodeStatus, error) {
	var nodes []NodeStatus
	var errs []error
	for _, n := range s.Topology.Nodes {
		node := NodeStatus{Name: n.Name, Namespace: NodeNamespace(s.Mark.Lab, n.Name)}
		ns, err := readNamespace(node.Namespace)
		errs = append(errs, err)
		if ns.inode != 0 && ns.mark == s.Mark {
			node.Processes, err = processesIn(map[uint64]bool{ns.inode: true})
			errs = append(errs, err)
		}
		nodes = append(nodes, node)
	}
	return nodes, errors.Join(errs...)
}
