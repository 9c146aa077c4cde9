package tquic_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/engine/enginetest"
	"github.com/tquiclab/tquiclab/engine/tquic"
)

// multihomed returns both ends of a connection to a server with two addresses, the
// second of which nothing uses yet.
func multihomed(t *testing.T, client, server *tquic.Config) (c, s *tquic.Conn, second netip.AddrPort) {
	t.Helper()
	enginetest.CheckLeaks(t)
	serverTLS, clientTLS := settings()
	end, err := tquic.ListenEndpoint(netip.MustParseAddrPort("127.0.0.1:0"), server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close() })
	if second, err = end.AddAddress(netip.MustParseAddrPort("127.0.0.2:0")); err != nil {
		t.Fatal(err)
	}
	if got := end.LocalAddrs(); len(got) != 2 || got[1] != second {
		t.Errorf("the endpoint is at %v", got)
	}
	l, err := end.Listen(serverTLS, server)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = tquic.Dial(testContext(t), end.LocalAddr().String(), clientTLS, client); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if s, err = l.Accept(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return c, s, second
}

// awaitPaths waits until the connection has as many active paths.
func awaitPaths(t *testing.T, c *tquic.Conn, n int) []tquic.PathInfo {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		paths := c.Paths()
		active := slices.DeleteFunc(slices.Clone(paths), func(p tquic.PathInfo) bool { return p.State != tquic.PathActive })
		if len(active) == n && len(paths) == n {
			return active
		}
		if time.Now().After(end) {
			t.Fatalf("the paths are %+v, want %d active ones", paths, n)
		}
	}
}

// openSoon opens a path as soon as the peer has given what that takes.
func openSoon(t *testing.T, c *tquic.Conn, local, remote netip.AddrPort) tquic.PathID {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		id, err := c.OpenPath(local, remote)
		if err == nil {
			return id
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestPathsByHand(t *testing.T) {
	c, s, second := multihomed(t, &tquic.Config{Paths: 3, Scheduler: "weighted"}, &tquic.Config{Paths: 3})
	streams(t, c, s)
	if !c.Multipath() || !s.Multipath() {
		t.Fatal("no multipath")
	}
	id := openSoon(t, c, netip.MustParseAddrPort("127.0.0.2:0"), second)
	paths := awaitPaths(t, c, 2)
	awaitPaths(t, s, 2)
	if p := paths[1]; p.ID != id || p.Remote != second || p.Local.Addr() != netip.MustParseAddr("127.0.0.2") || p.Backup {
		t.Errorf("the new path is %+v", p)
	}
	if err := c.SetPathStatus(id, tquic.PathBackup); err != nil {
		t.Fatal(err)
	}
	<-ticks(t, func() bool { return s.Paths()[1].Backup })
	if err := c.SetPathStatus(id, tquic.PathAvailable); err != nil {
		t.Fatal(err)
	}
	<-ticks(t, func() bool { return !s.Paths()[1].Backup })
	if err := c.SetPathWeight(id, 2.5); err != nil {
		t.Error(err)
	}
	if err := c.SetPathWeight(id, 0); err == nil {
		t.Error("a path weighs nothing")
	}
	if err := c.ClosePath(id); err != nil {
		t.Fatal(err)
	}
	awaitPaths(t, c, 1)
	awaitPaths(t, s, 1)
	if err := c.ClosePath(0); err == nil {
		t.Error("the only path was closed")
	}
	if got := c.Stats(); got.Scheduler != "weighted" || !got.Multipath || len(got.ClosedPaths) != 1 || got.ClosedPaths[0].ID != id {
		t.Errorf("statistics: %+v", got)
	}
	streams(t, c, s) // path 0 goes on
}

// The path that is named moves, the other one stays.
func TestMigratePath(t *testing.T) {
	c, s, second := multihomed(t, &tquic.Config{Paths: 3}, &tquic.Config{Paths: 3})
	streams(t, c, s)
	id := openSoon(t, c, netip.MustParseAddrPort("127.0.0.2:0"), second)
	before := awaitPaths(t, c, 2)
	awaitPaths(t, s, 2)
	if err := c.MigratePath(id, netip.MustParseAddrPort("127.0.0.3:0")); err != nil {
		t.Fatal(err)
	}
	<-ticks(t, func() bool { return s.Paths()[1].Remote.Addr() == netip.MustParseAddr("127.0.0.3") })
	after := awaitPaths(t, c, 2)
	if after[0] != before[0] || after[1].ID != id || after[1].Local != s.Paths()[1].Remote || s.Paths()[0].Remote.Port() != before[0].Local.Port() {
		t.Errorf("paths %+v became %+v; for the server %+v", before, after, s.Paths())
	}
	streams(t, c, s)
	if err := s.MigratePath(id, netip.MustParseAddrPort("127.0.0.3:0")); err == nil {
		t.Error("a server moved a path")
	}
	if err := c.MigratePath(9, netip.MustParseAddrPort("127.0.0.3:0")); err == nil {
		t.Error("a path moved that is not open")
	}
	c.Close()
	if err := c.MigratePath(id, netip.MustParseAddrPort("127.0.0.3:0")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("moved after the end: %v", err)
	}
}

// A path moves to another socket that the endpoint has, which is not the path's alone.
func TestMigrateToAnEndpointsAddress(t *testing.T) {
	enginetest.CheckLeaks(t)
	serverTLS, clientTLS := settings()
	l, err := tquic.Listen("127.0.0.1:0", serverTLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	end, err := tquic.ListenEndpoint(netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close() })
	second, err := end.AddAddress(netip.MustParseAddrPort("127.0.0.2:0"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := end.Dial(testContext(t), l.Addr().(*net.UDPAddr).AddrPort(), clientTLS, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	streams(t, c, s)
	<-ticks(t, func() bool { return c.Migrate(second) == nil }) // when there is a spare ID
	<-ticks(t, func() bool { return s.RemoteAddr().String() == second.String() })
	streams(t, c, s)
	c.Close()
	<-c.Done()
	if got := end.LocalAddrs(); len(got) != 2 {
		t.Errorf("the endpoint is at %v", got)
	}
	s.Close()
}

// What cannot be has an error that says so.
func TestPathErrors(t *testing.T) {
	nowhere := netip.MustParseAddrPort("192.0.2.1:0")
	c, s, second := multihomed(t, &tquic.Config{Paths: 2}, &tquic.Config{Paths: 2})
	streams(t, c, s)
	if _, err := c.OpenPath(nowhere, second); err == nil || !strings.Contains(err.Error(), nowhere.String()) {
		t.Errorf("a path from nowhere: got %v", err)
	}
	if _, err := s.OpenPath(second, second); err == nil {
		t.Error("a server opened a path")
	}
	openSoon(t, c, netip.MustParseAddrPort("127.0.0.2:0"), second)
	if _, err := c.OpenPath(netip.MustParseAddrPort("127.0.0.3:0"), second); !errors.Is(err, tquic.ErrPathsBlocked) {
		t.Errorf("a path too many: got %v, want %v", err, tquic.ErrPathsBlocked)
	}
	if err := c.ClosePath(77); err == nil {
		t.Error("a path was closed that there never was")
	}
	c.Close()
	if _, err := c.OpenPath(netip.MustParseAddrPort("127.0.0.3:0"), second); err == nil {
		t.Error("a closed connection opened a path")
	}
}

func TestMultipathIsForBothSides(t *testing.T) {
	for name, sides := range map[string][2]int{"client off": {0, 4}, "server off": {4, 0}} {
		t.Run(name, func(t *testing.T) {
			c, s, second := multihomed(t, &tquic.Config{Paths: sides[0]}, &tquic.Config{Paths: sides[1]})
			streams(t, c, s)
			if _, err := c.OpenPath(netip.MustParseAddrPort("127.0.0.2:0"), second); !errors.Is(err, tquic.ErrNoMultipath) {
				t.Errorf("got %v, want %v", err, tquic.ErrNoMultipath)
			}
		})
	}
}

// Paths that are to be kept come by themselves, and not again once the application has
// closed them.
func TestKeepPaths(t *testing.T) {
	enginetest.CheckLeaks(t)
	serverTLS, clientTLS := settings()
	end, err := tquic.ListenEndpoint(netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end.Close() })
	second, err := end.AddAddress(netip.MustParseAddrPort("127.0.0.2:0"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := end.Listen(serverTLS, &tquic.Config{Paths: 4})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tquic.Dial(testContext(t), end.LocalAddr().String(), clientTLS, &tquic.Config{Paths: 4, KeepPaths: []tquic.PathPair{
		{Local: netip.MustParseAddrPort("127.0.0.2:0"), Remote: second, Backup: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := l.Accept(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	paths := awaitPaths(t, c, 2)
	<-ticks(t, func() bool { return len(s.Paths()) == 2 && s.Paths()[1].Backup })
	if err := c.ClosePath(paths[1].ID); err != nil {
		t.Fatal(err)
	}
	awaitPaths(t, c, 1)
	time.Sleep(50 * time.Millisecond)
	awaitPaths(t, c, 1)
	// The server can close one, too.
	id := openSoon(t, c, netip.MustParseAddrPort("127.0.0.2:0"), second)
	awaitPaths(t, s, 2)
	awaitPaths(t, c, 2)
	if err := s.ClosePath(id); err != nil {
		t.Fatal(err)
	}
	awaitPaths(t, c, 1)
	a, b := streams(t, c, s)
	go func() {
		a.Write(make([]byte, 1<<20))
		a.CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, b); n != 1<<20 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
