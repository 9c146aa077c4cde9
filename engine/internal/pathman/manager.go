package pathman

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

// A path that failed is tried again after so long, twice as long each time.
const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
)

// settleTime is what a link that came up gets for its routes and neighbours before a
// path is opened over it: a challenge that is lost is repeated only a PTO later.
const settleTime = 20 * time.Millisecond

// Pair is two addresses that should have a path.
type Pair struct {
	Local, Remote netip.AddrPort // port 0 in Local takes any
	// Device is the interface that the path is bound to; empty: the routes decide.
	Device string
	// Backup: to be used only when no other path can be.
	Backup bool
	// Weight is its share for the scheduler "weighted"; 0: none given.
	Weight float64
}

// matches reports whether a path is the pair's.
func (p *Pair) matches(q Path) bool {
	return q.Remote == p.Remote && (q.Local == p.Local || (p.Local.Port() == 0 && q.Local.Addr() == p.Local.Addr()))
}

// Path is what a Manager sees of a path.
type Path struct {
	ID            wire.PathID
	State         proto.PathState
	Local, Remote netip.AddrPort
}

// Conn is the connection that a Manager manages.
type Conn interface {
	// Paths returns the paths that it has, path 0 among them.
	Paths() []Path
	// OpenPath as in proto, from a socket that the connection makes.
	OpenPath(Pair) (wire.PathID, error)
	ClosePath(wire.PathID, wire.ErrorCode) error
	// Prefer tells how a path is to be used: the pair's Backup and Weight.
	Prefer(wire.PathID, Pair) error
}

// Config is what a Manager is made with. The zero value opens nothing, as a server
// must: it only gives up what cannot work any more.
type Config struct {
	// Pairs are those that should have a path each. A pair that has one is left alone.
	Pairs []Pair
	// Discover, when valid, is a server's address: there is to be a path to it from an
	// address of every usable interface. Pairs are ignored then.
	Discover netip.AddrPort
	// MaxPaths bounds the paths at a time. 0: as many as the peer allows.
	MaxPaths int
}

// Manager keeps the paths of one connection. It has one owner, does no I/O and reads
// no clock.
type Manager struct {
	config    Config
	conn      Conn
	slots     []slot
	addresses []Address
	watched   bool                // addresses are known
	seen      map[netip.Addr]bool // local addresses of paths that the machine had
	blocked   bool                // the peer allows no more paths for now
	single    bool                // there is no multipath
}

// slot is a pair and its path.
type slot struct {
	pair    Pair
	id      wire.PathID
	open    bool // id is the pair's path
	used    bool // id is, or was the last
	stopped bool // an application abandoned it
	backoff time.Duration
	retry   clock.Time // not to be opened before
}

// New returns a Manager of a connection whose handshake is confirmed. Nothing happens
// before the first of the other calls.
func New(c Config, conn Conn) *Manager {
	m := &Manager{config: c, conn: conn, seen: map[netip.Addr]bool{}}
	if !c.Discover.IsValid() {
		for _, p := range c.Pairs {
			m.slots = append(m.slots, slot{pair: p})
		}
	}
	return m
}

// SetAddresses tells which addresses the machine has now; all of them.
func (m *Manager) SetAddresses(now clock.Time, addresses []Address) {
	before := m.addresses
	first := !m.watched
	m.addresses, m.watched = addresses, true
	for i := range m.slots {
		s := &m.slots[i]
		a := find(addresses, s.pair.Local.Addr())
		b := find(before, s.pair.Local.Addr())
		if !first && !s.open && a != nil && a.Up && (b == nil || !b.Up) {
			s.backoff, s.retry = 0, now.Add(settleTime)
		}
	}
	m.Reconcile(now)
}

// HandleEvent takes an event of a path.
func (m *Manager) HandleEvent(now clock.Time, ev proto.Event) {
	s := m.slotOf(ev.Path)
	switch ev.Kind {
	case proto.PathValidated:
		if s != nil {
			s.backoff = 0
			m.prefer(s)
		}
	case proto.PathsAvailable:
		m.blocked = false
	case proto.PathClosed:
		m.closed(now, ev)
	}
	m.Reconcile(now)
}

// closed: a path is over, which Reconcile may have noticed already.
func (m *Manager) closed(now clock.Time, ev proto.Event) {
	i := slices.IndexFunc(m.slots, func(s slot) bool { return s.used && s.id == ev.Path })
	if i < 0 {
		return
	}
	s := &m.slots[i]
	e, ok := errors.AsType[*wire.TransportError](ev.Err)
	switch {
	case ok && e.Code == wire.ApplicationAbandonPath:
		s.open, s.stopped, s.backoff, s.retry = false, true, 0, now
	case s.open:
		s.open = false
		s.fail(now)
	}
}

// NextTimeout returns when Reconcile is to be called; clock.Never when it need not.
func (m *Manager) NextTimeout() clock.Time {
	next := clock.Never
	if m.single || m.blocked {
		return next
	}
	for i := range m.slots {
		if s := &m.slots[i]; !s.open && !s.stopped && m.usable(s.pair.Local.Addr()) {
			next = min(next, s.retry.OrNever())
		}
	}
	return next
}

// Reconcile compares what should be with what is, and does what is due.
func (m *Manager) Reconcile(now clock.Time) {
	if m.single {
		return
	}
	live := m.live()
	m.see(live)
	live = m.giveUp(now, live)
	if m.config.Discover.IsValid() {
		m.discover(live)
	}
	m.adopt(now, live)
	m.open(now, len(live))
}

// live returns the paths that carry data or may do so again.
func (m *Manager) live() []Path {
	return slices.DeleteFunc(m.conn.Paths(), func(p Path) bool {
		return p.State == proto.PathUnused || p.State == proto.PathClosing
	})
}

// see remembers which local addresses are the machine's own: one that never was, but
// works, is none of the watcher's business.
func (m *Manager) see(live []Path) {
	for _, p := range live {
		if a := p.Local.Addr(); !m.seen[a] && find(m.addresses, a) != nil {
			m.seen[a] = true
		}
	}
	for i := range m.slots {
		if a := m.slots[i].pair.Local.Addr(); !m.seen[a] && find(m.addresses, a) != nil {
			m.seen[a] = true
		}
	}
}

// usable reports whether datagrams can leave from a local address, for all that is
// known.
func (m *Manager) usable(a netip.Addr) bool {
	if !m.watched || a.IsUnspecified() || a.IsLoopback() {
		return true
	}
	if have := find(m.addresses, a); have != nil {
		return have.Up
	}
	return !m.seen[a]
}

// giveUp closes the paths whose address or link went, as long as another one is there
// to carry on, and returns those that are left.
func (m *Manager) giveUp(now clock.Time, live []Path) []Path {
	carries := func(p Path) bool { return p.State == proto.PathActive && m.usable(p.Local.Addr()) }
	if !slices.ContainsFunc(live, carries) {
		return live
	}
	return slices.DeleteFunc(live, func(p Path) bool {
		if m.usable(p.Local.Addr()) || m.conn.ClosePath(p.ID, wire.PathUnstableOrPoor) != nil {
			return false
		}
		if s := m.slotOf(p.ID); s != nil {
			s.open, s.backoff, s.retry = false, 0, now
		}
		return true
	})
}

// adopt finds the paths of slots: path 0, those that the application opened, those
// whose end was missed.
func (m *Manager) adopt(now clock.Time, live []Path) {
	for i := range m.slots {
		s := &m.slots[i]
		if s.open && !slices.ContainsFunc(live, func(p Path) bool { return p.ID == s.id }) {
			s.open = false
			s.fail(now)
		}
	}
	for i := range m.slots {
		s := &m.slots[i]
		if s.open {
			continue
		}
		at := slices.IndexFunc(live, func(p Path) bool { return s.pair.matches(p) && m.slotOf(p.ID) == nil })
		if at >= 0 {
			s.begin(live[at].ID)
			m.prefer(s)
		}
	}
}

// open opens what is due. n paths are there already.
func (m *Manager) open(now clock.Time, n int) {
	for i := range m.slots {
		s := &m.slots[i]
		if m.blocked || (m.config.MaxPaths > 0 && n >= m.config.MaxPaths) {
			return
		}
		if s.open || s.stopped || now < s.retry || !m.usable(s.pair.Local.Addr()) {
			continue
		}
		id, err := m.conn.OpenPath(s.pair)
		switch {
		case errors.Is(err, proto.ErrNoMultipath):
			m.single = true
			return
		case errors.Is(err, proto.ErrPathsBlocked):
			m.blocked = true
			return
		case err != nil:
			s.fail(now)
		default:
			s.begin(id)
			n++
		}
	}
}

// prefer tells the connection how the slot's path is to be used.
func (m *Manager) prefer(s *slot) {
	if s.pair.Backup || s.pair.Weight != 0 {
		_ = m.conn.Prefer(s.id, s.pair) // it is over: an event follows, or has
	}
}

func (s *slot) begin(id wire.PathID) { s.id, s.open, s.used, s.stopped = id, true, true, false }

// fail puts the next attempt off.
func (s *slot) fail(now clock.Time) {
	s.backoff = min(max(2*s.backoff, minBackoff), maxBackoff)
	s.retry = now.Add(s.backoff)
}

func (m *Manager) slotOf(id wire.PathID) *slot {
	for i := range m.slots {
		if s := &m.slots[i]; s.open && s.id == id {
			return s
		}
	}
	return nil
}
