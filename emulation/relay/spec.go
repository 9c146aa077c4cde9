package relay

import (
	"errors"
	"fmt"

	"github.com/tquiclab/tquiclab/emulation"
)

// Spec is what a relay process does. The lab writes it as JSON to the process's
// standard input.
type Spec struct {
	Lab   string    `json:"lab"`
	Seed  uint64    `json:"seed"` // the topology's
	Start StartKind `json:"start,omitempty"`
	Wires []Wire    `json:"wires"`
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
	// What changes in the course of time.
	UpTimeline   emulation.Timeline `json:"up_timeline,omitempty"`
	DownTimeline emulation.Timeline `json:"down_timeline,omitempty"`
}

// direction returns what one way begins with and what changes it.
func (w Wire) direction(way int) (emulation.Impairments, emulation.Timeline) {
	if way == 0 {
		return w.Up, w.UpTimeline
	}
	return w.Down, w.DownTimeline
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
	links := map[string]bool{}
	for _, w := range s.Wires {
		if links[w.Link] {
			errs = append(errs, fmt.Errorf("link %s has two wires", w.Link))
		}
		links[w.Link] = true
		for _, p := range w.Ports {
			use(p, "a port of link "+w.Link)
		}
		for way, name := range directionNames {
			base, timeline := w.direction(way)
			if err := base.Validate(); err != nil {
				errs = append(errs, fmt.Errorf("link %s %s: %w", w.Link, name, err))
			} else if err := timeline.Validate(base); err != nil {
				errs = append(errs, fmt.Errorf("link %s %s: timeline: %w", w.Link, name, err))
			}
		}
	}
	if err := s.Start.validate(); err != nil {
		errs = append(errs, err)
	}
	if len(s.Wires) == 0 {
		errs = append(errs, errors.New("no wires"))
	}
	return errors.Join(errs...)
}
