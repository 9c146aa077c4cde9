package simnet

import (
	"fmt"
	"net/netip"
)

// route says over which way of a link a router sends what is for an address.
type route struct {
	to  netip.Addr
	out *direction
}

// AddRouter returns a new node that sends packets on as Route says, in no time. What its
// links hold waits in their models alone.
func (n *Network) AddRouter(name string) *Node {
	node := n.AddNode(name)
	node.router = true
	return node
}

// Route has a router send what is for an address over one of its links. An address has
// one route: another one is an error. Routes must not lead in a circle: what is sent
// into one goes round for ever.
func (n *Network) Route(at *Node, to netip.Addr, over *Link) error {
	if !at.router {
		return fmt.Errorf("route to %v: node %s is no router", to, at.name)
	}
	var out *direction
	switch at {
	case over.ends[0]:
		out = over.directions[Up]
	case over.ends[1]:
		out = over.directions[Down]
	default:
		return fmt.Errorf("route to %v: router %s is at no end of link %s", to, at.name, over.name)
	}
	switch have := at.next(to); have {
	case out:
		return nil
	case nil:
		at.routes = append(at.routes, route{to, out})
		return nil
	default:
		return fmt.Errorf("route to %v: router %s has another one than over link %s", to, at.name, over.name)
	}
}

// next returns the way that a router sends what is for an address; nil: it has none.
func (n *Node) next(to netip.Addr) *direction {
	for i := range n.routes {
		if n.routes[i].to == to {
			return n.routes[i].out
		}
	}
	return nil
}

// forward has the router at the end of a way send a packet on over the next one, at the
// instant at which it has come.
func (n *Network) forward(d, next *direction, p *packet) {
	d.counters.Forwarded++
	if !n.admits(next, p.from, p.data) {
		p.buffer.Release()
		return
	}
	n.enter(next, *p)
}
