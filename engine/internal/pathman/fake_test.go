package pathman

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// fakeConn behaves as a client's connection does: its paths are validated when the
// world says so, and it tells what becomes of them.
type fakeConn struct {
	paths     []Path
	next      wire.PathID
	limit     wire.PathID // the peer allows IDs below
	multipath bool
	addresses []Address
	events    []proto.Event
	prefers   map[wire.PathID]Pair
}

func (c *fakeConn) Paths() []Path { return slices.Clone(c.paths) }

func (c *fakeConn) OpenPath(p Pair) (wire.PathID, error) {
	switch {
	case !c.multipath:
		return 0, proto.ErrNoMultipath
	case c.next >= c.limit:
		return 0, fmt.Errorf("open a path: %w", proto.ErrPathsBlocked)
	case find(c.addresses, p.Local.Addr()) == nil:
		return 0, errors.New("cannot assign requested address")
	}
	id := c.next
	c.next++
	c.paths = append(c.paths, Path{ID: id, State: proto.PathValidating, Local: netip.AddrPortFrom(p.Local.Addr(), 40000+uint16(id)), Remote: p.Remote})
	return id, nil
}

func (c *fakeConn) ClosePath(id wire.PathID, reason wire.ErrorCode) error {
	others := slices.ContainsFunc(c.paths, func(p Path) bool { return p.ID != id && p.State != proto.PathClosing })
	i := c.index(id)
	if i < 0 || !others {
		return errors.New("the only path, or none")
	}
	c.end(id, &wire.TransportError{Code: reason})
	return nil
}

func (c *fakeConn) Prefer(id wire.PathID, p Pair) error {
	c.prefers[id] = p
	return nil
}

func (c *fakeConn) index(id wire.PathID) int {
	return slices.IndexFunc(c.paths, func(p Path) bool { return p.ID == id })
}

// end closes a path for a reason.
func (c *fakeConn) end(id wire.PathID, why error) {
	p := &c.paths[c.index(id)]
	p.State = proto.PathClosing
	c.events = append(c.events, proto.Event{Kind: proto.PathClosed, Path: id, Err: why})
}

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// story is a Manager, its connection and the machine under it.
type story struct {
	t    tester
	now  clock.Time
	conn *fakeConn
	m    *Manager
}

var (
	server = netip.MustParseAddrPort("192.0.2.1:4433")
	lte    = netip.MustParseAddr("10.0.0.1")
	wifi   = netip.MustParseAddr("10.0.1.1")
	dsl    = netip.MustParseAddr("10.0.2.1")
)

func pair(a netip.Addr) Pair { return Pair{Local: netip.AddrPortFrom(a, 0), Remote: server} }

// newStory: path 0 goes from lte to the server; the machine has lte, wifi and dsl.
func newStory(t tester, c Config) *story {
	conn := &fakeConn{multipath: true, next: 1, limit: 100, prefers: map[wire.PathID]Pair{}}
	conn.paths = []Path{{ID: 0, State: proto.PathActive, Local: netip.AddrPortFrom(lte, 40000), Remote: server}}
	s := &story{t: t, now: clock.Time(time.Second), conn: conn, m: New(c, conn)}
	s.addresses("lte up", "wifi up", "dsl up")
	return s
}

// addresses sets what the machine has: "wifi up", "wifi down".
func (s *story) addresses(links ...string) {
	s.t.Helper()
	var out []Address
	for _, l := range links {
		name, state, _ := strings.Cut(l, " ")
		addr := map[string]netip.Addr{"lte": lte, "wifi": wifi, "dsl": dsl}[name]
		out = append(out, Address{Addr: addr, Link: name, Up: state == "up", Global: true})
	}
	s.conn.addresses = out
	s.m.SetAddresses(s.now, out)
	s.settle()
}

// settle hands over the connection's events.
func (s *story) settle() {
	for len(s.conn.events) > 0 {
		ev := s.conn.events[0]
		s.conn.events = s.conn.events[1:]
		s.m.HandleEvent(s.now, ev)
	}
}

// validate: the path's challenge is answered.
func (s *story) validate(ids ...wire.PathID) {
	s.t.Helper()
	for _, id := range ids {
		i := s.conn.index(id)
		if i < 0 {
			s.t.Fatalf("there is no path %d: %v", id, s.conn.paths)
		}
		s.conn.paths[i].State = proto.PathActive
		s.conn.events = append(s.conn.events, proto.Event{Kind: proto.PathValidated, Path: id})
	}
	s.settle()
}

// fail closes the path for a reason.
func (s *story) fail(id wire.PathID, code wire.ErrorCode) {
	s.conn.end(id, &wire.TransportError{Code: code})
	s.settle()
}

// advance lets time pass and the Manager have its timer.
func (s *story) advance(d time.Duration) {
	for end := s.now.Add(d); ; {
		next := s.m.NextTimeout()
		if next > end {
			s.now = end
			return
		}
		s.now = max(s.now, next)
		s.m.Reconcile(s.now)
		s.settle()
	}
}

// want compares the connection's paths, "1 wifi validating".
func (s *story) want(when string, want ...string) {
	s.t.Helper()
	names := map[netip.Addr]string{lte: "lte", wifi: "wifi", dsl: "dsl"}
	var got []string
	for _, p := range s.conn.paths {
		if p.State != proto.PathClosing {
			got = append(got, fmt.Sprintf("%d %s %v", p.ID, names[p.Local.Addr()], p.State))
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("%s: the paths are %q, want %q", when, got, want)
	}
}
