package simnet

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/tquiclab/tquiclab/emulation"
)

// Way is one of a link's two directions.
type Way uint8

// The ways: from the first node of a link to the second, and back.
const (
	Up Way = iota
	Down
)

// String returns the way as topologies and results name it.
func (w Way) String() string {
	if w == Up {
		return "up"
	}
	return "down"
}

// LinkConfig is what a link is made with.
type LinkConfig struct {
	// Name is unique in the network: with the seed it gives the link's randomness.
	Name string
	// MTU of the interfaces, bytes of IP packet; 0: 1500.
	MTU int
	// Impairments and Faults, by Way.
	Impairments [2]emulation.Impairments
	Faults      [2]Faults
	// Timelines, by Way, are played from the first packet on any link of the network
	// on, as traces and steps are.
	Timelines [2]emulation.Timeline
	// Dropped, which may be nil, is told each packet that the model drops. It must not
	// call the network.
	Dropped func(Way, emulation.Drop)
	// Addresses of the interface at the first and at the second node, each unique in
	// the network. Routers need none.
	Addresses [2][]netip.Addr
}

// Link joins two nodes.
type Link struct {
	name       string
	network    *Network
	ends       [2]*Node
	directions [2]*direction // by Way
}

// direction is one way of a link.
type direction struct {
	model    *emulation.Direction
	player   *emulation.Player
	flying   hold // those that the model holds
	mtu      int
	down     bool // nothing gets in or out
	receiver *Node
	accepts  []netip.Addr // the receiver's addresses on this link
	reverse  *direction
	faults   *faults // nil: none
	counters Counters
}

// iface is an address and where packets from it go.
type iface struct {
	addr netip.Addr
	out  *direction
}

// Counters is what one way of a link has counted: the model, and beside it what the
// model never saw or did not do.
type Counters struct {
	emulation.Counters
	// Dropped beside the model: larger than the interface's or a fault's MTU; sent in a
	// blackout, or while the link was down. Bytes are frames.
	TooLarge, BlackedOut uint64
	// After the model: what Faults did. What the model did is in Counters.
	Duplicated, Corrupted, Reordered uint64
	// Spoiled packets were corrupted by the model: the receiver's UDP checksum, which
	// finds any single wrong bit, throws them away.
	Spoiled uint64
	// Delivered to the receiver's handler, duplicates with them.
	DeliveredPackets, DeliveredBytes uint64
	// Departed to a router that has sent them on, whatever became of them there.
	Forwarded uint64
	// Departed, but for an address that nobody has, or no longer has (a NAT's), or that a
	// router has no route to.
	Unrouted uint64
	// Refused are the changes of the timeline that a patch had made impossible.
	Refused uint64
}

// Connect links a to b. It returns every reason why c is no link.
func (n *Network) Connect(a, b *Node, c LinkConfig) (*Link, error) {
	if c.MTU == 0 {
		c.MTU = 1500
	}
	l := &Link{name: c.Name, network: n, ends: [2]*Node{a, b}}
	errs := []error{n.checkLink(a, b, c)}
	for _, way := range []Way{Up, Down} {
		d, err := n.newDirection(c, way)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", way, err))
		}
		l.directions[way] = d
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("link %s: %w", c.Name, err)
	}
	up, down := l.directions[Up], l.directions[Down]
	up.receiver, up.accepts, up.reverse = b, c.Addresses[1], down
	down.receiver, down.accepts, down.reverse = a, c.Addresses[0], up
	for i, out := range []*direction{up, down} {
		for _, addr := range c.Addresses[i] {
			n.interfaces = append(n.interfaces, iface{addr, out})
		}
	}
	n.directions = append(n.directions, up, down)
	n.links = append(n.links, l)
	return l, nil
}

func (n *Network) checkLink(a, b *Node, c LinkConfig) error {
	var errs []error
	if a == b {
		errs = append(errs, errors.New("it joins a node to itself"))
	}
	for _, l := range n.links {
		if l.name == c.Name {
			errs = append(errs, errors.New("the network has a link of that name"))
		}
	}
	if c.MTU < headers(netip.IPv4Unspecified()) || c.MTU > largeBuffer {
		errs = append(errs, fmt.Errorf("mtu %d: expected %d to %d", c.MTU, headers(netip.IPv4Unspecified()), largeBuffer))
	}
	seen := map[netip.Addr]bool{}
	for _, i := range n.interfaces {
		seen[i.addr] = true
	}
	for end, addrs := range c.Addresses {
		if len(addrs) == 0 && ![]*Node{a, b}[end].router {
			errs = append(errs, fmt.Errorf("end %d has no address", end))
		}
		for _, addr := range addrs {
			switch {
			case !addr.IsValid() || addr.Is4In6():
				errs = append(errs, fmt.Errorf("%v is no IPv4 or IPv6 address", addr))
			case seen[addr]:
				errs = append(errs, fmt.Errorf("address %v is taken", addr))
			}
			seen[addr] = true
		}
	}
	return errors.Join(errs...)
}

func (n *Network) newDirection(c LinkConfig, way Way) (*direction, error) {
	if err := c.Timelines[way].Validate(c.Impairments[way]); err != nil {
		return nil, err
	}
	model, err := emulation.NewDirection(c.Impairments[way], emulation.NewSeed(n.seed, c.Name, way.String()))
	if err != nil {
		return nil, err
	}
	if c.Dropped != nil {
		model.ObserveDrops(func(d emulation.Drop) { c.Dropped(way, d) })
	}
	f, err := newFaults(c.Faults[way], emulation.NewSeed(n.seed, c.Name, way.String()+" faults"))
	if err != nil {
		return nil, err
	}
	player := emulation.NewPlayer(c.Impairments[way], c.Timelines[way])
	return &direction{model: model, player: player, mtu: c.MTU, faults: f}, nil
}

// Name returns the link's name.
func (l *Link) Name() string { return l.name }

// Counters returns what one way has counted since the link was made.
func (l *Link) Counters(w Way) Counters {
	d := l.directions[w]
	c := d.counters
	c.Counters = d.model.Counters()
	return c
}

// Patch changes one way's impairments from now on, as emulation.Direction.Set does,
// until the timeline sets the same fields.
func (l *Link) Patch(w Way, p emulation.Patch) error {
	d := l.directions[w]
	if err := d.player.Impairments().With(p).Validate(); err != nil {
		return fmt.Errorf("link %s, %s: %w", l.name, w, err)
	}
	if err := d.model.Set(emulation.Time(l.network.now), d.player.Patch(p)); err != nil {
		return fmt.Errorf("link %s, %s: %w", l.name, w, err)
	}
	l.network.reclaim(d)
	return nil
}

// Impairments returns what is in force on one way.
func (l *Link) Impairments(w Way) emulation.Impairments { return l.directions[w].player.Impairments() }

// SetDown takes the carrier from both ends of the link, or gives it back. What is
// under way in a link that is down is lost when it would have arrived.
func (l *Link) SetDown(down bool) {
	for _, d := range l.directions {
		d.down = down
	}
}

// MTU returns the interfaces' MTU, bytes of IP packet.
func (l *Link) MTU() int { return l.directions[Up].mtu }
