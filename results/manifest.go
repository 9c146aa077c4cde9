package results

import (
	"encoding/json"
	"fmt"
	"time"
)

// Manifest is manifest.json: what a run was, so that another person can repeat
// it and see in what their machine differs. Fields that the end of the run adds
// are null until then.
type Manifest struct {
	Schema         string            `json:"schema"`
	Lab            string            `json:"lab"`
	Topology       json.RawMessage   `json:"topology,omitempty"` // resolved, with every default
	TopologySHA256 string            `json:"topology_sha256"`
	TraceSHA256    map[string]string `json:"trace_sha256,omitempty"` // by the trace's name
	Experiment     json.RawMessage   `json:"experiment,omitempty"`   // as run: the topology's, overridden by flags
	Backend        string            `json:"backend"`
	Seed           uint64            `json:"seed"`
	Seeds          map[string]uint64 `json:"seeds,omitempty"` // those derived from Seed, by purpose
	Order          []Planned         `json:"order"`           // every trial meant to run, in order
	CommandLine    []string          `json:"command_line"`

	Build   Build             `json:"build"`
	Engines map[string]string `json:"engines"` // version of each engine under test, by name
	Machine Machine           `json:"machine"`
	// Sysctls, Links: what the nodes and links really have, read back after up.
	Sysctls map[string]string `json:"sysctls,omitempty"` // by "<node>/<sysctl>"
	Links   json.RawMessage   `json:"links,omitempty"`   // offloads, qdiscs, MTUs

	StartedAt   time.Time `json:"started_at"`
	DurationS   *float64  `json:"duration_s"`
	StealStartS *float64  `json:"steal_start_s"` // CPU time that the host took away since boot, all CPUs
	StealEndS   *float64  `json:"steal_end_s"`
}

// Planned is the place of one trial in the run.
type Planned struct {
	Round int `json:"round"` // from 1
	Order int `json:"order"` // within the round, from 1
	Arm   Arm `json:"arm"`
}

// Name is the trial's in the names of its files: that of its series, say.
func (p Planned) Name() string { return fmt.Sprintf("%d-%d-%s", p.Round, p.Order, p.Arm.Engine) }
