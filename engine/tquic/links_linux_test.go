package tquic_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tquiclab/tquiclab/engine/tquic"
)

// insideVariable tells a test's child that its network namespace is its own.
const insideVariable = "TQUICLAB_TEST_INSIDE"

// inside reports whether the process has a namespace of its own; else it runs the test
// in a child that has.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		return true
	}
	if os.Getuid() != 0 {
		t.Fatal("needs root, for network namespaces")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), insideVariable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	t.Logf("inside:\n%s", out)
	if err != nil {
		t.Errorf("inside: %v", err)
	}
	return false
}

// twoLinks is a client in this process's namespace and a server in another one, with
// two links: link0 and link1, 10.88.i.1 at the client and 10.88.i.2 at the server.
type twoLinks struct {
	t              *testing.T
	here, there    *netlink.Handle
	client, server *tquic.Conn
}

func clientAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 88, byte(i), 1}) }
func serverAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 88, byte(i), 2}) }

func newTwoLinks(t *testing.T, c *tquic.Config) *twoLinks {
	t.Helper()
	l := &twoLinks{t: t}
	var err error
	l.here, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	l.must(err)
	t.Cleanup(l.here.Close)
	var there netns.NsHandle
	var socket net.PacketConn
	l.apart(func() error {
		if there, err = netns.New(); err != nil {
			return err
		}
		if l.there, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		socket, err = net.ListenPacket("udp4", "0.0.0.0:4433")
		return err
	})
	t.Cleanup(func() {
		l.there.Close()
		there.Close()
	})
	for i := range 2 {
		name := linkName(i)
		l.must(l.here.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name, PeerNamespace: netlink.NsFd(there)}))
		l.address(l.here, i, clientAddr(i))
		l.address(l.there, i, serverAddr(i))
		l.set(l.here, i, true)
		l.set(l.there, i, true)
	}
	serverTLS, clientTLS := settings()
	end, err := tquic.NewEndpoint(socket.(*net.UDPConn), c)
	l.must(err)
	t.Cleanup(func() { end.Close() })
	listener, err := end.Listen(serverTLS, &tquic.Config{Paths: 4})
	l.must(err)
	l.client, err = tquic.Dial(testContext(t), netip.AddrPortFrom(serverAddr(0), 4433).String(), clientTLS, c)
	l.must(err)
	t.Cleanup(func() { l.client.Close() })
	l.server, err = listener.Accept(testContext(t))
	l.must(err)
	return l
}

func linkName(i int) string { return fmt.Sprintf("link%d", i) }

// apart runs f on a thread that ends with it.
func (l *twoLinks) apart(f func() error) {
	l.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	l.must(<-done)
}

func (l *twoLinks) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *twoLinks) link(h *netlink.Handle, i int) netlink.Link {
	l.t.Helper()
	link, err := h.LinkByName(linkName(i))
	l.must(err)
	return link
}

func (l *twoLinks) set(h *netlink.Handle, i int, up bool) {
	l.t.Helper()
	if up {
		l.must(h.LinkSetUp(l.link(h, i)))
	} else {
		l.must(h.LinkSetDown(l.link(h, i)))
	}
}

func slash24(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(24, 32)}}
}

func (l *twoLinks) address(h *netlink.Handle, i int, a netip.Addr) {
	l.t.Helper()
	l.must(h.AddrAdd(l.link(h, i), slash24(a)))
}

// want waits until the client's active paths begin at those addresses, on both sides,
// and there is no other; then a megabyte must arrive.
func (l *twoLinks) want(when string, addrs ...netip.Addr) {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		var got, there []netip.Addr
		for _, p := range l.client.Paths() {
			if p.State == tquic.PathActive {
				got = append(got, p.Local.Addr())
			}
		}
		for _, p := range l.server.Paths() {
			if p.State == tquic.PathActive {
				there = append(there, p.Remote.Addr())
			}
		}
		slices.SortFunc(got, netip.Addr.Compare)
		slices.SortFunc(there, netip.Addr.Compare)
		if slices.Equal(got, addrs) && slices.Equal(there, addrs) && len(l.client.Paths()) == len(addrs) {
			break
		}
		if time.Now().After(end) {
			l.t.Fatalf("%s: the paths are %+v, at the server %+v; want from %v", when, l.client.Paths(), l.server.Paths(), addrs)
		}
	}
	const size = 1 << 20
	c, s := streams(l.t, l.client, l.server)
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		wrote <- err
		c.CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, s); n != size || err != nil {
		l.t.Fatalf("%s: %d bytes arrived, %v", when, n, err)
	}
	l.must(<-wrote)
}

// Paths come and go with addresses and links, at either end, the first one, too.
func TestPathsFollowLinks(t *testing.T) {
	if !inside(t) {
		return
	}
	pairs := func() (out []tquic.PathPair) {
		for i := range 2 {
			out = append(out, tquic.PathPair{Local: netip.AddrPortFrom(clientAddr(i), 0), Remote: netip.AddrPortFrom(serverAddr(i), 4433)})
		}
		return out
	}()
	l := newTwoLinks(t, &tquic.Config{Paths: 4, KeepPaths: pairs})
	both := []netip.Addr{clientAddr(0), clientAddr(1)}
	l.want("at first", both...)
	for i := range 2 {
		other := both[1-i]
		l.set(l.here, i, false)
		l.want("set down here", other)
		l.set(l.here, i, true)
		l.want("set up here", both...)
		l.set(l.there, i, false)
		l.want("set down there", other)
		l.set(l.there, i, true)
		l.want("set up there", both...)
		l.must(l.here.AddrDel(l.link(l.here, i), slash24(both[i])))
		l.want("address removed", other)
		l.address(l.here, i, both[i])
		l.want("address back", both...)
	}
	stats := l.client.Stats()
	if len(stats.ClosedPaths) != 6 || len(stats.Paths) != 2 {
		t.Errorf("%d closed and %d open paths, want 6 and 2", len(stats.ClosedPaths), len(stats.Paths))
	}
}

// Without a word about paths, each interface has one.
func TestPathsAreDiscovered(t *testing.T) {
	if !inside(t) {
		return
	}
	l := newTwoLinks(t, &tquic.Config{Paths: 4, DiscoverPaths: true})
	both := []netip.Addr{clientAddr(0), clientAddr(1)}
	l.want("at first", both...)
	l.must(l.here.AddrDel(l.link(l.here, 1), slash24(both[1])))
	l.want("address removed", both[0])
	another := netip.MustParseAddr("10.88.1.77")
	l.address(l.here, 1, another)
	l.want("another address", both[0], another)
	l.set(l.here, 0, false)
	l.want("the first link down", another)
	l.set(l.here, 0, true)
	l.want("and up", both[0], another)
}
