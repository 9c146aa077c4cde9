package driver

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// addSocket gives the endpoint another socket.
func addSocket(t testing.TB, e *Endpoint, network, address string) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	at, err := e.AddSocket(pc.(*net.UDPConn))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Each local address has its socket, found again without asking the endpoint, and
// found anew when sockets come and go.
func TestSocketCache(t *testing.T) {
	e := testEndpoint(t, "127.0.0.1:0", Config{})
	one, two := e.LocalAddr(), addSocket(t, e, "udp4", "127.0.0.2:0")
	wildcard := addSocket(t, e, "udp4", "0.0.0.0:0")
	var k socketCache
	if got := k.maxSegments(); got != 1 {
		t.Errorf("without a socket: %d segments, want 1", got)
	}
	onWildcard := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), wildcard.Port())
	for range 3 {
		for from, want := range map[netip.AddrPort]netip.AddrPort{one: one, two: two, wildcard: wildcard, onWildcard: wildcard} {
			if s := k.find(e, from); s == nil || s.LocalAddr() != want {
				t.Errorf("from %v: got %v, want %v", from, s, want)
			}
		}
	}
	if got := k.maxSegments(); got <= 1 {
		t.Errorf("%d segments", got)
	}
	if n := testing.AllocsPerRun(100, func() { k.find(e, one); k.find(e, two) }); n != 0 {
		t.Errorf("%v allocations for a known address", n)
	}
	for _, nobody := range []netip.AddrPort{
		netip.AddrPortFrom(one.Addr(), 1),
		netip.AddrPortFrom(netip.IPv6Loopback(), wildcard.Port()), // IPv4's wildcard has none of IPv6's addresses
	} {
		if s := k.find(e, nobody); s != nil {
			t.Errorf("from %v: got %v, want none", nobody, s.LocalAddr())
		}
	}
	if err := e.RemoveSocket(two); err != nil {
		t.Fatal(err)
	}
	if s := k.find(e, two); s != nil {
		t.Errorf("the removed socket at %v is still found", two)
	}
	if s := k.find(e, one); s == nil || s.LocalAddr() != one {
		t.Errorf("the one that stays: got %v", s)
	}
	again := addSocket(t, e, "udp4", two.String())
	if s := k.find(e, two); s == nil || s.LocalAddr() != again {
		t.Errorf("the one that is back: got %v", s)
	}
	for i := range 3 * maxCached {
		k.find(e, netip.AddrPortFrom(one.Addr(), uint16(1+i)))
	}
	if len(k.found) > maxCached {
		t.Errorf("the cache has %d sockets, want %d at most", len(k.found), maxCached)
	}
}

// A socket bound to an address comes before one that is bound to all.
func TestExactSocketFirst(t *testing.T) {
	lc := net.ListenConfig{Control: reuseAddress}
	pc, err := lc.ListenPacket(t.Context(), "udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(pc.(*net.UDPConn), Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	exact := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), e.LocalAddr().Port())
	if pc, err = lc.ListenPacket(t.Context(), "udp4", exact.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddSocket(pc.(*net.UDPConn)); err != nil {
		t.Fatal(err)
	}
	if s := e.socketFor(exact); s == nil || s.LocalAddr() != exact {
		t.Errorf("got %v, want the socket at %v", s, exact)
	}
}

// Sockets of an endpoint that come and go do not disturb the connections on the others.
func TestSocketsComeAndGo(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	c, s := r.stream(client, server)
	const size = 8 << 20
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		done <- err
	}()
	stop := make(chan struct{})
	flapped := make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				flapped <- n
				return
			default:
			}
			at := addSocket(t, r.client, "udp4", "127.0.0.2:0")
			if err := r.client.RemoveSocket(at); err != nil {
				t.Error(err)
			}
		}
	}()
	_, err := io.ReadFull(s, make([]byte, size))
	close(stop)
	if n := <-flapped; n == 0 {
		t.Error("no socket came and went")
	}
	if err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A connection from another of the endpoint's addresses uses that one.
func TestDialFrom(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	at := addSocket(t, r.client, "udp4", "127.0.0.2:0")
	client, err := r.client.DialFrom(r.config, at, r.remote())
	if err != nil {
		t.Fatal(err)
	}
	server, err := r.server.Accept(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, remote := server.Addresses(); remote != at {
		t.Errorf("the server sees %v, want %v", remote, at)
	}
	r.stream(client, server)
}

// The events of paths that nobody takes are bounded, and that some are gone is said.
func TestPathEventsAreBounded(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, _ := r.connect()
	client.mu.Lock()
	for i := range maxPathEvents + 3 {
		client.notePath(proto.Event{Kind: proto.PathFailed, Path: wire.PathID(i)})
	}
	client.mu.Unlock()
	r.await(client.PathsChanged())
	events, missed := client.TakePathEvents()
	if len(events) != maxPathEvents || !missed || events[0].Path != 3 {
		t.Errorf("%d events from path %d on, missed %t; want %d from 3 on, true", len(events), events[0].Path, missed, maxPathEvents)
	}
	if events, missed := client.TakePathEvents(); len(events) != 0 || missed {
		t.Errorf("a second time: %d events, missed %t", len(events), missed)
	}
}

// Counters of closed paths stay, however many there were.
func TestClosedPathsAreBounded(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, _ := r.connect()
	client.mu.Lock()
	for i := range 3 * maxClosedPaths {
		local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 2)}), uint16(i))
		client.notePath(proto.Event{Kind: proto.PathClosed, Path: wire.PathID(100 + i), Local: local})
		client.paths.closed[len(client.paths.closed)-1].SentPackets = 1
	}
	client.mu.Unlock()
	_, closed := client.FullStats()
	var sent [2]uint64
	for _, p := range closed {
		sent[p.Local.Addr().As4()[3]] += p.SentPackets
	}
	if want := [2]uint64{3 * maxClosedPaths / 2, 3 * maxClosedPaths / 2}; len(closed) > maxClosedPaths || sent != want {
		t.Errorf("%d closed paths with %v packets, want at most %d with %v", len(closed), sent, maxClosedPaths, want)
	}
}
