package simnet

import (
	"math"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/buf"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
)

// epoch is when virtual time begins: above zero, which stands for no time.
const epoch = clock.Time(time.Second)

const (
	// smallBuffer takes what fits an Ethernet frame, largeBuffer any datagram.
	smallBuffer, largeBuffer = 2 << 10, 64 << 10
	smallKept, largeKept     = 1 << 14, 1 << 8

	// instantLimit is how many events may happen at one instant: more than the packets
	// of the largest window that leaves at once over a link without a rate.
	instantLimit = 1 << 18
)

// Network is nodes and links in virtual time. It is not safe for concurrent use.
type Network struct {
	seed  uint64
	now   clock.Time
	seq   uint64 // of the last packet sent or call planned
	nodes []*Node
	links []*Link

	directions []*direction
	interfaces []iface
	small      *buf.Pool
	large      *buf.Pool
	buffer     *buf.Buffer // of the datagram that a handler has now

	late    heap[delayed]
	planned heap[func()]

	started bool // the clock of traces, steps and timelines runs
	onStart []func()

	events    uint64
	budget    uint64
	atInstant uint64 // events since time moved
	running   bool
}

// New returns an empty network. All its randomness follows from the seed; links
// draw theirs as those of a lab with that topology seed do.
func New(seed uint64) *Network {
	return &Network{
		seed: seed, now: epoch, budget: math.MaxUint64,
		small: buf.NewPool(smallBuffer, smallKept), large: buf.NewPool(largeBuffer, largeKept),
	}
}

// Now returns the virtual time. It begins above zero.
func (n *Network) Now() clock.Time { return n.now }

// Elapsed returns the virtual time since the network's beginning.
func (n *Network) Elapsed() time.Duration { return n.now.Sub(epoch) }

// Events returns how many events have happened.
func (n *Network) Events() uint64 { return n.events }

// UnderWay returns how many packets are on the links.
func (n *Network) UnderWay() int {
	held := len(n.late.items)
	for _, d := range n.directions {
		held += d.flying.n
	}
	return held
}

// Kept returns how many buffers handlers have kept of the datagrams that they were
// handed, and how large those are in all, bytes.
func (n *Network) Kept() (buffers, size int) {
	small, large := n.small.InUse(), n.large.InUse()
	count := func(p *packet) {
		if len(p.buffer.Data) == smallBuffer {
			small--
		} else {
			large--
		}
	}
	for _, d := range n.directions {
		d.flying.all(count)
	}
	for i := range n.late.items {
		count(&n.late.items[i].v.packet)
	}
	return small + large, small*smallBuffer + large*largeBuffer
}

// SetBudget makes Run give up, with a StallError, after so many events in all.
func (n *Network) SetBudget(events uint64) { n.budget = events }

// At plans a call of f at a time, or at once when that is past. f may plan again.
func (n *Network) At(at clock.Time, f func()) {
	n.seq++
	n.planned.push(max(at, n.now), n.seq, f)
}

// Run lets events happen, in order, until stop returns true, which is asked before
// each, or until the next one is later than until. It returns a *StallError when
// stop can never become true, since nothing is left to happen, or when going on
// would come to nothing. A nil stop never stops.
func (n *Network) Run(until clock.Time, stop func() bool) error {
	if n.running {
		panic("simnet: Run called from within Run")
	}
	n.running = true
	defer func() { n.running = false }()
	for stop == nil || !stop() {
		e := n.next()
		if e.kind == none && stop != nil {
			return n.stalled(Idle)
		}
		if e.kind == none || e.at > until {
			if until != clock.Never {
				n.now = max(n.now, until)
			}
			return nil
		}
		if e.at > n.now {
			n.now, n.atInstant = e.at, 0
		}
		if n.atInstant++; n.atInstant > instantLimit {
			return n.stalled(Spinning)
		}
		if n.events >= n.budget {
			return n.stalled(Spent)
		}
		n.events++
		n.happen(e)
	}
	return nil
}
