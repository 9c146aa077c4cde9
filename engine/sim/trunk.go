package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
)

// Trunk is a link behind a router: to another one, or to the server. All links that lead
// through it share its queues.
type Trunk struct {
	Name string // unique among the links and the trunks
	MTU  int    // as a Link's
	// Ends are what it joins: names of routers, or the empty name of the server.
	Ends [2]string
	// Up is from the first end to the second, Down back.
	Up, Down emulation.Impairments
	// As a Link's.
	UpTimeline, DownTimeline emulation.Timeline
	Outages                  []Outage
}

// toServer is the name of the server as an end of a Trunk.
const toServer = ""

// way is the trunks that a link leads through.
type way []crossing

// crossing is a trunk in the direction of the server.
type crossing struct {
	Trunk
	back bool // that is Down
}

// from and to are where it leads from, and to.
func (c crossing) from() string {
	if c.back {
		return c.Ends[1]
	}
	return c.Ends[0]
}

func (c crossing) to() string {
	if c.back {
		return c.Ends[0]
	}
	return c.Ends[1]
}

// newWay returns the way from the link's far end to the server.
func newWay(k Link, trunks []Trunk) (way, error) {
	if k.Router == "" && len(k.Through) == 0 {
		return nil, nil
	}
	if k.Router == "" || len(k.Through) == 0 {
		return nil, fmt.Errorf("link %s leads to router %q and through %d trunks: one without the other", k.Name, k.Router, len(k.Through))
	}
	var w way
	at, seen := k.Router, []string{k.Router}
	for i, name := range k.Through {
		j := slices.IndexFunc(trunks, func(t Trunk) bool { return t.Name == name })
		if j < 0 {
			return nil, fmt.Errorf("link %s leads through %s, which is no trunk", k.Name, name)
		}
		c := crossing{Trunk: trunks[j]}
		c.back = c.Ends[0] != at
		if c.from() != at {
			return nil, fmt.Errorf("link %s leads through %s from router %s, where it does not end", k.Name, name, at)
		}
		at = c.to()
		if last := i == len(k.Through)-1; (at == toServer) != last || slices.Contains(seen, at) {
			return nil, fmt.Errorf("link %s leads through %v: they lead to no server, past it, or in a circle", k.Name, k.Through)
		}
		seen = append(seen, at)
		w = append(w, c)
	}
	return w, nil
}

// timeless reports whether the link and its way let any amount of data through in no
// time, which no simulation can.
func (w way) timeless(k Link) bool {
	delay := k.Up.Delay + k.Down.Delay
	limited := [2]bool{k.Up.Rate > 0, k.Down.Rate > 0}
	for _, c := range w {
		delay += c.Up.Delay + c.Down.Delay
		up, down := c.Up.Rate > 0, c.Down.Rate > 0
		if c.back {
			up, down = down, up
		}
		limited[0], limited[1] = limited[0] || up, limited[1] || down
	}
	return delay == 0 && !(limited[0] && limited[1])
}

// labTrunk is a trunk in a lab.
type labTrunk struct {
	Trunk
	wire   *simnet.Link
	server []netip.Addr // at its end there; none: it has no such end
	down   bool         // without carrier
}

// build makes the network between the two hosts.
func (l *Lab) build(c LabConfig, client, server *simnet.Node) error {
	routers := map[string]*simnet.Node{toServer: server}
	node := func(name string) *simnet.Node {
		if routers[name] == nil {
			routers[name] = l.network.AddRouter(name)
		}
		return routers[name]
	}
	servers := map[string][]netip.Addr{} // addresses of the server, by the trunk that ends there
	ways := make([]way, len(c.Links))
	var errs []error
	for i, k := range c.Links {
		var err error
		ways[i], err = newWay(k, c.Trunks)
		errs = append(errs, err)
		if err == nil {
			errs = append(errs, l.addLink(k, client, node(k.Router), c.Dropped))
		}
		if n := len(ways[i]); n > 0 {
			last := ways[i][n-1].Name
			if !slices.Contains(servers[last], k.Server) {
				servers[last] = append(servers[last], k.Server)
			}
		}
	}
	for _, t := range c.Trunks {
		errs = append(errs, l.addTrunk(t, node(t.Ends[0]), node(t.Ends[1]), servers[t.Name], c.Dropped))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, k := range c.Links {
		errs = append(errs, l.addRoutes(k, ways[i], node))
	}
	return errors.Join(errs...)
}

// addLink makes a link of the client's to the node that it leads to.
func (l *Lab) addLink(k Link, client, far *simnet.Node, dropped func(Drop)) error {
	addresses := [2][]netip.Addr{{k.Client}, nil}
	if k.Router == "" {
		addresses[1] = []netip.Addr{k.Server}
	}
	w, err := l.network.Connect(client, far, simnet.LinkConfig{
		Name: k.Name, MTU: k.MTU,
		Impairments: [2]emulation.Impairments{simnet.Up: k.Up, simnet.Down: k.Down},
		Timelines:   [2]emulation.Timeline{simnet.Up: k.UpTimeline, simnet.Down: k.DownTimeline},
		Dropped:     l.dropped(k.Name, dropped),
		Faults:      k.faults,
		Addresses:   addresses,
	})
	if err != nil {
		return err
	}
	l.links = append(l.links, labLink{Link: k, wire: w})
	return l.planOutages(k.Name, k.Outages, func(down bool) { l.setDown(k.Name, down) })
}

// addTrunk makes a trunk; server are the server's addresses at its end there.
func (l *Lab) addTrunk(t Trunk, a, b *simnet.Node, server []netip.Addr, dropped func(Drop)) error {
	var addresses [2][]netip.Addr
	for end, name := range t.Ends {
		if name == toServer {
			addresses[end] = server
		}
	}
	w, err := l.network.Connect(a, b, simnet.LinkConfig{
		Name: t.Name, MTU: t.MTU,
		Impairments: [2]emulation.Impairments{simnet.Up: t.Up, simnet.Down: t.Down},
		Timelines:   [2]emulation.Timeline{simnet.Up: t.UpTimeline, simnet.Down: t.DownTimeline},
		Dropped:     l.dropped(t.Name, dropped),
		Addresses:   addresses,
	})
	if err != nil {
		return err
	}
	l.trunks = append(l.trunks, &labTrunk{Trunk: t, wire: w, server: server})
	made := l.trunks[len(l.trunks)-1]
	return l.planOutages(t.Name, t.Outages, func(down bool) { l.setTrunkDown(made, down) })
}

// addRoutes has the routers on the link's way send its packets on, both ways.
func (l *Lab) addRoutes(k Link, w way, node func(string) *simnet.Node) error {
	before, err := l.wire(k.Name)
	for _, c := range w {
		if err != nil {
			break
		}
		at := node(c.from())
		err = l.network.Route(at, k.Client, before)
		if err == nil {
			before, err = l.wire(c.Name)
		}
		if err == nil {
			err = l.network.Route(at, k.Server, before)
		}
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", k.Name, err)
	}
	return nil
}
