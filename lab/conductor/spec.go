package conductor

import (
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/emulation/netem"
	"github.com/tquiclab/tquiclab/topologies"
)

// Spec is what a conductor does. The lab writes it as JSON to the process's standard
// input. Indexes are those of the files handed over.
type Spec struct {
	Lab   string           `json:"lab"`
	Seed  uint64           `json:"seed"` // the topology's
	Start topologies.Start `json:"start,omitempty"`
	// Relay is the path of the control socket of the lab's relay, whose clock is the
	// lab's; empty where the conductor keeps the clock.
	Relay   string `json:"relay,omitempty"`
	Journal string `json:"journal"` // path
	Control int    `json:"control"` // a listening unix stream socket

	Wires      []Wire                 `json:"wires,omitempty"`
	NATs       []NAT                  `json:"nats,omitempty"`
	Operations []topologies.Operation `json:"operations,omitempty"`
}

// Wire is a link with a wire between its ends.
type Wire struct {
	Link      string    `json:"link"`
	Namespace int       `json:"namespace"` // the wire's
	Ends      [2]string `json:"ends"`      // interfaces in it, the first towards the link's first endpoint
	MTU       int       `json:"mtu"`       // of the link, bytes of IP packet
	// Netem: the conductor sets the impairments, and plays what changes them. Else
	// what follows is empty.
	Netem        bool                  `json:"netem,omitempty"`
	Up           emulation.Impairments `json:"up,omitzero"` // towards the second end
	Down         emulation.Impairments `json:"down,omitzero"`
	UpTimeline   emulation.Timeline    `json:"up_timeline,omitempty"`
	DownTimeline emulation.Timeline    `json:"down_timeline,omitempty"`
}

// NAT is a node that can forget its mappings.
type NAT struct {
	Node      string `json:"node"`
	Namespace int    `json:"namespace"`
}

// validate returns everything that is wrong with the spec for that many files.
func (s Spec) validate(files int) error {
	var errs []error
	used := map[int]string{}
	use := func(index int, by string) {
		switch other, taken := used[index]; {
		case index < 0 || index >= files:
			errs = append(errs, fmt.Errorf("%s: file %d of %d does not exist", by, index, files))
		case taken:
			errs = append(errs, fmt.Errorf("%s: file %d is already %s", by, index, other))
		default:
			used[index] = by
		}
	}
	use(s.Control, "control socket")
	links, nodes := map[string]bool{}, map[string]bool{}
	for _, w := range s.Wires {
		if links[w.Link] {
			errs = append(errs, fmt.Errorf("link %s has two wires", w.Link))
		}
		links[w.Link] = true
		use(w.Namespace, "the wire of link "+w.Link)
		if w.Netem {
			errs = append(errs, w.validate())
		}
	}
	for _, n := range s.NATs {
		nodes[n.Node] = true
		use(n.Namespace, "NAT "+n.Node)
	}
	if s.Journal == "" {
		errs = append(errs, errors.New("no journal"))
	}
	return errors.Join(append(errs, s.validateOperations(links, nodes))...)
}

func (w Wire) validate() error {
	var errs []error
	for _, d := range []struct {
		way      string
		base     emulation.Impairments
		timeline emulation.Timeline
	}{{"up", w.Up, w.UpTimeline}, {"down", w.Down, w.DownTimeline}} {
		if err := errors.Join(netem.Check(d.base, w.MTU), d.timeline.Validate(d.base)); err != nil {
			errs = append(errs, fmt.Errorf("link %s %s: %w", w.Link, d.way, err))
		}
	}
	return errors.Join(errs...)
}

func (s Spec) validateOperations(links, nodes map[string]bool) error {
	var errs []error
	for _, o := range s.Operations {
		switch {
		case o.At < 0 || o.At > emulation.MaxTimeline || o.Every != 0 && (o.Every < emulation.MinEvery || o.Every > emulation.MaxTimeline) || o.Times < 0:
			errs = append(errs, fmt.Errorf("operation %s at %v: its times are out of range", o.Kind, o.At))
		case o.Kind == topologies.EventRebind && !nodes[o.Node]:
			errs = append(errs, fmt.Errorf("rebind: there is no NAT %q", o.Node))
		case (o.Kind == topologies.EventDown || o.Kind == topologies.EventUp) && !links[o.Link]:
			errs = append(errs, fmt.Errorf("%s: link %q has no wire", o.Kind, o.Link))
		case o.Kind != topologies.EventRebind && o.Kind != topologies.EventDown && o.Kind != topologies.EventUp:
			errs = append(errs, fmt.Errorf("unknown operation %q", o.Kind))
		}
	}
	return errors.Join(errs...)
}
