package pathman

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// source is where a Watcher knows the addresses from: netlink. What the kernel
// announces is only the occasion to ask it for everything, so nothing can be missed or
// be out of order.
type source struct {
	events  *nl.NetlinkSocket
	handle  *netlink.Handle
	publish func(*source, []Address)
	dirty   chan struct{} // something was announced
	over    chan struct{}
	tasks   sync.WaitGroup
}

// openSource begins to watch the calling thread's network namespace, and returns the
// addresses that it has.
func openSource(publish func(*source, []Address)) (*source, []Address, error) {
	events, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, nil, fmt.Errorf("watch addresses: %w", err)
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		events.Close()
		return nil, nil, fmt.Errorf("watch addresses: %w", err)
	}
	s := &source{events: events, handle: handle, publish: publish, dirty: make(chan struct{}, 1), over: make(chan struct{})}
	addresses, err := s.list()
	if err != nil {
		events.Close()
		handle.Close()
		return nil, nil, fmt.Errorf("watch addresses: %w", err)
	}
	s.tasks.Go(s.receive)
	s.tasks.Go(s.follow)
	return s, addresses, nil
}

func (s *source) close() {
	close(s.over)
	s.events.Close()
	s.tasks.Wait()
	s.handle.Close()
}

// retryTime is when the kernel is asked again after it could not answer.
const retryTime = 50 * time.Millisecond

// receive notes that something was announced. ENOBUFS says that announcements were
// lost, which is one, too.
func (s *source) receive() {
	for {
		_, _, err := s.events.Receive()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		select {
		case s.dirty <- struct{}{}:
		default:
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			select {
			case <-s.over:
				return
			case <-time.After(retryTime):
			}
		}
	}
}

// follow asks for the addresses after each announcement; many at a time are one.
func (s *source) follow() {
	var again <-chan time.Time
	for {
		select {
		case <-s.over:
			return
		case <-s.dirty:
		case <-again:
		}
		again = nil
		addresses, err := s.list()
		if err != nil {
			again = time.After(retryTime)
			continue
		}
		s.publish(s, addresses)
	}
}

// list returns all addresses, sorted.
func (s *source) list() ([]Address, error) {
	links, err := s.handle.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	addrs, err := s.handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	byIndex := map[int]*netlink.LinkAttrs{}
	for _, l := range links {
		byIndex[l.Attrs().Index] = l.Attrs()
	}
	var out []Address
	for _, a := range addrs {
		link := byIndex[a.LinkIndex]
		ip, ok := netip.AddrFromSlice(a.IP)
		if link == nil || !ok {
			continue // the interface came or went between the two answers
		}
		out = append(out, Address{
			Addr: ip.Unmap(), Link: link.Name,
			Up: running(link) && a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0,
			Global: a.Scope == unix.RT_SCOPE_UNIVERSE && link.RawFlags&unix.IFF_LOOPBACK == 0 &&
				a.Flags&unix.IFA_F_DEPRECATED == 0,
		})
	}
	slices.SortFunc(out, func(a, b Address) int {
		if c := strings.Compare(a.Link, b.Link); c != 0 {
			return c
		}
		return a.Addr.Compare(b.Addr)
	})
	return out, nil
}

// running reports whether an interface is set up and has a carrier. IFF_RUNNING would
// follow the carrier by up to a second: it is set by the kernel's link watch, which
// gathers changes (net/core/link_watch.c).
func running(l *netlink.LinkAttrs) bool {
	const both = unix.IFF_UP | unix.IFF_LOWER_UP
	return l.RawFlags&both == both
}
