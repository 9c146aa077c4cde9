package sim

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
)

// plain is a trunk that only delays, up and down.
func plain(name, from, to string, up, down time.Duration) Trunk {
	return Trunk{Name: name, Ends: [2]string{from, to}, Up: emulation.Impairments{Delay: up}, Down: emulation.Impairments{Delay: down}}
}

// through has the link lead to a router and through trunks to the server's address there.
func through(k Link, router string, server netip.Addr, trunks ...string) Link {
	k.Router, k.Through, k.Server = router, trunks, server
	return k
}

var behind = netip.MustParseAddr("10.9.0.2")

// The way through routers takes what its links take, each way, to the nanosecond. The
// second trunk is crossed from its second end to its first.
func TestWayThroughRouters(t *testing.T) {
	const ms = time.Millisecond
	a := delaying("a", 1, 0)
	a.Up, a.Down = emulation.Impairments{Delay: ms}, emulation.Impairments{Delay: 2 * ms}
	client, server := &instants{}, &instants{}
	l := newLab(t, LabConfig{
		Seed:  1,
		Links: []Link{through(a, "r", behind, "t", "back", "last")},
		Trunks: []Trunk{
			plain("t", "r", "q", 10*ms, 20*ms), plain("back", "p", "q", 100*ms, 200*ms), plain("last", "p", toServer, 3*ms, 5*ms),
		},
	}, client, server)
	client.lab, server.lab = l, l
	conn, err := l.Client.Dial("a")
	if err != nil {
		t.Fatal(err)
	}
	const up, down = ms + 10*ms + 200*ms + 3*ms, 2*ms + 20*ms + 100*ms + 5*ms
	if err := l.Run(t.Context(), time.Minute, func() bool { return client.connected > 0 }); err != nil {
		t.Fatal(err)
	}
	if client.connected != up+down {
		t.Errorf("the handshake took %v, want %v", client.connected, up+down)
	}
	s, err := conn.OpenStream()
	if err == nil {
		_, err = s.Write([]byte("first"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context(), time.Minute, func() bool { return server.readable > 0 }); err != nil {
		t.Fatal(err)
	}
	if want := up + down + up; server.readable != want {
		t.Errorf("the first byte was there after %v, want %v", server.readable, want)
	}
	for _, name := range []string{"t", "last"} {
		if c, err := l.Counters(name); err != nil || c.Up.DepartedPackets == 0 || c.Down.DepartedPackets == 0 {
			t.Errorf("%s counts %+v, %v; want some both ways", name, c, err)
		}
	}
	if err := l.Set("t", emulation.Impairments{}, emulation.Impairments{}); err != nil {
		t.Errorf("change a trunk: %v", err)
	}
}

// sharing is two links into one trunk of 20 Mbit/s.
func sharing(bytes int64) Config {
	c := bond(bytes,
		through(between("a", 1, 50e6, 10*time.Millisecond), "r", behind, "trunk"),
		through(between("b", 2, 50e6, 20*time.Millisecond), "r", behind, "trunk"))
	shared := between("trunk", 3, 20e6, 10*time.Millisecond)
	c.Trunks = []Trunk{{Name: "trunk", Ends: [2]string{"r", toServer}, Up: shared.Up, Down: shared.Down}}
	return c
}

// Links that meet in a router share what lies behind: the bond has that and no more, and
// each side can tell the paths apart although they end on one address.
func TestSharedTrunk(t *testing.T) {
	for _, sender := range []Side{Client, Server} {
		t.Run("from the "+sender.String(), func(t *testing.T) {
			c := sharing(10e6)
			c.Sender = sender
			var last Sample
			c.Sample = func(s Sample) { last = s }
			r := mustRun(t, c)
			if g := r.Goodput(); g > 20e6 || g < 16e6 {
				t.Errorf("%.1f Mbit/s through a trunk of 20", g/1e6)
			}
			checkParts(t, r, "a", "b")
			if len(r.Links) != 3 || len(last.Links) != 3 || r.Links[2].Link != "trunk" {
				t.Fatalf("%d and %d links are counted, want two and the trunk", len(r.Links), len(last.Links))
			}
			a, b, trunk := r.Links[0], r.Links[1], r.Links[2]
			into, out := a.Up.DepartedPackets+b.Up.DepartedPackets, a.Down.ArrivedPackets+b.Down.ArrivedPackets
			if into != trunk.Up.ArrivedPackets || out != trunk.Down.DepartedPackets {
				t.Errorf("%d packets went up into the trunk, which counts %d; %d came down out of it, which counts %d",
					into, trunk.Up.ArrivedPackets, out, trunk.Down.DepartedPackets)
			}
			if again := mustRun(t, c); again.Elapsed != r.Elapsed || again.Events != r.Events {
				t.Errorf("%v and %d events, again %v and %d", r.Elapsed, r.Events, again.Elapsed, again.Events)
			}
		})
	}
}

// A trunk that goes down is a black hole between two routers, of which nobody hears; where
// it ends at the server, that gives its path up at once. Either way the other path
// carries on, and it is used again when it is back.
func TestTrunkGoesDown(t *testing.T) {
	for name, tt := range map[string]struct {
		down int // which of the trunks
		most time.Duration
		back time.Duration
	}{
		"between routers": {0, 100 * time.Millisecond, time.Second},
		"at the server":   {1, 100 * time.Millisecond, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c := bond(25e6, shallow(between("a", 1, 20e6, 20*time.Millisecond)),
				through(shallow(between("b", 2, 20e6, 20*time.Millisecond)), "r", behind, "near", "far"))
			c.Trunks = []Trunk{plain("near", "r", "q", time.Millisecond, time.Millisecond), plain("far", "q", toServer, time.Millisecond, time.Millisecond)}
			c.Trunks[tt.down].Outages = []Outage{{At: time.Second, Down: true}, {At: 3 * time.Second}}
			sample, carried := deliveredOver(1)
			c.Sample = sample
			r := mustRun(t, c)
			if r.Receiver.MaxGap > tt.most {
				t.Errorf("the stream stood still for %v, want %v at most", r.Receiver.MaxGap, tt.most)
			}
			at := func(d time.Duration) uint64 { return (*carried)[int(d/sampleEvery)] }
			if n := at(2800*time.Millisecond) - at(1200*time.Millisecond); n > 0 {
				t.Errorf("%d bytes came through while it was down", n)
			}
			if n := at(3*time.Second+tt.back) - at(3*time.Second); n < 100_000 {
				t.Errorf("%d bytes came through in %v after it was back, want some", n, tt.back)
			}
			if s := r.Stats[0].Paths[slices.IndexFunc(r.Stats[0].Paths, func(p engine.PathStats) bool { return p.Link == "b" })]; s.Dead != (tt.down == 0) {
				t.Errorf("the path was found dead: %v; want that it was given up at once, or found", s.Dead)
			}
		})
	}
}

// A link that ends at a router and loses its carrier is no loss at the server: the other
// path from the same address stays.
func TestLinkToARouterGoesDown(t *testing.T) {
	c := sharing(8e6)
	for i := range c.Links {
		c.Links[i] = shallow(c.Links[i])
	}
	c.Trunks[0].Up.Queue.Time, c.Trunks[0].Down.Queue.Time = 10*time.Millisecond, 10*time.Millisecond
	c.Links[1].Outages = []Outage{{At: time.Second, Down: true}}
	r := mustRun(t, c)
	if r.Receiver.MaxGap > 100*time.Millisecond {
		t.Errorf("the stream stood still for %v, want 100 ms at most", r.Receiver.MaxGap)
	}
	if g := r.Goodput(); g < 16e6 {
		t.Errorf("%.1f Mbit/s, want most of the trunk's 20 over the link that is left", g/1e6)
	}
}

// The smallest MTU may lie behind a router: it is found.
func TestTrunkIsNarrow(t *testing.T) {
	p := &peer{say: make([]byte, 4<<20)}
	trunk := plain("trunk", "r", toServer, time.Millisecond, time.Millisecond)
	trunk.MTU = 1400
	l := newLab(t, LabConfig{Links: []Link{through(between("a", 1, 20e6, 20*time.Millisecond), "r", behind, "trunk")}, Trunks: []Trunk{trunk}, Seed: 1}, p, &echo{})
	p.dial(t, l, "a")
	if m := p.conn.Metrics(); m.MTU > 1372 || m.MTU < 1352 || m.Link != "a" {
		t.Errorf("%+v: want a payload of 1372 bytes, or a little less, over a", m)
	}
}

// TestTrunkSeeds moves data over links that do what a seed makes up, and whose ways meet
// in routers. Whatever it is, every byte arrives.
func TestTrunkSeeds(t *testing.T) {
	for seed := range uint64(10) {
		c := seededBond(seed)
		trunks := [2]Link{seededConfig(seed + 100).Links[0], seededConfig(seed + 200).Links[0]}
		for i, name := range []string{"near", "far"} {
			c.Trunks = append(c.Trunks, Trunk{Name: name, Ends: [2]string{name, toServer}, Up: trunks[i].Up, Down: trunks[i].Down})
		}
		c.Trunks[0].Ends[1] = "far"
		for i := range c.Links {
			switch i % 3 {
			case 1:
				c.Links[i] = through(c.Links[i], "far", behind, "far")
			case 2:
				c.Links[i] = through(c.Links[i], "near", behind, "near", "far")
			}
		}
		r, err := Run(t.Context(), c)
		if err != nil || r.Err() != nil || r.Receiver.Bytes != c.Bulk.Bytes {
			t.Errorf("seed %d: %d of %d bytes after %v: %v, %v", seed, r.Receiver.Bytes, c.Bulk.Bytes, r.Elapsed, err, r.Err())
		}
	}
}

func TestTrunkConfig(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no such trunk", func(c *Config) { c.Links[0].Through = []string{"tunnel"} }, "leads through tunnel, which is no trunk"},
		{"a router and no trunk", func(c *Config) { c.Links[0].Through = nil }, "one without the other"},
		{"a trunk and no router", func(c *Config) { c.Links[0].Router = "" }, "one without the other"},
		{"a trunk elsewhere", func(c *Config) { c.Links[0].Router = "q" }, "where it does not end"},
		{"no server", func(c *Config) { c.Trunks[0].Ends[1] = "q" }, "no server"},
		{"a circle", func(c *Config) {
			c.Trunks = append(c.Trunks, plain("round", "r", "r", time.Millisecond, 0))
			c.Links[0].Through = []string{"round", "trunk"}
		}, "in a circle"},
		{"past the server", func(c *Config) { c.Links[0].Through = []string{"trunk", "trunk"} }, "past it"},
		{"timeless", func(c *Config) {
			c.Links, c.Trunks = c.Links[:1], []Trunk{{Name: "trunk", Ends: [2]string{"r", toServer}}}
			c.Links[0].Up, c.Links[0].Down = emulation.Impairments{}, emulation.Impairments{}
		}, "without rate and delay"},
		{"timeless one way", func(c *Config) {
			c.Links, c.Trunks[0].Up, c.Trunks[0].Down = c.Links[:1], emulation.Impairments{Rate: 1e6}, emulation.Impairments{}
			c.Links[0].Up, c.Links[0].Down = emulation.Impairments{Rate: 1e6}, emulation.Impairments{}
		}, "without rate and delay"},
		{"timeless one way, written the other way", func(c *Config) {
			c.Links, c.Trunks[0].Ends = c.Links[:1], [2]string{toServer, "r"}
			c.Trunks[0].Up, c.Trunks[0].Down = emulation.Impairments{}, emulation.Impairments{Rate: 1e6}
			c.Links[0].Up, c.Links[0].Down = emulation.Impairments{Rate: 1e6}, emulation.Impairments{}
		}, "without rate and delay"},
		{"an unused trunk", func(c *Config) { c.Trunks = append(c.Trunks, plain("spare", "r", toServer, 1, 1)) }, "has no address"},
		{"two trunks to one address", func(c *Config) {
			c.Trunks = append(c.Trunks, plain("other", "r", toServer, 1, 1))
			c.Links[1].Through = []string{"other"}
		}, "is taken"},
		{"two routes", func(c *Config) {
			c.Trunks = append(c.Trunks, plain("x", "r", "q", 1, 1), plain("y", "r", "q", 1, 1), plain("z", "q", toServer, 1, 1))
			c.Trunks = c.Trunks[1:]
			c.Links[0].Through, c.Links[1].Through = []string{"x", "z"}, []string{"y", "z"}
		}, "has another one"},
		{"a trunk with a link's name", func(c *Config) {
			c.Trunks[0].Name, c.Links[0].Through, c.Links[1].Through = "a", []string{"a"}, []string{"a"}
		}, "has a link of that name"},
		{"a wrong outage", func(c *Config) { c.Trunks[0].Outages = []Outage{{At: -1}} }, "outage at -1ns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := sharing(1000)
			tt.change(&c)
			_, err := Run(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run = %v, want %q", err, tt.want)
			}
			if timeless := strings.HasPrefix(tt.name, "timeless"); timeless != errors.Is(err, engine.ErrUnsupported) {
				t.Errorf("%v is engine.ErrUnsupported: %v", err, !timeless)
			}
		})
	}
	c := sharing(1000)
	c.Links[0].Up, c.Links[0].Down = emulation.Impairments{}, emulation.Impairments{} // the trunk has a rate
	if err := c.Validate(); err != nil {
		t.Errorf("a link without rate and delay before a trunk with both: %v", err)
	}
}
