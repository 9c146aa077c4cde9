package topologies

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"

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
	Start      Start       `json:"start,omitempty"`
	Events     []Event     `json:"events,omitempty"` // in the file's order
	Traces     []TraceFile `json:"traces,omitempty"` // what Capacity and Steps were read from
	Experiment *Experiment `json:"experiment,omitempty"`
}

// Node is a network namespace to be.
type Node struct {
	Name string   `json:"name"`
	Kind NodeKind `json:"kind,omitempty"`
	// Inside are a NAT's links towards those it hides: what comes from there leaves on
	// another link with the NAT's own address.
	Inside []string `json:"inside,omitempty"`
}

// NodeKind says what a node does with packets that are not for it.
type NodeKind string

// The kinds.
const (
	Host   NodeKind = ""       // drops them
	Router NodeKind = "router" // forwards them
	NAT    NodeKind = "nat"    // forwards them, and masquerades those from Inside
)

func kinds() []NodeKind { return []NodeKind{Host, Router, NAT} }

// String returns the word of the file.
func (k NodeKind) String() string {
	if k == Host {
		return "host"
	}
	return string(k)
}

// Forwards reports whether the node forwards packets.
func (n Node) Forwards() bool { return n.Kind.forwards() }

func (k NodeKind) forwards() bool { return k != Host }

// Start says when the clock of traces, steps and events starts.
type Start string

// The starts.
const (
	StartFirstPacket Start = ""       // with the first packet on any wire
	StartUp          Start = "up"     // once the lab is up
	StartManual      Start = "manual" // by `tquiclab start`
)

func starts() []Start { return []Start{StartFirstPacket, StartUp, StartManual} }

// String returns the word of the file.
func (s Start) String() string {
	if s == StartFirstPacket {
		return "first-packet"
	}
	return string(s)
}

// Family says which IP versions a link carries.
type Family string

// The families.
const (
	DualStack Family = ""
	IPv4Only  Family = "ipv4"
	IPv6Only  Family = "ipv6"
)

func oneFamily() []Family { return []Family{IPv4Only, IPv6Only} }

// String returns the word of the file.
func (f Family) String() string { return string(f) }

// has reports whether links of the family have addresses of a version.
func (f Family) has(v family) bool {
	return f == DualStack || f == IPv4Only && v == ipv4 || f == IPv6Only && v == ipv6
}

// TraceFile is a file that a direction's Capacity, Steps or JitterTable were read
// from, or the generator that made them.
type TraceFile struct {
	Link      string    `json:"link"`
	Direction string    `json:"direction"`       // up or down; empty: both, of an event
	Event     int       `json:"event,omitempty"` // the place in Events, from 1, whose Set has it; 0: the link itself
	Kind      TraceKind `json:"kind"`
	Source    string    `json:"source"` // the path as the file has it, or the generator and its settings
	SHA256    string    `json:"sha256"` // of the file's bytes; of the generated trace in Mahimahi's format, or its steps as nanoseconds and bit/s
}

// TraceKind says what a TraceFile is.
type TraceKind string

// The kinds.
const (
	TraceMahimahi  TraceKind = "mahimahi"  // a file, of Capacity
	TraceCSV       TraceKind = "csv"       // a file, of Steps
	TraceTable     TraceKind = "table"     // a file, of JitterTable
	TraceGenerated TraceKind = "generated" // of Capacity or Steps
)

// Link is a two-ended connection between nodes. Up is the direction from
// Endpoints[0] to Endpoints[1], Down the other.
type Link struct {
	Name      string                `json:"name"` // also the interface's name in both nodes
	Endpoints [2]string             `json:"endpoints"`
	Profile   string                `json:"profile,omitempty"`
	MTU       int                   `json:"mtu"` // of the interfaces, bytes of IP packet
	Family    Family                `json:"family,omitempty"`
	Up        emulation.Impairments `json:"up,omitzero"`
	Down      emulation.Impairments `json:"down,omitzero"`
	// Wired asks for a wire even without impairments: events or a change by hand need
	// one.
	Wired bool `json:"wired,omitempty"`
	// Addresses of the interface at each endpoint: one IPv4 and one IPv6 prefix, or what
	// Family leaves of them.
	Addresses [2][]netip.Prefix `json:"addresses"`
}

// Impaired reports whether the link needs a wire between its ends.
func (l Link) Impaired() bool { return l.Wired || !l.Up.IsZero() || !l.Down.IsZero() }

// Direction returns what the link does to packets on one way, "up" or "down".
func (l Link) Direction(way string) emulation.Impairments {
	if way == "up" {
		return l.Up
	}
	return l.Down
}

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
	// Paths are the only ones of engines without an @, each named by its first link; nil:
	// all.
	Paths []string `json:"paths,omitempty"`
	// Schedulers and Congestions are compared, an arm each, in engines that take them
	// by name; nil: the engine's default.
	Schedulers  []string `json:"schedulers,omitempty"`
	Congestions []string `json:"congestions,omitempty"`
	Rounds      int      `json:"rounds"`
}

// Hash returns the SHA-256 of the network with all defaults filled in, in hex:
// name, seed, nodes, links and events, with the contents of traces. The experiment
// is not part of it, so that two runs over the same network say so, nor are the names
// of trace files. Comments, order of keys and spelling of quantities do not change
// it.
func (t Topology) Hash() string {
	t.Experiment, t.Traces = nil, nil
	data, err := json.Marshal(t)
	if err != nil {
		panic("topologies: a resolved topology does not encode: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
