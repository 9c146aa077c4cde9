package runner

import (
	"fmt"
	"slices"

	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/sim"
	"github.com/tquiclab/tquiclab/topologies"
)

// simulable returns why a path cannot be simulated, or nil.
func (s *simulation) simulable(p topologies.Path) error {
	for _, name := range p.Nodes[1 : len(p.Nodes)-1] {
		i := slices.IndexFunc(s.Topology.Nodes, func(n topologies.Node) bool { return n.Name == name })
		if i >= 0 && s.Topology.Nodes[i].Kind == topologies.NAT {
			return fmt.Errorf("the path over %s goes through %s, a NAT, which is the kernel's and cannot be simulated: %w: run it in a lab, with --backend auto", p.Name, name, engine.ErrUnsupported)
		}
	}
	return nil
}

// link turns a path's first link into one whose up leads from the dialler to the
// listener.
func (s *simulation) link(p topologies.Path) sim.Link {
	l := sim.Link{
		Name: p.Name, MTU: p.Links[0].MTU, Client: p.Local, Server: p.Remote,
		Up: p.Toward(0, s.listener), Down: p.Toward(0, s.dialler),
		UpTimeline:   s.Topology.Timeline(p.Name, p.Way(0)),
		DownTimeline: s.Topology.Timeline(p.Name, p.BackWay(0)),
		Outages:      s.outages(p.Name),
	}
	if len(p.Links) > 1 {
		l.Router = p.Nodes[1]
	}
	for _, t := range p.Links[1:] {
		l.Through = append(l.Through, t.Name)
	}
	return l
}

// trunk turns a link behind a router into one whose up leads to the listener by the first
// of the arm's paths that cross it.
func (s *simulation) trunk(c crossed) sim.Trunk {
	p, link := c.path, c.link()
	t := sim.Trunk{
		Name: link.Name, MTU: link.MTU, Ends: [2]string{p.Nodes[c.at], p.Nodes[c.at+1]},
		Up: p.Toward(c.at, s.listener), Down: p.Toward(c.at, s.dialler),
		UpTimeline:   s.Topology.Timeline(link.Name, p.Way(c.at)),
		DownTimeline: s.Topology.Timeline(link.Name, p.BackWay(c.at)),
		Outages:      s.outages(link.Name),
	}
	if t.Ends[1] == s.listener {
		t.Ends[1] = "" // the simulated server
	}
	return t
}

// crossed is a link of a path.
type crossed struct {
	path topologies.Path
	at   int
}

func (c crossed) link() topologies.Link { return c.path.Links[c.at] }

// up is the topology's name of the direction from the dialler to the listener, down of
// that back.
func (c crossed) up() string   { return c.path.Way(c.at) }
func (c crossed) down() string { return c.path.BackWay(c.at) }

// trunks returns the links behind the first ones of the arm's paths, each once, as the
// first path that leads there crosses it.
func (a arm) trunks() []crossed {
	var all []crossed
	for _, p := range a.paths {
		for i := 1; i < len(p.Links); i++ {
			c := crossed{p, i}
			if !slices.ContainsFunc(all, func(have crossed) bool { return have.link().Name == c.link().Name }) {
				all = append(all, c)
			}
		}
	}
	return all
}

// simulated returns the arm's links in the order in which a simulation reports them.
func (a arm) simulated() []crossed {
	var all []crossed
	for _, p := range a.paths {
		all = append(all, crossed{p, 0})
	}
	return append(all, a.trunks()...)
}

// outages returns when the topology's events take a link's carrier away and give it
// back.
func (s *simulation) outages(link string) []sim.Outage {
	var outages []sim.Outage
	for _, o := range s.Topology.Operations() {
		if o.Link == link && (o.Kind == topologies.EventDown || o.Kind == topologies.EventUp) {
			outages = append(outages, sim.Outage{At: o.At, Every: o.Every, Times: o.Times, Down: o.Kind == topologies.EventDown})
		}
	}
	return outages
}

// way names the direction of a drop as the topology does.
func (s *simulation) way(a arm, d sim.Drop) string {
	for _, c := range a.simulated() {
		switch {
		case c.link().Name != d.Link:
		case d.Up:
			return c.up()
		default:
			return c.down()
		}
	}
	return ""
}
