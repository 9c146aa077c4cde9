package sim

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine/internal/dial"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// delaying is a link that only delays, the same both ways. number keeps addresses apart.
func delaying(name string, number byte, rtt time.Duration) Link {
	l := between(name, number, 0, rtt)
	l.Up, l.Down = emulation.Impairments{Delay: rtt / 2}, emulation.Impairments{Delay: rtt / 2}
	return l
}

// narrow is a link on which no handshake fits: QUIC's datagrams are 1200 bytes.
func narrow(name string, number byte) Link {
	l := delaying(name, number, 20*time.Millisecond)
	l.MTU = 1200
	return l
}

// black is a link that swallows everything.
func black(name string, number byte) Link {
	l := delaying(name, number, 20*time.Millisecond)
	l.Up.Blackhole, l.Down.Blackhole = true, true
	return l
}

// caller notes what an application hears of its connections, and when.
type caller struct {
	lab       *Lab
	connected []*Conn
	at        []time.Duration // by connected
	closed    []*Conn
	closedAt  []time.Duration // by closed
	err       error           // of the last closed
}

func (c *caller) Connected(conn *Conn) {
	c.connected, c.at = append(c.connected, conn), append(c.at, c.lab.Elapsed())
}

func (c *caller) Closed(conn *Conn, err error) {
	c.closed, c.closedAt, c.err = append(c.closed, conn), append(c.closedAt, c.lab.Elapsed()), err
}

func (*caller) Readable(*Stream) {}
func (*caller) Writable(*Stream) {}

// racing is a lab whose client dials over the links at once.
func racing(t *testing.T, links ...Link) (l *Lab, client, server *caller, first *Conn) {
	t.Helper()
	client, server = &caller{}, &caller{}
	l = newLab(t, LabConfig{Links: links, Seed: 1, Paths: 8}, client, server)
	client.lab, server.lab = l, l
	var names []string
	for _, k := range links {
		names = append(names, k.Name)
	}
	first, err := l.Client.Dial(names...)
	if err != nil {
		t.Fatal(err)
	}
	return l, client, server, first
}

func (l *Lab) runFor(t *testing.T, d time.Duration) {
	t.Helper()
	if err := l.Run(t.Context(), l.Elapsed()+d, nil); err != nil {
		t.Fatal(err)
	}
}

// Each link is tried 250 ms after the one before, to the nanosecond, and the first
// handshake that is complete is the connection.
func TestDialRace(t *testing.T) {
	const rtt = 40 * time.Millisecond
	tests := []struct {
		name  string
		links []Link
		over  string // the winner
		at    time.Duration
		// tried are the links that had a packet up by then.
		tried []string
	}{
		{"the first answers", []Link{delaying("a", 1, rtt), delaying("b", 2, rtt)}, "a", rtt, []string{"a"}},
		{
			"the first answers at the instant when the second is due",
			[]Link{delaying("a", 1, dial.Stagger), delaying("b", 2, rtt)},
			"a", dial.Stagger,
			[]string{"a"},
		},
		{"the first is narrow", []Link{narrow("a", 1), delaying("b", 2, rtt)}, "b", dial.Stagger + rtt, []string{"b"}},
		{
			"one is narrow, one black",
			[]Link{narrow("a", 1), black("b", 2), delaying("c", 3, rtt)},
			"c", 2*dial.Stagger + rtt,
			[]string{"b", "c"},
		},
		{
			"the first is slower",
			[]Link{delaying("a", 1, 300*time.Millisecond), delaying("b", 2, rtt)},
			"b", dial.Stagger + rtt,
			[]string{"a", "b"},
		},
		{
			"the first is slow, the second slower",
			[]Link{delaying("a", 1, 300*time.Millisecond), delaying("b", 2, 100*time.Millisecond)},
			"a", 300 * time.Millisecond,
			[]string{"a", "b"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, client, server, _ := racing(t, tt.links...)
			if err := l.Run(t.Context(), time.Minute, func() bool { return len(client.connected) > 0 }); err != nil {
				t.Fatal(err)
			}
			if client.at[0] != tt.at || client.connected[0].Link() != tt.over {
				t.Errorf("connected over %s after %v, want %s and %v", client.connected[0].Link(), client.at[0], tt.over, tt.at)
			}
			var tried []string
			for _, k := range tt.links {
				if c, err := l.Counters(k.Name); err != nil || c.Up.ArrivedPackets > 0 {
					tried = append(tried, k.Name)
				}
			}
			if !slices.Equal(tried, tt.tried) {
				t.Errorf("packets on %q, want on %q", tried, tt.tried)
			}
			l.runFor(t, 15*time.Second)
			if len(client.connected) != 1 || len(server.connected) != 1 || len(client.closed)+len(server.closed) > 0 {
				t.Errorf("%d and %d connections, %d and %d closed; want one and no other heard of",
					len(client.connected), len(server.connected), len(client.closed), len(server.closed))
			}
			if n := len(l.Client.Conns()) + len(l.Server.Conns()); n != 2 {
				t.Errorf("%d connections are left, want the two ends of one: those beaten are over", n)
			}
		})
	}
}

// The winner gets a path over each of the other links that works, also over that of an
// attempt that it has beaten; a narrow one's is never proved.
func TestWinnerUsesAllLinks(t *testing.T) {
	l, client, _, _ := racing(t, narrow("a", 1), delaying("b", 2, 300*time.Millisecond), delaying("c", 3, 20*time.Millisecond))
	l.runFor(t, 3*time.Second)
	if len(client.connected) != 1 || client.connected[0].Link() != "c" {
		t.Fatalf("connections %v, want one, over c", client.connected)
	}
	conn := client.connected[0]
	states := map[string]proto.PathState{}
	for _, p := range conn.proto.Stats().Paths {
		states[conn.linkOf(p)] = p.State
	}
	if want := map[string]proto.PathState{"a": proto.PathValidating, "b": proto.PathActive, "c": proto.PathActive}; !maps.Equal(states, want) {
		t.Errorf("paths %v, want %v", states, want)
	}
	var links []string
	for _, p := range conn.Stats().Paths {
		links = append(links, p.Link)
	}
	if want := []string{"a", "b", "c"}; !slices.Equal(links, want) {
		t.Errorf("statistics of %q, want of %q: Dial's order", links, want)
	}
}

// A dialling that leads nowhere is told once, of the Conn that Dial returned, with each
// link's reason, when the last attempt has failed.
func TestDialOverDeadLinks(t *testing.T) {
	l, client, server, first := racing(t, black("a", 1), black("b", 2))
	l.runFor(t, time.Minute)
	if len(client.connected)+len(server.connected)+len(server.closed) > 0 || len(client.closed) != 1 || client.closed[0] != first {
		t.Fatalf("client %+v, server %+v: want the failure told once", client, server)
	}
	for _, want := range []string{"dial over a", "dial over b"} {
		if !strings.Contains(client.err.Error(), want) {
			t.Errorf("the reason is %q, which does not say %q", client.err, want)
		}
	}
	const timeout = 10 * time.Second // a handshake's
	if want := dial.Stagger + timeout; client.closedAt[0] != want {
		t.Errorf("told after %v, want %v", client.closedAt[0], want)
	}
	if n := len(l.Client.Conns()) + len(l.Client.races); n != 0 {
		t.Errorf("%d connections and races are left", n)
	}
}

// Who closes what is being dialled ends all attempts, and none begins any more.
func TestCloseEndsTheRace(t *testing.T) {
	l, client, _, first := racing(t, black("a", 1), delaying("b", 2, time.Second), delaying("c", 3, time.Second))
	l.At(300*time.Millisecond, func() { first.Close(7, "enough") })
	l.runFor(t, time.Minute)
	if len(client.connected) > 0 || len(client.closed) != 1 || client.closed[0] != first || client.closedAt[0] != 300*time.Millisecond {
		t.Errorf("%+v: want the end told once, at once", client)
	}
	if c, err := l.Counters("c"); err != nil || c.Up.ArrivedPackets > 0 {
		t.Errorf("%d packets over a link whose turn came later, %v", c.Up.ArrivedPackets, err)
	}
	if n := len(l.Client.Conns()) + len(l.Server.Conns()) + len(l.Client.races); n != 0 {
		t.Errorf("%d connections and races are left", n)
	}
}

// Conn over one link fails by that link's reason.
func TestDialOverADeadLink(t *testing.T) {
	l, client, _, first := racing(t, black("a", 1))
	l.runFor(t, time.Minute)
	if len(client.closed) != 1 || client.closed[0] != first || !strings.Contains(client.err.Error(), "dial over a") {
		t.Errorf("%+v: want the failure told once", client)
	}
}

// A transfer whose first link cannot carry QUIC goes over the others, both ways.
func TestTransferWithADeadFirstLink(t *testing.T) {
	for _, sender := range []Side{Client, Server} {
		small, plain := between("small", 1, 20e6, 20*time.Millisecond), between("plain", 2, 20e6, 20*time.Millisecond)
		small.MTU = 1200
		c := bond(4<<20, small, plain)
		c.Sender, c.Connections = sender, 2
		c.Bulk = workload.Bulk{Seed: 1, Bytes: 4 << 20, Streams: 2}
		alone := c
		alone.Links = c.Links[1:]
		r := mustRun(t, c)
		if r.SetUp < dial.Stagger+20*time.Millisecond || r.SetUp > dial.Stagger+40*time.Millisecond {
			t.Errorf("set up after %v, want a round trip after the second attempt's turn", r.SetUp)
		}
		if want := 0.9 * mustRun(t, alone).Goodput(); r.Goodput() < want {
			t.Errorf("%.1f Mbit/s, want %.1f: 90 %% of what the plain link has alone", r.Goodput()/1e6, want/1e6)
		}
		for _, s := range r.Stats {
			for _, p := range s.Paths {
				if onPlain := p.Link == "plain"; onPlain != (p.Picks > 0) {
					t.Errorf("path %+v: want all data on the plain one", p)
				}
			}
		}
	}
}

// A handshake that the server gives up is none that its application hears of.
func TestServerHearsOfNoFailedHandshake(t *testing.T) {
	a := delaying("a", 1, 20*time.Millisecond)
	l, client, server, _ := racing(t, a)
	l.At(5*time.Millisecond, func() { // the first flight is under way: nothing will come back
		if err := l.Set("a", a.Up, emulation.Impairments{Delay: a.Down.Delay, Blackhole: true}); err != nil {
			t.Error(err)
		}
	})
	begun := func() bool { return len(l.Server.Conns()) > 0 }
	if err := l.Run(t.Context(), time.Second, begun); err != nil || !begun() {
		t.Fatalf("%v: the server has heard nothing", err)
	}
	l.runFor(t, time.Minute)
	if len(server.connected)+len(server.closed) > 0 || len(client.closed) != 1 {
		t.Errorf("server %+v, client %+v; want that the client alone heard of it", server, client)
	}
	if n := len(l.Server.Conns()); n != 0 {
		t.Errorf("the server has %d connections", n)
	}
}

// A path that has yet to prove itself carries no data, not even in probes: what is lost on
// a link that swallows everything holds nothing up (draft-ietf-quic-multipath-21, section
// 3.1: the address MUST be validated before data is sent).
func TestUnprovedPathHoldsNothingUp(t *testing.T) {
	for _, sender := range []Side{Client, Server} {
		c := bond(6<<20, between("plain", 1, 20e6, 20*time.Millisecond), black("black", 2))
		c.Sender = sender
		if r := mustRun(t, c); r.Receiver.MaxGap > 60*time.Millisecond {
			t.Errorf("from the %s: the stream stood still for %v, want no longer than without the black link", sender, r.Receiver.MaxGap)
		}
	}
}
