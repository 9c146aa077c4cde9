package lab

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/netns"
	"github.com/tquiclab/tquiclab/topologies"
)

// Facts is what the kernel says of a lab's nodes, read back for a run's manifest.
type Facts struct {
	Nodes map[string]NodeFacts `json:"nodes"`
	// Wires has the links that a backend serves, by name.
	Wires map[string]WireFacts `json:"wires"`
}

// WireFacts is how a wire works.
type WireFacts struct {
	// Units: the endpoints' offloads are on, as their interfaces say, and the wire
	// takes their units apart.
	Units bool `json:"units"`
}

// NodeFacts is what the kernel says of one node.
type NodeFacts struct {
	Sysctls    map[string]string         `json:"sysctls"`
	Interfaces map[string]InterfaceFacts `json:"interfaces"`
}

// InterfaceFacts is what the kernel says of one interface.
type InterfaceFacts struct {
	MTU      int             `json:"mtu"`
	MAC      string          `json:"mac"`
	Qdiscs   []string        `json:"qdiscs"`
	Offloads map[string]bool `json:"offloads"`
}

// recordedSysctls are those that change what a transport does.
func recordedSysctls() []string {
	names := []string{
		"net.core.rmem_max", "net.core.wmem_max",
		"net.ipv4.tcp_congestion_control", "net.ipv4.tcp_sack", "net.ipv4.tcp_timestamps",
		"net.ipv4.tcp_window_scaling", "net.ipv4.tcp_ecn", "net.ipv4.tcp_slow_start_after_idle",
		"net.ipv4.tcp_mtu_probing",
		"net.mptcp.enabled", "net.mptcp.scheduler", "net.mptcp.pm_type", "net.mptcp.checksum_enabled",
	}
	for _, s := range append(link.ForwardingSysctls(), link.NodeSysctls()...) {
		names = append(names, s.Name)
	}
	return names
}

// Facts reads the lab's nodes back from the kernel.
func (l *Lab) Facts() (Facts, error) {
	facts := Facts{Nodes: map[string]NodeFacts{}, Wires: map[string]WireFacts{}}
	var errs []error
	for _, n := range l.state.Topology.Nodes {
		node, err := l.nodeFacts(n.Name)
		if err != nil {
			errs = append(errs, fmt.Errorf("read node %s: %w", n.Name, err))
		}
		facts.Nodes[n.Name] = node
	}
	for _, l := range l.state.Topology.Links {
		if l.Impaired() {
			facts.Wires[l.Name] = WireFacts{Units: facts.sendsUnits(l)}
		}
	}
	return facts, errors.Join(errs...)
}

// sendsUnits reports whether both ends of a link leave segmentation to the wire.
func (f Facts) sendsUnits(l topologies.Link) bool {
	for _, node := range l.Endpoints {
		if !f.Nodes[node].Interfaces[l.Name].Offloads["tx-tcp-segmentation"] {
			return false
		}
	}
	return true
}

func (l *Lab) nodeFacts(node string) (NodeFacts, error) {
	ns, err := l.open(node)
	if err != nil {
		return NodeFacts{}, err
	}
	defer ns.Close()
	facts := NodeFacts{Interfaces: map[string]InterfaceFacts{}}
	facts.Sysctls, err = link.ReadSysctls(ns, recordedSysctls())
	errs := []error{err}
	h, err := ns.Netlink()
	if err != nil {
		return facts, errors.Join(append(errs, err)...)
	}
	defer h.Close()
	for _, topologyLink := range l.state.Topology.Links {
		if topologyLink.End(node) < 0 {
			continue
		}
		facts.Interfaces[topologyLink.Name], err = interfaceFacts(ns, h, topologyLink.Name)
		errs = append(errs, err)
	}
	return facts, errors.Join(errs...)
}

func interfaceFacts(ns *netns.NS, h *netlink.Handle, name string) (InterfaceFacts, error) {
	found, err := h.LinkByName(name)
	if err != nil {
		return InterfaceFacts{}, fmt.Errorf("find %s: %w", name, err)
	}
	facts := InterfaceFacts{MTU: found.Attrs().MTU, MAC: found.Attrs().HardwareAddr.String()}
	qdiscs, err := h.QdiscList(found)
	if err != nil {
		err = fmt.Errorf("list qdiscs of %s: %w", name, err)
	}
	for _, q := range qdiscs {
		facts.Qdiscs = append(facts.Qdiscs, q.Type())
	}
	offloads, offloadErr := link.Offloads(ns, name)
	facts.Offloads = offloads
	return facts, errors.Join(err, offloadErr)
}
