package lab

import (
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/topologies"
)

// UsePaths makes MPTCP connections from the paths' first host to their last one use
// these paths only, until the next call; no paths means all there are, between all
// hosts. Without it, an MPTCP connection over one path would find the others by
// itself. An error wraps link.ErrNoMPTCP where the kernel has none.
func (l *Lab) UsePaths(paths ...topologies.Path) error {
	network := l.state.Topology.Network()
	for _, n := range l.state.Topology.Nodes {
		if n.Forwards() {
			continue
		}
		chosen := chosenEndpoints(n.Name, paths)
		if len(paths) == 0 {
			chosen = allEndpoints(l.state.Topology, network, n.Name)
		}
		if err := l.setMPTCP(n.Name, chosen); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) setMPTCP(node string, endpoints []link.Endpoint) error {
	ns, err := l.open(node)
	if err != nil {
		return err
	}
	defer ns.Close()
	return link.SetMPTCP(ns, endpoints)
}

// chosenEndpoints returns what a host needs at either end of the paths: nothing where
// it is at neither.
func chosenEndpoints(node string, paths []topologies.Path) []link.Endpoint {
	var e endpoints
	if len(paths) > 0 {
		switch nodes := paths[0].Nodes; node {
		case nodes[0]:
			e.dial(paths)
		case nodes[len(nodes)-1]:
			e.listen(paths)
		}
	}
	return e.used()
}

// endpoints are a host's, in the order of its links.
type endpoints []link.Endpoint

func (e *endpoints) at(a netip.Addr) *link.Endpoint {
	i := slices.IndexFunc(*e, func(at link.Endpoint) bool { return at.Address == a })
	if i < 0 {
		i = len(*e)
		*e = append(*e, link.Endpoint{Address: a})
	}
	return &(*e)[i]
}

// listen announces each address that a path ends on: whoever connected to one opens
// subflows to the others, over the paths that lead there.
func (e *endpoints) listen(paths []topologies.Path) {
	for _, p := range paths {
		e.at(p.Remote).Announce = true
	}
}

// dial opens a subflow from where a path begins whose end an earlier path has, too:
// no announcement would make one. Where links join the hosts, either may connect, so
// both announce.
func (e *endpoints) dial(paths []topologies.Path) {
	ends := map[netip.Addr]bool{}
	for _, p := range paths {
		if ends[p.Remote] {
			e.at(p.Local).Subflow = true
		}
		ends[p.Remote] = true
		if len(p.Links) == 1 {
			e.at(p.Local).Announce = true
		}
	}
}

// used returns the endpoints that say something, as many as the kernel takes.
func (e endpoints) used() []link.Endpoint {
	e = slices.DeleteFunc(e, func(at link.Endpoint) bool { return !at.Announce && !at.Subflow })
	return e[:min(len(e), link.MaxEndpoints)]
}

// allEndpoints returns what the host needs as dialler and as listener of any other.
func allEndpoints(t topologies.Topology, network *topologies.Network, node string) []link.Endpoint {
	var found endpoints
	for _, other := range t.Nodes {
		if other.Name != node && !other.Forwards() {
			found.dial(network.Paths(node, other.Name))
			found.listen(network.Paths(other.Name, node))
		}
	}
	return found.used()
}
