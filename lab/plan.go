package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/emulation/relay"
	"github.com/tquiclab/tquiclab/lab/link"
	"github.com/tquiclab/tquiclab/lab/nat"
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
		p.addNode(n)
	}
	for _, l := range t.Links {
		if l.Impaired() {
			p.addNamespace(WireNamespace(lab, l.Name), "wire of link "+l.Name, link.WireSysctls())
		}
	}
	for i, l := range t.Links {
		p.addLink(i, l)
	}
	network := t.Network()
	for _, r := range network.Routes() {
		p.addRoutes(r)
	}
	for _, n := range t.Nodes {
		if n.Kind == topologies.NAT {
			p.addNAT(n)
		}
	}
	for _, n := range t.Nodes {
		p.addMPTCP(n, network)
	}
	if backend != BackendDirect {
		p.addBackend()
	}
	for _, l := range t.Links {
		p.addAwait(l)
	}
	if needsConductor(t, backend) {
		p.addConductor()
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

// addNode makes a node's namespace.
func (p *Plan) addNode(n topologies.Node) {
	role, sysctls := "node "+n.Name, link.NodeSysctls()
	if n.Forwards() {
		role, sysctls = string(n.Kind)+" "+n.Name, append(link.ForwardingSysctls(), sysctls...)
	}
	p.addNamespace(NodeNamespace(p.Lab, n.Name), role, sysctls)
}

// addLink joins the two nodes by one pair, or by two with the wire between.
func (p *Plan) addLink(index int, l topologies.Link) {
	var ends [2]linkEnd
	for i, node := range l.Endpoints {
		ends[i] = linkEnd{
			namespace: NodeNamespace(p.Lab, node), name: l.Name, mtu: l.MTU,
			mac: endMAC(index, i), addresses: l.Addresses[i], noIPv6: l.Family == topologies.IPv4Only,
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
	noIPv6    bool
}

func (e linkEnd) String() string { return e.namespace + "/" + e.name }

func (e linkEnd) resolve(r *raising) link.End {
	return link.End{
		NS: r.spaces[e.namespace], Name: e.name, MTU: e.mtu, MAC: e.mac,
		Alias: r.state.Mark.String(), Addresses: e.addresses, NoIPv6: e.noIPv6,
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

// addRoutes lets a node reach more than its neighbours.
func (p *Plan) addRoutes(n topologies.NodeRoutes) {
	if len(n.Routes) == 0 {
		return
	}
	name := NodeNamespace(p.Lab, n.Node)
	var routes []link.Route
	for _, r := range n.Routes {
		routes = append(routes, link.Route{To: r.To, Via: r.Via, Link: r.Link, Table: r.Table})
	}
	var rules []link.Rule
	for _, r := range n.Rules {
		rules = append(rules, link.Rule{From: r.From, Table: r.Table})
	}
	p.Steps = append(p.Steps, Step{
		Do: "add routes", What: name + ": " + routeText(routes, rules),
		run: func(_ context.Context, r *raising) error { return link.AddRoutes(r.spaces[name], routes, rules) },
	})
}

// addNAT makes a node translate what comes from inside.
func (p *Plan) addNAT(n topologies.Node) {
	name := NodeNamespace(p.Lab, n.Name)
	config := nat.Config{Inside: n.Inside}
	var outside []string
	for _, l := range p.Topology.Links {
		end := l.End(n.Name)
		if end < 0 || slices.Contains(n.Inside, l.Name) {
			continue
		}
		out := nat.Outside{Name: l.Name}
		for _, prefix := range l.Addresses[end] {
			out.Addresses = append(out.Addresses, prefix.Addr())
		}
		config.Outside = append(config.Outside, out)
		outside = append(outside, fmt.Sprintf("%s as %s", l.Name, joinText(out.Addresses)))
	}
	p.Steps = append(p.Steps, Step{
		Do: "set up NAT", What: fmt.Sprintf("%s: from %s to %s", name, strings.Join(n.Inside, ", "), strings.Join(outside, "; ")),
		run: func(_ context.Context, r *raising) error { return r.setUpNAT(name, config) },
	})
}

// addMPTCP tells a host's path manager which addresses there are to use.
func (p *Plan) addMPTCP(n topologies.Node, network *topologies.Network) {
	if n.Forwards() {
		return
	}
	endpoints := allEndpoints(p.Topology, network, n.Name)
	if len(endpoints) == 0 {
		return
	}
	name := NodeNamespace(p.Lab, n.Name)
	p.Steps = append(p.Steps, Step{
		Do: "set MPTCP endpoints", What: fmt.Sprintf("%s: %s (left out where the kernel has no MPTCP)", name, joinText(endpoints)),
		run: func(_ context.Context, r *raising) error { return r.setMPTCP(name, endpoints) },
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

// routeText says which networks are reached by which way.
func routeText(routes []link.Route, rules []link.Rule) string {
	var ways []string
	networks := map[string][]string{}
	for _, r := range routes {
		way := r.Way()
		if networks[way] == nil {
			ways = append(ways, way)
		}
		networks[way] = append(networks[way], r.To.String())
	}
	var text []string
	for _, r := range rules {
		text = append(text, r.String())
	}
	for _, way := range ways {
		text = append(text, way+": "+strings.Join(networks[way], ", "))
	}
	return strings.Join(text, "; ")
}

func joinText[T fmt.Stringer](values []T) string {
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = v.String()
	}
	return strings.Join(text, ", ")
}

func sysctlText(sysctls []link.Sysctl) string {
	text := make([]string, len(sysctls))
	for i, s := range sysctls {
		text[i] = s.Name + "=" + s.Value
	}
	return strings.Join(text, " ")
}
