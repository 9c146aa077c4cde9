package lab

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/tquiclab/tquiclab/emulation/relay"
	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/topologies"
)

// relayBackend serves the wires by one process of the lab.
type relayBackend struct{}

func (relayBackend) probe() error { return nil } // packet sockets are as old as Linux

func (relayBackend) check(t topologies.Topology) error { return nil } // it runs the model itself

// attach opens a port at each end of each wire, inside the wire's namespace, and
// hands them to a process that outlives this one.
func (relayBackend) attach(ctx context.Context, r *raising) error {
	if len(r.host.Relay) == 0 {
		return errors.New("no relay command is set")
	}
	t := r.plan.Topology
	spec := relay.Spec{Lab: r.plan.Lab, Seed: t.Seed, Start: relay.StartKind(t.Start)}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, l := range t.Links {
		if !l.Impaired() {
			continue
		}
		wire := relay.Wire{
			Link: l.Name, Up: l.Up, Down: l.Down, Offload: r.plan.offload(l),
			UpTimeline: t.Timeline(l.Name, "up"), DownTimeline: t.Timeline(l.Name, "down"),
		}
		for i, node := range l.Endpoints {
			port, err := r.openPort(l.Name, node)
			if err != nil {
				return err
			}
			wire.Ports[i] = len(files)
			files = append(files, port.File())
		}
		spec.Wires = append(spec.Wires, wire)
	}
	control, err := listenControl("relay", r.host.relaySocket(r.plan.Lab))
	if err != nil {
		return err
	}
	spec.Control = len(files)
	files = append(files, control)
	return r.startRelay(ctx, spec, files)
}

// offload says whether the endpoints of an impaired link leave segmentation to its
// wire. netem counts a unit as one packet and must not see any.
func (p Plan) offload(l topologies.Link) relay.Offload {
	if p.Backend != BackendRelay {
		return relay.OffloadOff
	}
	return relay.OffloadFor(l.Up, l.Down)
}

// unitOffloads returns what the interfaces of a wire with units have on.
func unitOffloads() (link.OffloadSet, error) {
	udp, err := relay.CarriesUDPUnits()
	if err != nil || !udp {
		return link.OffloadsOnButUDP, err
	}
	return link.OffloadsOn, nil
}

// openPort opens the wire's port towards a node.
func (r *raising) openPort(link, node string) (*relay.Port, error) {
	var port *relay.Port
	err := r.spaces[WireNamespace(r.plan.Lab, link)].Do(func() (err error) {
		port, err = relay.OpenPort(node)
		return err
	})
	return port, err
}

// startRelay starts the process and waits until it forwards.
func (r *raising) startRelay(ctx context.Context, spec relay.Spec, files []*os.File) error {
	return r.startChild(ctx, child{
		what: "relay", command: r.host.Relay, spec: spec, files: files,
		log: r.host.relayLog(r.plan.Lab), ref: &r.state.Relay,
	})
}

func (relayBackend) wires(ctx context.Context, l *Lab) ([]WireStatus, error) {
	client, err := relay.Dial(filepath.Clean(l.host.relaySocket(l.Name())))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	status, err := client.Counters(ctx)
	if err != nil {
		return nil, err
	}
	wires := make([]WireStatus, len(status.Wires))
	for i, w := range status.Wires {
		wires[i] = WireStatus{Link: w.Link, Units: bool(w.Offload), Up: relayDirection(w.Up), Down: relayDirection(w.Down)}
	}
	return wires, nil
}

func relayDirection(d relay.DirectionStatus) DirectionStatus {
	dropped := maps.Clone(d.Dropped)
	if d.Cut > 0 {
		dropped["cut"] = d.Cut
	}
	return DirectionStatus{
		ArrivedPackets: d.ArrivedPackets,
		PassedPackets:  d.DepartedPackets - min(d.Cut, d.DepartedPackets),
		PassedBytes:    d.DepartedBytes,
		Dropped:        dropped,
		HeldPackets:    d.HeldPackets,
		Queue:          newQueueStatus(d.QueuedPackets, d.QueuedBytes, d.Rate),
		BackendLost:    d.RelayDrops.Total() + d.SendErrors,
		LatenessP99:    d.Lateness.P99,
		LatenessMax:    d.Lateness.Max,
		State:          string(d.State),
		At:             time.Duration(d.At),
	}
}
