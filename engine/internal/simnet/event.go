package simnet

import "github.com/tquiclab/tquiclab/engine/internal/clock"

// kind is what an event is, in the order in which those of one instant happen.
type kind uint8

const (
	departure kind = iota // a packet leaves the model
	lateness              // a packet that a fault held back is delivered
	call                  // planned by At
	timeout               // of a node's handler
	none
)

// event is something that happens. Those of one time happen by kind, a departure
// and a late packet by their sequence numbers.
type event struct {
	kind  kind
	at    clock.Time
	seq   uint64
	index int // of the direction or the node
}

// next returns the event that comes first, or one of kind none. The sources are few:
// scanning them is quicker than keeping a heap of them right.
func (n *Network) next() event {
	e := event{kind: none, at: clock.Never}
	for i, d := range n.directions {
		if d.flying.n == 0 {
			continue
		}
		at, _ := d.model.NextDeparture()
		t := clock.Time(at)
		if t > e.at {
			continue
		}
		if seq := d.nextSeq(at); t < e.at || seq < e.seq {
			e = event{departure, t, seq, i}
		}
	}
	if len(n.late.items) > 0 {
		if l := &n.late.items[0]; l.at < e.at || (l.at == e.at && l.seq < e.seq) {
			e = event{kind: lateness, at: l.at, seq: l.seq}
		}
	}
	if len(n.planned.items) > 0 && n.planned.items[0].at < e.at {
		e = event{kind: call, at: n.planned.items[0].at}
	}
	for i, node := range n.nodes {
		if at := max(node.timeout(), n.now); at < e.at {
			e = event{kind: timeout, at: at, index: i}
		}
	}
	return e
}

func (n *Network) happen(e event) {
	switch e.kind {
	case departure:
		n.depart(n.directions[e.index])
	case lateness:
		p := n.late.pop()
		n.deliver(p.direction, &p.packet)
	case call:
		n.planned.pop()()
	case timeout:
		n.nodes[e.index].handler.HandleTimeout(n.now)
	}
}
