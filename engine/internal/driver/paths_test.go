package driver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/udpio"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// newPathRig is a rig with multipath whose server has two addresses.
func newPathRig(t *testing.T, c proto.Config) (r *rig, second netip.AddrPort) {
	c.Paths = 4
	r = newRig(t, "127.0.0.1:0", c)
	return r, addSocket(t, r.server, "udp4", "127.0.0.2:0")
}

// openPath opens a path from 127.0.0.2 to the server's second address, on a socket of
// its own, and waits until both sides have it.
func (r *rig) openPath(client, server *Conn, remote netip.AddrPort) wire.PathID {
	r.t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.2:0")
	if err != nil {
		r.t.Fatal(err)
	}
	id, err := client.OpenPathOn(pc.(*net.UDPConn), remote)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range []*Conn{client, server} {
		r.awaitPath(c, id, proto.PathActive)
	}
	return id
}

// awaitPath waits until a path is in a state.
func (r *rig) awaitPath(c *Conn, id wire.PathID, want proto.PathState) {
	r.t.Helper()
	for {
		s := c.Stats()
		if p := findPath(s.Paths, id); p != nil && p.State == want {
			return
		}
		select {
		case <-c.PathsChanged():
		case <-time.After(time.Millisecond):
		case <-r.ctx.Done():
			r.t.Fatalf("path %d is not %v: %+v", id, want, s.Paths)
		}
	}
}

// Each train leaves from the socket of its path's address, and comes in at the other
// one's.
func TestTransferOverTwoPaths(t *testing.T) {
	r, second := newPathRig(t, proto.Config{Scheduler: "roundrobin"})
	client, server := r.connect()
	if !client.Multipath() || !server.Multipath() {
		t.Fatal("no multipath")
	}
	c, s := r.stream(client, server)
	id := r.openPath(client, server, second)
	data := testPattern(16 << 20)
	go func() {
		c.Write(data)
		c.CloseWrite()
	}()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes (%v), equal: %t", len(got), err, bytes.Equal(got, data))
	}
	for _, p := range client.Stats().Paths {
		if p.State == proto.PathActive && (p.SentBytes < uint64(len(data)/10) || p.Picks == 0) {
			t.Errorf("path %d sent %d bytes in %d trains, want a tenth of %d: %+v", p.ID, p.SentBytes, p.Picks, len(data), p)
		}
	}
	for name, e := range map[string]*Endpoint{"client": r.client, "server": r.server} {
		sockets := e.Sockets()
		if len(sockets) != 2 {
			t.Fatalf("the %s has %d sockets", name, len(sockets))
		}
		for _, have := range sockets {
			if k := have.Counters; k.SentTrains == 0 || k.ReceivedTrains == 0 {
				t.Errorf("the %s's socket %v: %+v", name, have.Local, k)
			}
		}
	}
	if err := client.ClosePath(id, wire.ApplicationAbandonPath); err != nil {
		t.Fatal(err)
	}
	r.awaitPath(server, id, proto.PathClosing)
	r.stream(client, server) // the other path goes on
	if err := client.ClosePath(0, wire.ApplicationAbandonPath); err == nil {
		t.Error("the only path was closed")
	}
	stats, closed := client.FullStats()
	if len(stats.Paths) != 1 || len(closed) != 1 || closed[0].ID != id || closed[0].SentBytes == 0 {
		t.Errorf("%d open paths, closed are %+v; want one each", len(stats.Paths), closed)
	}
	if e, ok := errors.AsType[*wire.TransportError](closed[0].Err); !ok || e.Code != wire.ApplicationAbandonPath {
		t.Errorf("it was closed for %v", closed[0].Err)
	}
}

// The events of a path come in order, on both sides.
func TestPathEvents(t *testing.T) {
	r, second := newPathRig(t, proto.Config{})
	client, server := r.connect()
	r.stream(client, server)
	id := r.openPath(client, server, second)
	if err := client.ClosePath(id, wire.PathUnstableOrPoor); err != nil {
		t.Fatal(err)
	}
	r.awaitPath(server, id, proto.PathClosing)
	for name, c := range map[string]*Conn{"client": client, "server": server} {
		var kinds []proto.EventKind
		events, missed := c.TakePathEvents()
		for _, ev := range events {
			if ev.Path == id {
				kinds = append(kinds, ev.Kind)
			}
		}
		if want := []proto.EventKind{proto.PathValidated, proto.PathClosed}; missed || !slices.Equal(kinds, want) {
			t.Errorf("the %s: %v, missed %t; want %v", name, kinds, missed, want)
		}
	}
}

// The socket of a path is closed some time after it, and with the connection, but not
// when another path has come to use it.
func TestPathSockets(t *testing.T) {
	r, second := newPathRig(t, proto.Config{})
	client, server := r.connect()
	r.stream(client, server)
	sockets := func() []netip.AddrPort { return r.client.LocalAddrs() }
	lingers := func() bool { // the only socket that a path has to itself
		client.mu.Lock()
		defer client.mu.Unlock()
		return client.paths.own[0].until <= client.now().Add(socketLinger)
	}
	id := r.openPath(client, server, second)
	if n := len(sockets()); n != 2 {
		t.Fatalf("%d sockets, want 2", n)
	}
	local := sockets()[1]
	if err := client.ClosePath(id, wire.PathUnstableOrPoor); err != nil {
		t.Fatal(err)
	}
	if !lingers() {
		t.Error("the closed path's socket has no time to be closed at")
	}
	// Another path takes the socket over.
	again, err := client.OpenPath(local, second)
	if err != nil {
		t.Fatal(err)
	}
	r.awaitPath(client, again, proto.PathActive)
	if lingers() {
		t.Error("the socket of an open path is about to be closed")
	}
	if err := client.ClosePath(again, wire.PathUnstableOrPoor); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(socketLinger + 10*time.Second); len(sockets()) != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the sockets are %v, want the first one", sockets())
		}
	}
	r.openPath(client, server, second)
	client.Close(0, "")
	r.await(client.Gone())
	for end := time.Now().Add(10 * time.Second); len(sockets()) != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after the connection the sockets are %v, want the first one", sockets())
		}
	}
}

// A path that moves to a socket of its own leaves the one that it had before.
func TestRebindPath(t *testing.T) {
	r, second := newPathRig(t, proto.Config{Scheduler: "roundrobin"})
	client, server := r.connect()
	c, s := r.stream(client, server)
	id := r.openPath(client, server, second)
	first := findPath(client.Stats().Paths, 0).Local
	data := testPattern(8 << 20)
	go func() {
		c.Write(data)
		c.CloseWrite()
	}()
	if _, err := io.ReadFull(s, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	before := findPath(client.Stats().Paths, id).Local
	bind := func() *net.UDPConn {
		pc, err := net.ListenPacket("udp4", "127.0.0.3:0")
		if err != nil {
			t.Fatal(err)
		}
		return pc.(*net.UDPConn)
	}
	if err := client.RebindTo(id, bind()); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, data[1<<20:]) {
		t.Fatalf("%d bytes (%v), equal: %t", len(got), err, bytes.Equal(got, data[1<<20:]))
	}
	now := findPath(client.Stats().Paths, id).Local
	if now == before || now.Addr() != netip.MustParseAddr("127.0.0.3") {
		t.Fatalf("the path is at %v, was at %v", now, before)
	}
	for end := time.Now().Add(10 * time.Second); findPath(server.Stats().Paths, id).Remote != now; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the server believes the path at %v, want %v", findPath(server.Stats().Paths, id).Remote, now)
		}
	}
	if at, _ := client.Addresses(); at != first || findPath(client.Stats().Paths, 0).Local != first {
		t.Errorf("the first path has moved from %v to %v", first, at)
	}
	// The socket before has no more use.
	for end := time.Now().Add(socketLinger + 10*time.Second); slices.Contains(r.client.LocalAddrs(), before); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the sockets are %v, want none at %v", r.client.LocalAddrs(), before)
		}
	}
	if !slices.Contains(r.client.LocalAddrs(), now) {
		t.Errorf("the sockets are %v, want one at %v", r.client.LocalAddrs(), now)
	}
	// Not to a path that is none, and not after the end: then the reason says so.
	if err := client.RebindTo(9, bind()); err == nil {
		t.Error("a path moved that is not open")
	}
	client.Close(7, "enough")
	wantApplication(t, client.RebindTo(id, bind()), 7, false)
	if n := len(r.client.LocalAddrs()); n != 2 {
		t.Errorf("%d sockets, want those of the two paths", n)
	}
}

// The newest token of a server is kept under the address that was dialled, whatever path it
// came on and whatever has become of the first one.
func TestTokenIsTheNewest(t *testing.T) {
	r, second := newPathRig(t, proto.Config{})
	var token []byte
	next := func() {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			r.client.mu.Lock()
			got, n := r.client.tokens[r.remote()], len(r.client.tokens)
			r.client.mu.Unlock()
			if n == 1 && len(got) > 0 && !bytes.Equal(got, token) {
				token = got
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d tokens, and no new one of %v", n, r.remote())
			}
		}
	}
	client, server := r.connect()
	r.stream(client, server)
	next()
	id := r.openPath(client, server, second)
	next()
	if err := client.ClosePath(0, wire.ApplicationAbandonPath); err != nil {
		t.Fatal(err)
	}
	r.awaitPath(server, 0, proto.PathClosing)
	pc, err := net.ListenPacket("udp4", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.RebindTo(id, pc.(*net.UDPConn)); err != nil {
		t.Fatal(err)
	}
	next()
}

// Both sides close another path at the same time: the client's new one has the socket of the
// one that the server closed.
func TestBothSidesClosePaths(t *testing.T) {
	r, second := newPathRig(t, proto.Config{})
	client, server := r.connect()
	r.stream(client, server)
	id := r.openPath(client, server, second)
	for _, c := range []*Conn{client, server} {
		c.mu.Lock() // neither hears of the other's
	}
	for c, which := range map[*Conn]wire.PathID{client: 0, server: id} {
		if err := c.core.ClosePath(c.now(), which, wire.ApplicationAbandonPath); err != nil {
			t.Error(err)
		}
		c.changedPaths()
	}
	client.mu.Unlock()
	server.mu.Unlock()
	const next = 2
	r.awaitPath(client, next, proto.PathActive)
	r.awaitPath(server, next, proto.PathActive)
	r.stream(client, server)
	client.mu.Lock()
	own := client.paths.own[0]
	client.mu.Unlock()
	if p := findPath(client.Stats().Paths, next); p.Local != own.local || own.path != next || own.until != clock.Never {
		t.Errorf("the path is %+v, its socket %+v", p, own)
	}
	events, _ := client.TakePathEvents()
	if !slices.ContainsFunc(events, func(ev proto.Event) bool { return ev.Kind == proto.PathOpened && ev.Path == next }) {
		t.Errorf("the events are %+v", events)
	}
}

func TestPathsThatCannotBe(t *testing.T) {
	r, second := newPathRig(t, proto.Config{})
	client, server := r.connect()
	r.stream(client, server)
	if _, err := server.OpenPath(r.server.LocalAddr(), r.client.LocalAddr()); err == nil {
		t.Error("a server opened a path")
	}
	if err := client.ClosePath(3, wire.ApplicationAbandonPath); err == nil {
		t.Error("a path was closed that is not open")
	}
	if err := client.SetWeight(0, -1); err == nil {
		t.Error("a path has a negative weight")
	}
	if err := client.SetBackup(9, true); err == nil {
		t.Error("a path is a backup that is not open")
	}
	client.Close(7, "enough")
	pc, err := net.ListenPacket("udp4", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.OpenPathOn(pc.(*net.UDPConn), second)
	wantApplication(t, err, 7, false)
	if n := len(r.client.LocalAddrs()); n != 1 {
		t.Errorf("%d sockets, want the first one", n)
	}
}

func TestNoMultipath(t *testing.T) {
	r := newRig(t, "127.0.0.1:0", proto.Config{})
	client, server := r.connect()
	r.stream(client, server)
	if client.Multipath() {
		t.Error("it has multipath")
	}
	if _, err := client.OpenPath(r.client.LocalAddr(), r.remote()); !errors.Is(err, proto.ErrNoMultipath) {
		t.Errorf("got %v, want %v", err, proto.ErrNoMultipath)
	}
}

// What to ask of a socket when trains alternate between two paths.
func BenchmarkSocketCache(b *testing.B) {
	e := testEndpoint(b, "127.0.0.1:0", Config{})
	at := [2]netip.AddrPort{e.LocalAddr(), addSocket(b, e, "udp4", "127.0.0.2:0")}
	var k socketCache
	var s *udpio.Socket
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s = k.find(e, at[i&1])
	}
	if s == nil {
		b.Fatal("none")
	}
}
