package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tquiclab/tquiclab/lab/conductor"
	"github.com/tquiclab/tquiclab/topologies"
)

// needsConductor reports whether something happens in the topology's time that no
// relay does: links and NATs that change, or any change where the kernel emulates.
func needsConductor(t topologies.Topology, backend string) bool {
	if len(t.Operations()) > 0 {
		return true
	}
	if backend != BackendNetem {
		return false
	}
	for _, l := range t.Links {
		if len(t.Timeline(l.Name, "up"))+len(t.Timeline(l.Name, "down")) > 0 {
			return true
		}
	}
	return false
}

func (p *Plan) addConductor() {
	p.Steps = append(p.Steps, Step{
		Do: "start conductor", What: fmt.Sprintf("%d events", len(p.Topology.Events)),
		Undo: "end the conductor process",
		run:  func(ctx context.Context, r *raising) error { return r.startConductor(ctx) },
	})
}

// startConductor hands the namespaces that change to a process that outlives this
// one, and waits until it plays.
func (r *raising) startConductor(ctx context.Context) error {
	if len(r.host.Conductor) == 0 {
		return errors.New("no conductor command is set")
	}
	control, err := listenControl("conductor", r.host.conductorSocket(r.plan.Lab))
	if err != nil {
		return err
	}
	defer control.Close()
	spec := conductorSpec(r.plan.Topology, r.plan.Lab, r.plan.Backend)
	spec.Journal = r.host.journal(r.plan.Lab)
	if r.plan.Backend == BackendRelay {
		spec.Relay = r.host.relaySocket(r.plan.Lab)
	}
	files := []*os.File{control}
	for _, w := range spec.Wires {
		files = append(files, r.spaces[WireNamespace(r.plan.Lab, w.Link)].File())
	}
	for _, n := range spec.NATs {
		files = append(files, r.spaces[NodeNamespace(r.plan.Lab, n.Node)].File())
	}
	return r.startChild(ctx, child{
		what: "conductor", command: r.host.Conductor, spec: spec, files: files,
		log: r.host.conductorLog(r.plan.Lab), ref: &r.state.Conductor,
	})
}

// conductorSpec returns what a conductor of the lab does: the control socket is file
// 0, the namespaces of wires and NATs follow in order.
func conductorSpec(t topologies.Topology, lab, backend string) conductor.Spec {
	spec := conductor.Spec{Lab: lab, Seed: t.Seed, Start: t.Start, Operations: t.Operations()}
	files := 1
	for _, l := range t.Links {
		if !l.Impaired() {
			continue
		}
		w := conductor.Wire{Link: l.Name, Namespace: files, Ends: l.Endpoints, MTU: l.MTU}
		if backend == BackendNetem {
			w.Netem, w.Up, w.Down = true, l.Up, l.Down
			w.UpTimeline, w.DownTimeline = t.Timeline(l.Name, "up"), t.Timeline(l.Name, "down")
		}
		spec.Wires = append(spec.Wires, w)
		files++
	}
	for _, n := range t.Nodes {
		if n.Kind == topologies.NAT {
			spec.NATs = append(spec.NATs, conductor.NAT{Node: n.Name, Namespace: files})
			files++
		}
	}
	return spec
}

// dialConductor connects to the lab's conductor; nil when it has none.
func (l *Lab) dialConductor() (*conductor.Client, error) {
	if l.state.Conductor == nil {
		return nil, nil
	}
	return conductor.Dial(l.host.conductorSocket(l.Name()))
}
