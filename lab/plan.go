package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation/relay"
	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/topologies"
)

// namePrefix begins the name of every namespace of a lab.
const namePrefix = "tql-"

// NodeNamespace returns the name of a node's namespace, for
// `ip netns exec NAME`.
func NodeNamespace(lab, node string) string { return namePrefix + lab + "-" + node }

// WireNamespace returns the name of the namespace in the middle of an impaired
// link. The dot, which no name in a topology has, keeps it apart from a node's.
func WireNamespace(lab, link string) string { return namePrefix + lab + "." + link }

// Plan is what Up is going to do: pure data from the topology, in order.
type Plan struct {
	Lab      string
	Backend  string // relay, netem or direct
	Topology topologies.Topology
	Steps    []Step
}

// Step is one thing that Up does.
type Step struct {
	Do   string `json:"do"`   // the verb and the kind of object
	What string `json:"what"` // the object and its settings
	Undo string `json:"undo,omitempty"`

	namespace string // that the step makes: recorded before it runs
	run       func(ctx context.Context, r *raising) error
}

// NewPlan returns the steps that raise the topology under a name, with its
// impaired links served by the backend. It touches nothing.
func NewPlan(t topologies.Topology, lab, backend string) Plan {
	p := Plan{Lab: lab, Backend: backend, Topology: t}
	for _, n := range t.Nodes {
		p.addNamespace(NodeNamespace(lab, n.Name), "node "+n.Name, link.NodeSysctls())
	}
	for _, l := range t.Links {
		if l.Impaired() {
			p.addNamespace(WireNamespace(lab, l.Name), "wire of link "+l.Name, link.WireSysctls())
		}
	}
	for i, l := range t.Links {
		p.addLink(i, l)
	}
	for _, n := range t.Nodes {
		p.addMPTCP(n.Name)
	}
	if backend != BackendDirect {
		p.addBackend()
	}
	for _, l := range t.Links {
		p.addAwait(l)
	}
	return p
}

// carrierPatience is how long a link may take to carry packets. Kernels before
// 6.7 may take a second.
const carrierPatience = 10 * time.Second

func (p *Plan) addAwait(l topologies.Link) {
	lab := p.Lab
	p.Steps = append(p.Steps, Step{
		Do: "wait for link", What: l.Name,
		run: func(ctx context.Context, r *raising) error {
			ctx, cancel := context.WithTimeout(ctx, carrierPatience)
			defer cancel()
			for _, node := range l.Endpoints {
				if err := link.AwaitUp(ctx, r.spaces[NodeNamespace(lab, node)], l.Name); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

func (p *Plan) addNamespace(name, role string, sysctls []link.Sysctl) {
	p.Steps = append(p.Steps,
		Step{
			Do: "create namespace", What: name + " (" + role + ")", Undo: "remove namespace " + name,
			namespace: name,
			run:       func(_ context.Context, r *raising) error { return r.createNamespace(name) },
		},
		Step{
			Do: "set sysctls", What: name + ": " + sysctlText(sysctls),
			run: func(_ context.Context, r *raising) error { return link.SetSysctls(r.spaces[name], sysctls) },
		})
}

// addLink joins the two nodes by one pair, or by two with the wire between.
func (p *Plan) addLink(index int, l topologies.Link) {
	var ends [2]linkEnd
	for i, node := range l.Endpoints {
		ends[i] = linkEnd{
			namespace: NodeNamespace(p.Lab, node), name: l.Name, mtu: l.MTU,
			mac: endMAC(index, i), addresses: l.Addresses[i],
		}
	}
	if l.Impaired() {
		for i, end := range ends {
			inner := linkEnd{namespace: WireNamespace(p.Lab, l.Name), name: l.Endpoints[i], mtu: l.MTU}
			p.addPair(end, inner)
			p.addOffloads(p.offload(l), end, inner)
		}
	} else {
		p.addPair(ends[0], ends[1])
	}
	for i, end := range ends {
		p.addNeighbours(end, ends[1-i])
	}
}

// linkEnd is one end of a pair before its namespace exists.
type linkEnd struct {
	namespace string
	name      string
	mtu       int
	mac       net.HardwareAddr
	addresses []netip.Prefix
}

func (e linkEnd) String() string { return e.namespace + "/" + e.name }

func (e linkEnd) resolve(r *raising) link.End {
	return link.End{
		NS: r.spaces[e.namespace], Name: e.name, MTU: e.mtu, MAC: e.mac,
		Alias: r.state.Mark.String(), Addresses: e.addresses,
	}
}

func (p *Plan) addPair(a, b linkEnd) {
	what := fmt.Sprintf("%s -- %s mtu %d%s%s", a, b, a.mtu, addressText(a), addressText(b))
	p.Steps = append(p.Steps, Step{
		Do: "create veth", What: what,
		run: func(_ context.Context, r *raising) error { return link.CreateVeth(a.resolve(r), b.resolve(r)) },
	})
}

// addOffloads sets the offloads of a link's end, and those of the wire's end that it
// faces: a wire that takes units must be able to send them.
func (p *Plan) addOffloads(offload relay.Offload, end, inner linkEnd) {
	step := Step{
		Do: "turn offloads off", What: end.String(),
		run: func(_ context.Context, r *raising) error { return r.setOffloads(link.OffloadsOff, end) },
	}
	if offload == relay.OffloadOn {
		step = Step{
			Do: "leave offloads on", What: end.String() + ", " + inner.String(),
			run: func(_ context.Context, r *raising) error {
				set, err := unitOffloads()
				if err != nil {
					return err
				}
				return r.setOffloads(set, end, inner)
			},
		}
	}
	p.Steps = append(p.Steps, step)
}

func (r *raising) setOffloads(set link.OffloadSet, ends ...linkEnd) error {
	for _, e := range ends {
		if err := link.SetOffloads(r.spaces[e.namespace], e.name, set); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) addNeighbours(e, peer linkEnd) {
	var known []link.Neighbour
	var text []string
	for _, a := range peer.addresses {
		known = append(known, link.Neighbour{Address: a.Addr(), MAC: peer.mac})
		text = append(text, a.Addr().String())
	}
	p.Steps = append(p.Steps, Step{
		Do: "add neighbours", What: fmt.Sprintf("%s: %s at %s", e, strings.Join(text, ", "), peer.mac),
		run: func(_ context.Context, r *raising) error {
			return link.AddNeighbours(r.spaces[e.namespace], e.name, known)
		},
	})
}

// addMPTCP lets a node's path manager announce the node's addresses, one for
// each link: a second family would make a second subflow over the same link.
func (p *Plan) addMPTCP(node string) {
	announce := announcedAddresses(p.Topology, node, nil)
	if len(announce) == 0 {
		return
	}
	name := NodeNamespace(p.Lab, node)
	p.Steps = append(p.Steps, Step{
		Do: "set MPTCP endpoints", What: fmt.Sprintf("%s: %v (left out where the kernel has no MPTCP)", name, announce),
		run: func(_ context.Context, r *raising) error { return r.setMPTCP(name, announce) },
	})
}

func (p *Plan) addBackend() {
	var wires []string
	for _, l := range p.Topology.Links {
		if l.Impaired() {
			wires = append(wires, fmt.Sprintf("%s: up %s, down %s", l.Name, topologies.Summary(l.Up), topologies.Summary(l.Down)))
		}
	}
	step := Step{
		Do: "start " + p.Backend, What: strings.Join(wires, "; "),
		run: func(ctx context.Context, r *raising) error { return r.attachBackend(ctx) },
	}
	if p.Backend == BackendRelay {
		step.Undo = "end the relay process"
	}
	p.Steps = append(p.Steps, step)
}

// announcedAddresses returns the node's IPv4 address on each link, or on each of
// the named ones.
func announcedAddresses(t topologies.Topology, node string, links map[string]bool) []netip.Addr {
	var addrs []netip.Addr
	for _, l := range t.Links {
		end := l.End(node)
		if end < 0 || links != nil && !links[l.Name] {
			continue
		}
		for _, prefix := range l.Addresses[end] {
			if prefix.Addr().Is4() {
				addrs = append(addrs, prefix.Addr())
				break
			}
		}
	}
	return addrs
}

// endMAC returns the address of one end of a link: locally administered, the
// same for the same file.
func endMAC(index, end int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0x74, 0x71, byte(index >> 8), byte(index), byte(end + 1)}
}

func addressText(e linkEnd) string {
	if len(e.addresses) == 0 {
		return ""
	}
	text := make([]string, len(e.addresses))
	for i, a := range e.addresses {
		text[i] = a.String()
	}
	return " " + e.namespace + ": " + strings.Join(text, ", ")
}

func sysctlText(sysctls []link.Sysctl) string {
	text := make([]string, len(sysctls))
	for i, s := range sysctls {
		text[i] = s.Name + "=" + s.Value
	}
	return strings.Join(text, " ")
}
