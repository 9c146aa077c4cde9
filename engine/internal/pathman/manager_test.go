package pathman

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tquiclab/tquiclab/engine/internal/clock"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
)

var twoPairs = Config{Pairs: []Pair{pair(lte), pair(wifi)}}

func TestOpensThePairsThatHaveNoPath(t *testing.T) {
	s := newStory(t, twoPairs)
	s.want("at first", "0 lte active", "1 wifi validating")
	s.validate(1)
	s.advance(time.Hour)
	s.want("an hour later", "0 lte active", "1 wifi active")
}

func TestServerOpensNothing(t *testing.T) {
	s := newStory(t, Config{})
	s.want("at first", "0 lte active")
	s.conn.paths = append(s.conn.paths, Path{ID: 1, State: proto.PathActive, Local: netip.AddrPortFrom(wifi, 4433), Remote: server})
	s.addresses("lte up", "wifi up")
	s.addresses("lte up", "wifi down")
	s.want("wifi down", "0 lte active")
	s.addresses("lte up", "wifi up")
	s.advance(time.Hour)
	s.want("wifi up again", "0 lte active")
}

func TestLinkGoesAndComesBack(t *testing.T) {
	for _, gone := range [][]string{{"lte up", "wifi down"}, {"lte up"}} {
		t.Run(fmt.Sprint(gone), func(t *testing.T) {
			s := newStory(t, twoPairs)
			s.validate(1)
			s.addresses(gone...)
			s.want("gone", "0 lte active")
			s.advance(time.Minute)
			s.want("a minute later", "0 lte active")
			s.addresses("lte up", "wifi up")
			s.advance(settleTime)
			s.want("back", "0 lte active", "2 wifi validating")
		})
	}
}

// The path of the handshake is one as any other.
func TestFirstPathGoes(t *testing.T) {
	s := newStory(t, twoPairs)
	s.validate(1)
	s.addresses("lte down", "wifi up")
	s.want("gone", "1 wifi active")
	s.addresses("lte up", "wifi up")
	s.advance(settleTime)
	s.want("back", "1 wifi active", "2 lte validating")
}

// The last path stays until another one carries data.
func TestLastPathStays(t *testing.T) {
	s := newStory(t, twoPairs)
	s.addresses("lte down", "wifi up")
	s.want("nothing else carries data yet", "0 lte active", "1 wifi validating")
	s.validate(1)
	s.want("now it does", "1 wifi active")
	s.addresses("lte down", "wifi down")
	s.want("all are down", "1 wifi active")
	s.addresses("lte up", "wifi down")
	s.advance(settleTime)
	s.want("lte is up", "1 wifi active", "2 lte validating")
	s.validate(2)
	s.want("lte carries data", "2 lte active")
}

func TestFailedPathIsTriedAgainLaterAndLater(t *testing.T) {
	s := newStory(t, twoPairs)
	id := wire.PathID(1)
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		s.fail(id, wire.PathUnstableOrPoor)
		s.want("failed", "0 lte active")
		s.advance(wait*time.Second - 1)
		s.want("too early", "0 lte active")
		s.advance(1)
		id++
		s.want(fmt.Sprint(wait, " s later"), "0 lte active", fmt.Sprintf("%d wifi validating", id))
	}
	s.validate(id)
	s.fail(id, wire.PathUnstableOrPoor)
	s.advance(time.Second)
	s.want("it had been good meanwhile", "0 lte active", fmt.Sprintf("%d wifi validating", id+1))
	s.fail(id+1, wire.PathUnstableOrPoor)
	s.addresses("lte up", "wifi down")
	s.addresses("lte up", "wifi up")
	s.advance(settleTime)
	s.want("the link came up: no reason to wait", "0 lte active", fmt.Sprintf("%d wifi validating", id+2))
}

func TestAbandonedPathIsNotOpenedAgain(t *testing.T) {
	s := newStory(t, twoPairs)
	s.validate(1)
	s.conn.end(1, &wire.TransportError{Code: wire.ApplicationAbandonPath})
	s.m.Reconcile(s.now) // before the event
	s.settle()
	s.advance(time.Hour)
	s.want("an hour later", "0 lte active")
	if _, err := s.conn.OpenPath(pair(wifi)); err != nil {
		t.Fatal(err)
	}
	s.m.Reconcile(s.now)
	s.fail(2, wire.PathUnstableOrPoor)
	s.advance(time.Second)
	s.want("the application opened it itself", "0 lte active", "3 wifi validating")
}

// What was missed is found in the connection's list.
func TestMissedEvents(t *testing.T) {
	s := newStory(t, twoPairs)
	s.validate(1)
	s.conn.end(1, nil)
	s.conn.events = nil
	s.m.Reconcile(s.now)
	s.advance(time.Second)
	s.want("missed its end", "0 lte active", "2 wifi validating")
}

func TestWithoutMultipath(t *testing.T) {
	s := newStory(t, Config{})
	s.conn.multipath = false
	s.m = New(twoPairs, s.conn)
	s.m.Reconcile(s.now)
	s.addresses("lte down", "wifi up")
	s.advance(time.Hour)
	s.want("an hour later", "0 lte active")
	if next := s.m.NextTimeout(); next != clock.Never {
		t.Errorf("next timeout: got %v, want never", next)
	}
}

func TestBlockedByThePeer(t *testing.T) {
	s := newStory(t, Config{})
	s.conn.limit = 1
	s.m = New(twoPairs, s.conn)
	s.addresses("lte up", "wifi up")
	s.advance(time.Hour)
	s.want("blocked", "0 lte active")
	s.conn.limit = 2
	s.conn.events = append(s.conn.events, proto.Event{Kind: proto.PathsAvailable})
	s.settle()
	s.want("no longer", "0 lte active", "1 wifi validating")
}

func TestMaxPaths(t *testing.T) {
	s := newStory(t, Config{Pairs: []Pair{pair(lte), pair(wifi), pair(dsl)}, MaxPaths: 2})
	s.validate(1)
	s.want("at first", "0 lte active", "1 wifi active")
	s.addresses("lte up", "wifi down", "dsl up")
	s.want("there is room", "0 lte active", "2 dsl validating")
}

func TestPreferences(t *testing.T) {
	backup, heavy := pair(wifi), pair(lte)
	backup.Backup, heavy.Weight = true, 3
	s := newStory(t, Config{Pairs: []Pair{heavy, backup}})
	s.validate(1)
	if got := s.conn.prefers[1]; !got.Backup {
		t.Errorf("wifi: got %+v, want a backup", got)
	}
	if got := s.conn.prefers[0]; got.Weight != 3 {
		t.Errorf("lte: got %+v, want weight 3", got)
	}
}

// An address that the watcher never saw but that works is left alone, and so are
// loopback and wildcards.
func TestUnknownAddresses(t *testing.T) {
	s := newStory(t, Config{})
	for i, a := range []string{"203.0.113.5", "127.0.0.2", "0.0.0.0", "::"} {
		s.conn.paths = append(s.conn.paths, Path{ID: wire.PathID(1 + i), State: proto.PathActive, Local: netip.AddrPortFrom(netip.MustParseAddr(a), 1), Remote: server})
	}
	s.addresses("lte up", "wifi up")
	s.addresses("wifi up")
	if len(s.conn.events) != 0 || len(s.m.live()) != 4 {
		t.Errorf("paths: %v, want all but lte's", s.m.live())
	}
}

// Without a watcher, pairs are opened all the same.
func TestWithoutAddresses(t *testing.T) {
	s := newStory(t, Config{})
	s.m = New(twoPairs, s.conn)
	s.m.Reconcile(s.now)
	s.want("at first", "0 lte active", "1 wifi validating")
}

func TestDiscovery(t *testing.T) {
	s := newStory(t, Config{Discover: server})
	s.want("one for each interface", "0 lte active", "1 wifi validating", "2 dsl validating")
	s.validate(1, 2)
	more := append(slices.Clone(s.conn.addresses), []Address{
		{Addr: netip.MustParseAddr("10.0.0.99"), Link: "lte", Up: true, Global: true},
		{Addr: netip.MustParseAddr("2001:db8::1"), Link: "six", Up: true, Global: true},
		{Addr: netip.MustParseAddr("169.254.0.1"), Link: "local", Up: true},
		{Addr: netip.MustParseAddr("10.0.9.1"), Link: "down", Global: true},
		{Addr: server.Addr(), Link: "self", Up: true, Global: true},
	}...)
	s.m.SetAddresses(s.now, more)
	s.want("nothing else suits", "0 lte active", "1 wifi active", "2 dsl active")
	s.addresses("wifi up")
	s.want("two are gone", "1 wifi active")
	if len(s.m.slots) != 1 {
		t.Errorf("slots: %+v, want wifi's", s.m.slots)
	}
	s.addresses("lte up", "wifi up")
	s.want("one is back", "1 wifi active", "3 lte validating")
}

// A machine with one interface gets another address: the connection moves.
func TestDiscoveryOfAnotherAddress(t *testing.T) {
	s := newStory(t, Config{})
	s.m = New(Config{Discover: server}, s.conn)
	s.addresses("lte up")
	s.want("at first", "0 lte active")
	s.conn.addresses = []Address{{Addr: dsl, Link: "lte", Up: true, Global: true}}
	s.m.SetAddresses(s.now, s.conn.addresses)
	s.want("another address", "0 lte active", "1 dsl validating")
	s.validate(1)
	s.want("it works", "1 dsl active")
}

// Whatever happens, the last path is never closed, and once the world is whole again
// every pair has its path.
func TestPathsOfARandomWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := Config{Pairs: []Pair{pair(lte), pair(wifi), pair(dsl)}}
		if rapid.Bool().Draw(t, "discover") {
			config = Config{Discover: server}
		}
		s := newStory(t, config)
		s.conn.limit = 1 << 30
		links := map[string]string{"lte": "up", "wifi": "up", "dsl": "up"}
		publish := func() {
			var have []string
			for _, name := range []string{"dsl", "lte", "wifi"} {
				if links[name] != "gone" {
					have = append(have, name+" "+links[name])
				}
			}
			s.addresses(have...)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1:
				links[rapid.SampledFrom([]string{"lte", "wifi", "dsl"}).Draw(t, "link")] = rapid.SampledFrom([]string{"up", "down", "gone"}).Draw(t, "state")
				publish()
			case 2, 3:
				for _, p := range s.conn.Paths() {
					if p.State == proto.PathValidating && s.m.usable(p.Local.Addr()) {
						s.validate(p.ID)
					}
				}
			case 4:
				live := s.m.live()
				if len(live) > 1 {
					s.fail(rapid.SampledFrom(live).Draw(t, "path").ID, wire.PathUnstableOrPoor)
				}
			case 5:
				s.advance(time.Duration(rapid.IntRange(0, 40_000).Draw(t, "ms")) * time.Millisecond)
			}
			if len(s.m.live()) == 0 {
				t.Fatal("no path is left")
			}
			s.conn.paths = slices.DeleteFunc(s.conn.paths, func(p Path) bool { return p.State == proto.PathClosing })
		}
		links = map[string]string{"lte": "up", "wifi": "up", "dsl": "up"}
		publish()
		for range 3 {
			s.advance(maxBackoff)
			for _, p := range s.conn.Paths() {
				if p.State == proto.PathValidating {
					s.validate(p.ID)
				}
			}
		}
		for _, a := range []netip.Addr{lte, wifi, dsl} {
			n := 0
			for _, p := range s.m.live() {
				if p.Local.Addr() == a && p.State == proto.PathActive {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%v has %d paths in the end, want 1: %v", a, n, s.m.live())
			}
		}
	})
}
