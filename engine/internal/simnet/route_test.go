package simnet

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// yard is two hosts of the first node with a link each to a router, and a shared link
// from there to host b:
//
//	a1 --left--\
//	            r --shared-- b
//	a2 --right-/
type yard struct {
	t *testing.T
	*Network
	a, b                *host
	r                   *Node
	left, right, shared *Link
}

var (
	addrA1 = netip.MustParseAddrPort("10.0.1.1:1000")
	addrA2 = netip.MustParseAddrPort("10.0.2.1:1000")
)

func newYard(t *testing.T, left, right, shared LinkConfig) *yard {
	t.Helper()
	n := New(1)
	y := &yard{t: t, Network: n, a: &host{network: n}, b: &host{network: n}}
	a, b := n.AddNode("a"), n.AddNode("b")
	y.r = n.AddRouter("r")
	a.Attach(y.a)
	b.Attach(y.b)
	for _, l := range []struct {
		link       **Link
		name       string
		config     LinkConfig
		from, to   *Node
		here, away []netip.Addr
	}{
		{&y.left, "left", left, a, y.r, []netip.Addr{addrA1.Addr()}, nil},
		{&y.right, "right", right, a, y.r, []netip.Addr{addrA2.Addr()}, nil},
		{&y.shared, "shared", shared, y.r, b, nil, []netip.Addr{addrB.Addr()}},
	} {
		l.config.Name, l.config.Addresses = l.name, [2][]netip.Addr{l.here, l.away}
		var err error
		if *l.link, err = n.Connect(l.from, l.to, l.config); err != nil {
			t.Fatal(err)
		}
	}
	for to, over := range map[netip.AddrPort]*Link{addrA1: y.left, addrA2: y.right, addrB: y.shared} {
		if err := n.Route(y.r, to.Addr(), over); err != nil {
			t.Fatal(err)
		}
	}
	return y
}

func (y *yard) run() {
	y.t.Helper()
	if err := y.Run(clock.Never, nil); err != nil {
		y.t.Fatal(err)
	}
	if buffers, _ := y.Kept(); buffers != 0 || y.UnderWay() != 0 {
		y.t.Errorf("%d buffers and %d packets are lost", buffers, y.UnderWay())
	}
}

// both is a link with the same impairments both ways.
func both(i emulation.Impairments) LinkConfig {
	return LinkConfig{Impairments: [2]emulation.Impairments{i, i}}
}

// A packet is there after the sum of its links' times, in both directions, to the
// nanosecond: a frame of 1000 bytes takes 0.8 ms at 10 Mbit/s and 0.4 ms at 20.
func TestLinksInSeries(t *testing.T) {
	y := newYard(t, both(emulation.Impairments{Rate: 10e6, Delay: 5 * ms}), both(emulation.Impairments{Delay: ms}), both(emulation.Impairments{Rate: 20e6, Delay: 7 * ms}))
	y.b.reply = true
	y.Send(y.Now(), addrA1, addrB, wire.ECT0, numbered(1, 1000-42))
	y.run()
	there := 800*time.Microsecond + 5*ms + 400*time.Microsecond + 7*ms
	if got := y.b.got; len(got) != 1 || got[0].at != epoch.Add(there) || got[0].local != addrB || got[0].remote != addrA1 || got[0].ecn != wire.ECT0 {
		t.Fatalf("arrived %+v, want one after %v", got, there)
	}
	if got := y.a.got; len(got) != 1 || got[0].at != epoch.Add(2*there) || got[0].local != addrA1 {
		t.Errorf("the answer arrived %+v, want one after %v", got, 2*there)
	}
	if c := y.left.Counters(Up); c.Forwarded != 1 || c.DeliveredPackets != 0 {
		t.Errorf("the first link counts %d forwarded and %d delivered, want 1 and 0", c.Forwarded, c.DeliveredPackets)
	}
	if c := y.shared.Counters(Up); c.ArrivedBytes != 1000 || c.DeliveredPackets != 1 {
		t.Errorf("the second link counts %d bytes and %d delivered, want 1000 and 1", c.ArrivedBytes, c.DeliveredPackets)
	}
	if c := y.right.Counters(Down); c.ArrivedPackets != 0 {
		t.Errorf("%d answers went the other way", c.ArrivedPackets)
	}
}

// What two links bring to a shared one waits in one queue, in the order in which it comes
// to the router: the deliveries are those of one model that is given all of it.
func TestSharedLinkIsOneQueue(t *testing.T) {
	shared := emulation.Impairments{Rate: 7e6, Delay: 3 * ms, Jitter: ms, Loss: 0.05, Queue: emulation.Queue{Packets: 12}}
	y := newYard(t, both(emulation.Impairments{Delay: 5 * ms}), both(emulation.Impairments{Delay: 2 * ms}), both(shared))
	const n, size = 300, 958
	send := func(i int, from netip.AddrPort, gap time.Duration) {
		y.At(epoch.Add(time.Duration(i)*gap), func() { y.Send(y.Now(), from, addrB, wire.NotECT, numbered(2*i, size)) })
	}
	type sent struct {
		at    emulation.Time // at the router
		right bool
	}
	var all []sent
	for i := range n {
		send(i, addrA1, 1900*time.Microsecond)
		send(i, addrA2, 2100*time.Microsecond)
		all = append(all,
			sent{emulation.Time(epoch).Add(time.Duration(i)*1900*time.Microsecond + 5*ms), false},
			sent{emulation.Time(epoch).Add(time.Duration(i)*2100*time.Microsecond + 2*ms), true})
	}
	y.run()

	model, err := emulation.NewDirection(shared, emulation.NewSeed(1, "shared", "up"))
	if err != nil {
		t.Fatal(err)
	}
	model.Start(emulation.Time(epoch))
	var want, got []string
	take := func(until emulation.Time) {
		for {
			at, ok := model.NextDeparture()
			if !ok || at > until {
				return
			}
			if p, _, ok := model.Dequeue(at); ok {
				want = append(want, fmt.Sprint(at, string(p.Data)))
			}
			for _, ok := model.Discarded(); ok; _, ok = model.Discarded() {
			}
		}
	}
	for len(all) > 0 {
		first := 0
		for i, s := range all {
			// At one instant they come in the order in which they were sent: the left one has
			// been under way for longer.
			if s.at < all[first].at || (s.at == all[first].at && all[first].right && !s.right) {
				first = i
			}
		}
		s := all[first]
		all = append(all[:first], all[first+1:]...)
		take(s.at)
		from := addrA1
		if s.right {
			from = addrA2
		}
		model.Enqueue(s.at, emulation.Packet{Size: size + 42, IPSize: size + 28, Data: []byte(from.String())})
	}
	take(1 << 62)
	for _, a := range y.b.got {
		got = append(got, fmt.Sprint(emulation.Time(a.at), a.remote.String()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deliveries (-one model +network):\n%s", diff)
	}
	if diff := cmp.Diff(model.Counters(), y.shared.Counters(Up).Counters); diff != "" {
		t.Errorf("counters (-one model +network):\n%s", diff)
	}
	c := y.shared.Counters(Up)
	if c.Dropped[emulation.DropQueue] == 0 || c.Dropped[emulation.DropLoss] == 0 || c.ArrivedPackets != 2*n {
		t.Errorf("drops %v of %d: want some of the queue and some at random, of all", c.Dropped, c.ArrivedPackets)
	}
}

// A router's next link has an MTU, marks and a carrier of its own.
func TestRouterSendsOnWhatTheNextLinkTakes(t *testing.T) {
	narrow := both(emulation.Impairments{Delay: ms, Rate: 1e6, Queue: emulation.Queue{Mark: emulation.Limit{Packets: 1}}})
	narrow.MTU = 1000
	y := newYard(t, both(emulation.Impairments{Delay: ms}), both(emulation.Impairments{Delay: ms}), narrow)
	y.Send(y.Now(), addrA1, addrB, wire.ECT0, make([]byte, 1000-28+1))
	for i := range 3 {
		y.Send(y.Now(), addrA1, addrB, wire.ECT0, numbered(i, 1000-28))
	}
	y.run()
	if c := y.shared.Counters(Up); c.TooLarge != 1 || len(y.b.got) != 3 {
		t.Errorf("%d too large, %d arrived; want 1 and 3", c.TooLarge, len(y.b.got))
	}
	if last := y.b.got[2]; last.ecn != wire.CE {
		t.Errorf("the last one has the mark %v, want that of the queue that it waited in", last.ecn)
	}
	y.shared.SetDown(true)
	y.Send(y.Now(), addrA2, addrB, wire.NotECT, numbered(9, 100))
	y.run()
	if c := y.shared.Counters(Up); c.BlackedOut != 1 || len(y.b.got) != 3 {
		t.Errorf("%d blacked out, %d arrived; want 1 and none", c.BlackedOut, len(y.b.got)-3)
	}
	// An address that no route leads to.
	y.Send(y.Now(), addrA1, netip.MustParseAddrPort("192.0.2.1:1"), wire.NotECT, numbered(9, 100))
	y.run()
	if c := y.left.Counters(Up); c.Unrouted != 1 {
		t.Errorf("%d unrouted, want 1", c.Unrouted)
	}
}

func TestRouteErrors(t *testing.T) {
	y := newYard(t, both(emulation.Impairments{Delay: ms}), both(emulation.Impairments{Delay: ms}), both(emulation.Impairments{Delay: ms}))
	if err := y.Route(y.r, addrB.Addr(), y.shared); err != nil {
		t.Errorf("the route that it has: %v", err)
	}
	lonely := y.AddRouter("lonely")
	for want, err := range map[string]error{
		"has another one":           y.Route(y.r, addrB.Addr(), y.left),
		"is no router":              y.Route(y.left.ends[0], addrB.Addr(), y.left),
		"is at no end of link left": y.Route(lonely, addrB.Addr(), y.left),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
	if _, err := y.Connect(y.AddNode("c"), y.r, LinkConfig{Name: "c"}); err == nil || !strings.Contains(err.Error(), "end 0 has no address") {
		t.Errorf("a host without an address: %v", err)
	}
}

// Once warm, a packet through a router allocates nothing.
func TestForwardingAllocatesNothing(t *testing.T) {
	y := newYard(t, both(emulation.Impairments{Delay: ms}), both(emulation.Impairments{Delay: ms}), both(emulation.Impairments{Delay: ms}))
	counting := &counter{}
	y.shared.ends[1].Attach(counting)
	data := make([]byte, 1000)
	carry := func() {
		for range 50 {
			y.Send(y.Now(), addrA1, addrB, wire.NotECT, data)
		}
		if err := y.Run(clock.Never, nil); err != nil {
			t.Fatal(err)
		}
	}
	carry()
	if n := testing.AllocsPerRun(20, carry); n > 0 {
		t.Errorf("%v allocations for 50 packets, want none", n)
	}
	if counting.n == 0 {
		t.Error("nothing arrived")
	}
}

// counter counts what it gets.
type counter struct{ n int }

func (c *counter) HandleDatagram(clock.Time, netip.AddrPort, netip.AddrPort, wire.ECN, []byte) { c.n++ }
func (*counter) HandleTimeout(clock.Time)                                                      {}
func (*counter) NextTimeout() clock.Time                                                       { return clock.Never }
