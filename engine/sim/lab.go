package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// LabConfig is what a Lab is made with.
type LabConfig struct {
	Links  []Link
	Trunks []Trunk
	Seed   uint64
	// Congestion names both hosts' congestion control. Empty: the engine's default.
	Congestion string
	// Paths is how many paths a connection may have at a time, 2 to 16, on both hosts. 0
	// and 1: one, without the multipath extension.
	Paths int
	// Scheduler, NoReinject and AskAcks as in Config.
	Scheduler  string
	NoReinject bool
	AskAcks    bool
	// Streams is how many streams a peer may have open at once. 0: 100.
	Streams int
	// EarlyData has the client remember the server, and send in the first flight of its
	// next connection to it (0-RTT): Host.Dial's Conn then opens streams at once.
	EarlyData bool
	// KeepAlive and QLOG as in Config.
	KeepAlive time.Duration
	QLOG      string
	// Dropped as in Config.
	Dropped func(Drop)
}

// Lab is two hosts, and the links between them, in virtual time.
type Lab struct {
	// Client dials, Server listens.
	Client, Server *Host

	network *simnet.Network
	links   []labLink
	trunks  []*labTrunk
	epoch   clock.Time
}

type labLink struct {
	Link
	wire *simnet.Link
	down bool // without carrier
}

// NewLab returns a lab in which nothing has happened. The two applications hear of
// what does.
func NewLab(c LabConfig, client, server Application) (*Lab, error) {
	l := &Lab{network: simnet.New(c.Seed)}
	l.epoch = l.network.Now()
	a, b := l.network.AddNode("client"), l.network.AddNode("server")
	if err := l.build(c, a, b); err != nil {
		return nil, err
	}
	largest := 0
	for _, k := range c.Links {
		largest = max(largest, k.payload())
	}
	id, err := newIdentity(c.Seed, func() time.Time { return calendar.Add(l.Elapsed()) })
	if err != nil {
		return nil, err
	}
	for _, h := range []struct {
		host **Host
		side wire.Perspective
		node *simnet.Node
		app  Application
	}{{&l.Client, wire.Client, a, client}, {&l.Server, wire.Server, b, server}} {
		if *h.host, err = newHost(l, h.side, c, id, largest, h.app); err != nil {
			return nil, fmt.Errorf("%s: %w", h.side, err)
		}
		(*h.host).node = h.node
		h.node.Attach(*h.host)
	}
	return l, nil
}

// dropped returns what a link tells its drops to, or nil.
func (l *Lab) dropped(link string, tell func(Drop)) func(simnet.Way, emulation.Drop) {
	if tell == nil {
		return nil
	}
	return func(w simnet.Way, d emulation.Drop) {
		tell(Drop{Drop: d, At: clock.Time(d.At).Sub(l.epoch), Link: link, Up: w == simnet.Up})
	}
}

// Elapsed returns the virtual time since the lab's beginning.
func (l *Lab) Elapsed() time.Duration { return l.network.Elapsed() }

// Events returns how many events have happened: packets delivered and timers come.
func (l *Lab) Events() uint64 { return l.network.Events() }

// At plans a call of f for when so much virtual time will have passed since the
// lab's beginning, or for now.
func (l *Lab) At(elapsed time.Duration, f func()) { l.network.At(l.epoch.Add(elapsed), f) }

// contextEvents is how many events pass between two looks at the context.
const contextEvents = 1 << 10

// Run lets things happen until stop returns true, which is asked before each event,
// or until so much virtual time has passed since the lab's beginning; 0: no bound. A
// nil stop never stops. It returns an error when ctx ends, with its cause, or when
// nothing is left to happen and stop is not true.
func (l *Lab) Run(ctx context.Context, until time.Duration, stop func() bool) error {
	end := clock.Never
	if until > 0 {
		end = l.epoch.Add(until)
	}
	asked, canceled := 0, false
	err := l.network.Run(end, func() bool {
		if asked++; asked%contextEvents == 1 && ctx.Err() != nil {
			canceled = true
		}
		return canceled || (stop != nil && stop())
	})
	if canceled {
		return fmt.Errorf("simulate: interrupted: %w", context.Cause(ctx))
	}
	if stall, ok := errors.AsType[*simnet.StallError](err); ok && stall.Stall == simnet.Idle && stop == nil {
		return l.network.Run(end, nil) // all is said and done: only time is left to pass
	}
	return err
}

// Set puts others in the place of a link's or a trunk's impairments from now on, until its
// timelines change them.
func (l *Lab) Set(link string, up, down emulation.Impairments) error {
	w, err := l.wire(link)
	if err != nil {
		return err
	}
	whole := func(i emulation.Impairments) emulation.Patch {
		return emulation.Patch{Fields: emulation.AllFields, Values: i}
	}
	return errors.Join(w.Patch(simnet.Up, whole(up)), w.Patch(simnet.Down, whole(down)))
}

// Counters returns what a link or a trunk has done so far.
func (l *Lab) Counters(link string) (LinkCounters, error) {
	w, err := l.wire(link)
	if err != nil {
		return LinkCounters{}, err
	}
	return countersOf(w), nil
}

// counters returns what all links have done, and behind them all trunks.
func (l *Lab) counters() []LinkCounters {
	var all []LinkCounters
	for i := range l.links {
		all = append(all, countersOf(l.links[i].wire))
	}
	for i := range l.trunks {
		all = append(all, countersOf(l.trunks[i].wire))
	}
	return all
}

func countersOf(w *simnet.Link) LinkCounters {
	return LinkCounters{Link: w.Name(), Up: w.Counters(simnet.Up).Counters, Down: w.Counters(simnet.Down).Counters}
}

// wire returns what a link or a trunk is made of.
func (l *Lab) wire(name string) (*simnet.Link, error) {
	for i := range l.trunks {
		if l.trunks[i].Name == name {
			return l.trunks[i].wire, nil
		}
	}
	k, err := l.link(name)
	if err != nil {
		return nil, err
	}
	return k.wire, nil
}

// LinkCounters is what a link or a trunk has done, in frames.
type LinkCounters struct {
	Link     string
	Up, Down emulation.Counters
}

func (l *Lab) link(name string) (*labLink, error) {
	for i := range l.links {
		if l.links[i].Name == name {
			return &l.links[i], nil
		}
	}
	return nil, fmt.Errorf("the lab has no link %q", name)
}

const (
	defaultMTU    = 1500
	maxUDPPayload = 65527
	udpHeader     = 8
)

// payload returns the largest UDP payload that a packet on the link has room for.
func (k Link) payload() int {
	header := 40 + udpHeader
	if k.Client.Is4() {
		header = 20 + udpHeader
	}
	return min(cmp.Or(k.MTU, defaultMTU)-header, maxUDPPayload)
}

// linkOf returns the name of the link over which packets go between two addresses. A NAT
// may have changed the client's.
func (l *Lab) linkOf(a, b netip.Addr) string {
	for _, k := range l.links {
		if k.Client == a || k.Client == b {
			return k.Name
		}
	}
	for _, k := range l.links {
		if k.Server == a || k.Server == b {
			return k.Name
		}
	}
	return ""
}

// Close ends the connections that are left and writes out what the lab still keeps:
// qlog files. The lab is over then. Applications hear nothing of it.
func (l *Lab) Close() error {
	for _, h := range []*Host{l.Client, l.Server} {
		for _, c := range h.conns {
			c.proto.Close(h.now(), 0, "the lab is over") // ends its TLS, too
		}
	}
	return errors.Join(l.Client.traces.close(), l.Server.traces.close())
}
