package relay

import (
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation"
)

// Spec is what a relay process does. The lab writes it as JSON to the process's
// standard input.
type Spec struct {
	Lab   string `json:"lab"`
	Seed  uint64 `json:"seed"` // the topology's
	Wires []Wire `json:"wires"`
	// Control is the index, among the files handed over, of a listening unix
	// stream socket; requests come in there.
	Control int `json:"control"`
}

// Wire is one wire: two ports and what happens between them.
type Wire struct {
	Link string `json:"link"`
	// Ports are the indexes of the ports' files: the first towards the link's
	// first endpoint.
	Ports   [2]int                `json:"ports"`
	Up      emulation.Impairments `json:"up,omitzero"`   // first port to second
	Down    emulation.Impairments `json:"down,omitzero"` // second to first
	Offload Offload               `json:"offload,omitempty"`
}

// features is what the relay can do: all that the model does but the sending of
// messages of its own.
const features = emulation.AllFeatures &^ emulation.FeatureTooBig

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
	links := map[string]bool{}
	for _, w := range s.Wires {
		if links[w.Link] {
			errs = append(errs, fmt.Errorf("link %s has two wires", w.Link))
		}
		links[w.Link] = true
		for _, p := range w.Ports {
			use(p, "a port of link "+w.Link)
		}
		for _, i := range []emulation.Impairments{w.Up, w.Down} {
			if err := i.Validate(); err != nil {
				errs = append(errs, fmt.Errorf("link %s: %w", w.Link, err))
			}
			if missing := i.Features().Without(features); missing != 0 {
				errs = append(errs, fmt.Errorf("link %s: the relay cannot do: %v", w.Link, missing))
			}
		}
	}
	if len(s.Wires) == 0 {
		errs = append(errs, errors.New("no wires"))
	}
	return errors.Join(errs...)
}
