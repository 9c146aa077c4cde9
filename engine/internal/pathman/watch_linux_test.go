package pathman

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// machine is a network namespace with a veth, "left" and "right". It has no name: it
// ends with the test.
type machine struct {
	t      *testing.T
	handle *netlink.Handle
	watch  Watcher
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("needs root, for a network namespace")
	}
	m := &machine{t: t}
	// The thread ends with the goroutine, and what the source opened stays inside.
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			ns, err := netns.New()
			if err != nil {
				return fmt.Errorf("make a namespace: %w", err)
			}
			defer ns.Close()
			if m.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
				return err
			}
			s, err := m.watch.Subscribe()
			if err != nil {
				return err
			}
			t.Cleanup(s.Close) // keeps the watcher in the namespace
			return nil
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.handle.Close)
	m.must(m.handle.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "left"}, PeerName: "right"}))
	return m
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) link(name string) netlink.Link {
	m.t.Helper()
	l, err := m.handle.LinkByName(name)
	m.must(err)
	return l
}

func (m *machine) addr(prefix string) *netlink.Addr {
	p := netip.MustParsePrefix(prefix)
	return &netlink.Addr{
		IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
		Flags: unix.IFA_F_NODAD,
	}
}

// wait returns once the addresses of "left", but IPv6's own, are as wanted.
func (m *machine) wait(s *Subscription, when string, want ...Address) {
	m.t.Helper()
	var got []Address
	for end := time.After(10 * time.Second); ; {
		got = slices.DeleteFunc(slices.Clone(s.Addresses()), func(a Address) bool { return a.Link != "left" || a.Addr.IsLinkLocalUnicast() })
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-s.Changed():
		case <-end:
			m.t.Fatalf("%s: the addresses are %+v, want %+v", when, got, want)
		}
	}
}

func TestWatcher(t *testing.T) {
	m := newMachine(t)
	s, err := m.watch.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	four := Address{Addr: netip.MustParseAddr("10.1.0.1"), Link: "left", Global: true}
	up := four
	up.Up = true
	m.must(m.handle.AddrAdd(m.link("left"), m.addr("10.1.0.1/24")))
	m.wait(s, "address added", four)
	m.must(m.handle.LinkSetUp(m.link("left")))
	m.must(m.handle.LinkSetUp(m.link("right")))
	m.wait(s, "both ends up", up)
	m.must(m.handle.LinkSetDown(m.link("right")))
	m.wait(s, "no carrier", four)
	m.must(m.handle.LinkSetUp(m.link("right")))
	m.wait(s, "carrier again", up)
	m.must(m.handle.LinkSetDown(m.link("left")))
	m.wait(s, "set down", four)
	m.must(m.handle.LinkSetUp(m.link("left")))
	m.wait(s, "set up", up)
	six := Address{Addr: netip.MustParseAddr("fd00:1::1"), Link: "left", Up: true, Global: true}
	m.must(m.handle.AddrAdd(m.link("left"), m.addr("fd00:1::1/64")))
	m.wait(s, "another address", up, six)
	m.must(m.handle.AddrDel(m.link("left"), m.addr("10.1.0.1/24")))
	m.wait(s, "address removed", six)
	m.must(m.handle.LinkDel(m.link("left")))
	m.wait(s, "interface removed")
}

// The carrier is told as it is, also where the kernel's link watch lags behind: a path
// that works must not be taken for one that does not.
func TestCarrierIsTheTruth(t *testing.T) {
	m := newMachine(t)
	m.must(m.handle.AddrAdd(m.link("left"), m.addr("10.1.0.1/24")))
	m.must(m.handle.LinkSetUp(m.link("left")))
	for i := range 10 {
		for _, up := range []bool{true, false} {
			set := m.handle.LinkSetDown
			if up {
				set = m.handle.LinkSetUp
			}
			m.must(set(m.link("right")))
			addresses, err := m.watch.source.list()
			if err != nil {
				t.Fatal(err)
			}
			if a := find(addresses, netip.MustParseAddr("10.1.0.1")); a == nil || a.Up != up {
				t.Fatalf("change %d: the other end is up: %t, the address is %+v", i, up, a)
			}
		}
	}
}

// Of very many changes at a time, the last state is told.
func TestWatcherUnderAStorm(t *testing.T) {
	m := newMachine(t)
	s, err := m.watch.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 300 {
		m.must(m.handle.AddrAdd(m.link("left"), m.addr("10.1.0.1/24")))
		m.must(m.handle.AddrDel(m.link("left"), m.addr("10.1.0.1/24")))
	}
	m.must(m.handle.AddrAdd(m.link("left"), m.addr("10.1.0.2/24")))
	m.wait(s, "at last", Address{Addr: netip.MustParseAddr("10.1.0.2"), Link: "left", Global: true})
}

// The watcher ends with its last subscription, and begins again.
func TestWatcherStops(t *testing.T) {
	m := newMachine(t)
	a, err := m.watch.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.watch.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.Close()
	m.must(m.handle.AddrAdd(m.link("left"), m.addr("10.1.0.1/24")))
	m.wait(b, "the other one goes on", Address{Addr: netip.MustParseAddr("10.1.0.1"), Link: "left", Global: true})
	b.Close()
	var w Watcher
	for range 3 {
		s, err := w.Subscribe()
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if w.source != nil {
			t.Error("it runs without a subscription")
		}
	}
}
