package simnet

import (
	"net/netip"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// Handler is what a node runs. It is called by Run alone, and may call Send, At and
// Now, but not Run.
type Handler interface {
	// HandleDatagram takes one UDP payload. It borrows data, which it may change; see
	// Network.Buffer for keeping it.
	HandleDatagram(now clock.Time, local, remote netip.AddrPort, ecn wire.ECN, data []byte)
	// HandleTimeout is called when NextTimeout has come.
	HandleTimeout(now clock.Time)
	// NextTimeout returns when to call HandleTimeout: clock.Never or zero when never.
	// It is asked before each event and must be quick.
	NextTimeout() clock.Time
}

// Node is one end of links: a host with an address on each, or a router, which needs none.
type Node struct {
	name    string
	handler Handler // nil: datagrams are dropped as unrouted
	router  bool
	routes  []route
}

// AddNode returns a new node. The name is for errors.
func (n *Network) AddNode(name string) *Node {
	node := &Node{name: name}
	n.nodes = append(n.nodes, node)
	return node
}

// Name returns the node's name.
func (n *Node) Name() string { return n.name }

// Attach makes h the node's handler, in place of any other.
func (n *Node) Attach(h Handler) { n.handler = h }

// timeout returns the handler's deadline, or clock.Never.
func (n *Node) timeout() clock.Time {
	if n.handler == nil {
		return clock.Never
	}
	return n.handler.NextTimeout().OrNever()
}
