package journal

import (
	"cmp"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/topologies"
)

// Kind says what happened.
type Kind string

// The kinds. The first six are those of a topology's events.
const (
	Set    Kind = "set"    // impairments changed
	Down   Kind = "down"   // a link lost its carrier
	Up     Kind = "up"     // a link has it again
	Rebind Kind = "rebind" // a NAT forgot its mappings
	Arm    Kind = "arm"    // all is as the file has it, the clock waits for its start
	Start  Kind = "start"  // the clock started
	Full   Kind = "full"   // the file has no more room: later changes are not in it
)

// By says who made a change.
type By string

// The makers.
const (
	Timeline By = "timeline"
	Hand     By = "hand"
)

// Entry is one change that took effect, or that failed to (Error).
type Entry struct {
	At int64 `json:"at_ns"` // CLOCK_MONOTONIC, when it had taken effect
	// Since is the same since the lab's clock started; nil while it stands.
	Since *time.Duration   `json:"since_start_ns,omitempty"`
	By    By               `json:"by"`
	Kind  Kind             `json:"kind"`
	Link  string           `json:"link,omitempty"`
	Way   string           `json:"way,omitempty"`     // up or down; empty: both
	Node  string           `json:"node,omitempty"`    // Rebind
	Set   *emulation.Patch `json:"set,omitempty"`     // Set
	Ramp  time.Duration    `json:"ramp_ns,omitempty"` // Set: it begins here and takes this long
	Late  time.Duration    `json:"late_ns,omitempty"` // behind the timeline's instant; Start: how far back the packet may lie
	Seed  *uint64          `json:"seed,omitempty"`    // Arm
	Error string           `json:"error,omitempty"`
}

// Text says it in a few words: "lte down", "lte up: rate=5mbit".
func (e Entry) Text() string {
	text := strings.Join(strings.Fields(cmp.Or(e.Link, e.Node)+" "+e.Way), " ")
	switch e.Kind {
	case Set:
		text += ": " + patchText(e.Set)
		if e.Ramp > 0 {
			text += " over " + topologies.FormatTime(e.Ramp)
		}
	case Arm, Start:
		text = "clock " + map[Kind]string{Arm: "armed", Start: "started"}[e.Kind]
	case Full:
		text = "the journal is full"
	default:
		text += " " + string(e.Kind)
	}
	if e.Error != "" {
		text += " failed: " + e.Error
	}
	return text
}

// patchText is a patch as somebody would type it.
func patchText(p *emulation.Patch) string {
	switch {
	case p == nil:
		return "nothing"
	case p.Fields == emulation.AllFields:
		return "all as " + cmp.Or(topologies.Summary(p.Values), "nothing")
	}
	return topologies.FormatPatch(*p)
}
