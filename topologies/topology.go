package topologies

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
)

// Topology is a topology file with every default filled in: profiles resolved,
// overrides applied, addresses given. It is a plain value; nothing in it refers
// to the machine.
type Topology struct {
	Name       string      `json:"name"`
	Seed       uint64      `json:"seed"`
	Nodes      []Node      `json:"nodes"` // in the file's order
	Links      []Link      `json:"links"` // in the file's order
	Experiment *Experiment `json:"experiment,omitempty"`
}

// Node is a network namespace to be.
type Node struct {
	Name string `json:"name"`
}

// Link is a two-ended connection between nodes. Up is the direction from
// Endpoints[0] to Endpoints[1], Down the other.
type Link struct {
	Name      string                `json:"name"` // also the interface's name in both nodes
	Endpoints [2]string             `json:"endpoints"`
	Profile   string                `json:"profile,omitempty"`
	MTU       int                   `json:"mtu"` // of the interfaces, bytes of IP packet
	Up        emulation.Impairments `json:"up,omitzero"`
	Down      emulation.Impairments `json:"down,omitzero"`
	// Addresses of the interface at each endpoint: one IPv4 and one IPv6 prefix.
	Addresses [2][]netip.Prefix `json:"addresses"`
}

// Impaired reports whether the link needs a wire between its ends.
func (l Link) Impaired() bool { return !l.Up.IsZero() || !l.Down.IsZero() }

// End returns which endpoint of the link the node is (0 or 1), or -1.
func (l Link) End(node string) int {
	for i, n := range l.Endpoints {
		if n == node {
			return i
		}
	}
	return -1
}

// Experiment is what `run` does on the topology unless flags say otherwise.
type Experiment struct {
	From     string   `json:"from"` // sends
	To       string   `json:"to"`   // receives
	Workload Workload `json:"workload"`
	Engines  []string `json:"engines"`
	Rounds   int      `json:"rounds"`
}

// Workload is the traffic of a trial.
type Workload struct {
	Kind        string        `json:"kind"`                  // "bulk"
	Duration    time.Duration `json:"duration_ns,omitempty"` // of the sending; exactly one of Duration and Bytes is set
	Bytes       int64         `json:"bytes,omitempty"`       // over all streams and connections
	Streams     int           `json:"streams"`               // per connection
	Connections int           `json:"connections"`
}

// Hash returns the SHA-256 of the network with all defaults filled in, in hex:
// name, seed, nodes and links. The experiment is not part of it, so that two
// runs over the same network say so. Comments, order of keys and spelling of
// quantities do not change it.
func (t Topology) Hash() string {
	t.Experiment = nil
	data, err := json.Marshal(t)
	if err != nil {
		panic("topologies: a resolved topology does not encode: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
