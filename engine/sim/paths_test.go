package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/tquiclab/tquiclab/emulation"
	"github.com/tquiclab/tquiclab/engine"
	"github.com/tquiclab/tquiclab/engine/internal/proto"
	"github.com/tquiclab/tquiclab/engine/internal/simnet"
	"github.com/tquiclab/tquiclab/engine/internal/wire"
	"github.com/tquiclab/tquiclab/engine/workload"
)

// between is a link, the same both ways, with a queue of 60 ms. number keeps addresses
// apart.
func between(name string, number byte, rate emulation.Rate, rtt time.Duration) Link {
	way := emulation.Impairments{Rate: rate, Delay: rtt / 2, Queue: emulation.Queue{Time: 60 * time.Millisecond}}
	return Link{
		Name: name, Up: way, Down: way,
		Client: netip.AddrFrom4([4]byte{10, 1, number, 1}), Server: netip.AddrFrom4([4]byte{10, 1, number, 2}),
	}
}

// shallow is the link with a queue of 10 ms. What one link owed waits in the queue of
// the other behind what that has already: a deep one is part of how long a stream stands
// still.
func shallow(l Link) Link {
	l.Up.Queue.Time, l.Down.Queue.Time = 10*time.Millisecond, 10*time.Millisecond
	return l
}

// bond is a download over several links.
func bond(bytes int64, links ...Link) Config {
	c := download(Link{}, bytes)
	c.Links = links
	return c
}

func mustRun(t *testing.T, c Config) Report {
	t.Helper()
	r, err := Run(t.Context(), c)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		t.Fatalf("over %d links: %v", len(c.Links), err)
	}
	return r
}

// Two equal clean paths bring at least 95 % of the sum of what each brings alone.
func TestBondOfEqualPaths(t *testing.T) {
	a, b := between("a", 1, 50e6, 20*time.Millisecond), between("b", 2, 50e6, 20*time.Millisecond)
	const bytes = 40e6
	sum := mustRun(t, bond(bytes, a)).Goodput() + mustRun(t, bond(bytes, b)).Goodput()
	r := mustRun(t, bond(bytes, a, b))
	if r.Goodput() < 0.95*sum {
		t.Errorf("both paths bring %.1f Mbit/s, want 95 %% of %.1f", r.Goodput()/1e6, sum/1e6)
	}
	checkParts(t, r, "a", "b")
}

// checkParts checks that the sender's statistics name the links in order, and that each
// carried a part.
func checkParts(t *testing.T, r Report, links ...string) {
	t.Helper()
	var names []string
	for _, p := range r.Stats[0].Paths {
		names = append(names, p.Link)
		if p.SentPackets < 100 || p.SRTT == 0 || p.Picks == 0 {
			t.Errorf("path %+v: want a part of the transfer", p)
		}
	}
	if !slices.Equal(names, links) {
		t.Errorf("statistics of %q, want of %q", names, links)
	}
	if r.Stats[0].Scheduler == "" {
		t.Error("no scheduler is named")
	}
}

// Each path finds the MTU of its own link.
func TestPathsOfSeveralMTUs(t *testing.T) {
	small, large := between("small", 1, 20e6, 20*time.Millisecond), between("large", 2, 20e6, 20*time.Millisecond)
	small.MTU, large.MTU = 1400, 9000
	for _, links := range [][]Link{{small, large}, {large, small}} {
		p := &peer{say: make([]byte, 4<<20)}
		l := newLab(t, LabConfig{Links: links, Seed: 1, Paths: 8}, p, &echo{})
		p.dial(t, l, links[0].Name, links[1].Name)
		for _, m := range p.conn.PathMetrics() {
			// The search ends when what is left of it is not worth a probe.
			if most := map[string]int{"small": 1372, "large": 8972}[m.Link]; m.MTU > most || m.MTU < most-20 {
				t.Errorf("%s first: a payload of %d bytes over %s, want %d, or a little less", links[0].Name, m.MTU, m.Link, most)
			}
		}
	}
}

// dial is run over links of any name.
func (p *peer) dial(t *testing.T, l *Lab, links ...string) {
	t.Helper()
	var err error
	if p.conn, err = l.Client.Dial(links...); err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context(), time.Minute, func() bool { return p.ended || p.err != nil }); err != nil || p.err != nil {
		t.Fatalf("%v, %v", err, p.err)
	}
}

// A peer without the extension has a clean single path, over the first link.
func TestBondWithAPeerWithoutMultipath(t *testing.T) {
	a, b := between("a", 1, 50e6, 20*time.Millisecond), between("b", 2, 50e6, 20*time.Millisecond)
	p := &peer{say: make([]byte, 1<<20)}
	l := newLab(t, LabConfig{Links: []Link{a, b}, Seed: 1, Paths: 8}, p, &echo{})
	l.Server.config.Paths = 0
	p.dial(t, l, "a", "b")
	if s := p.conn.Stats(); len(s.Paths) != 1 || s.Paths[0].Link != "a" {
		t.Errorf("paths %+v, want one over a", s.Paths)
	}
	if c, err := l.Counters("b"); err != nil || c.Up.ArrivedPackets+c.Down.ArrivedPackets > 0 {
		t.Errorf("%d packets on the other link, %v", c.Up.ArrivedPackets+c.Down.ArrivedPackets, err)
	}
}

// deliveredOver returns a Sample function, and where it notes the bytes that a link had
// carried to the client at each sample.
func deliveredOver(link int) (func(Sample), *[]uint64) {
	var bytes []uint64
	return func(s Sample) { bytes = append(bytes, s.Links[link].Down.DepartedBytes) }, &bytes
}

// A link that loses its carrier in mid-transfer stops the stream for less than 50 ms;
// once it is back it is used again within a second.
func TestLinkGoesDownAndComesBack(t *testing.T) {
	for _, down := range []int{0, 1} {
		t.Run(fmt.Sprintf("link %d", down), func(t *testing.T) {
			c := bond(30e6, shallow(between("a", 1, 30e6, 20*time.Millisecond)), shallow(between("b", 2, 30e6, 30*time.Millisecond)))
			c.Links[down].Outages = []Outage{{At: 1 * time.Second, Down: true}, {At: 3 * time.Second}}
			sample, carried := deliveredOver(down)
			c.Sample = sample
			r := mustRun(t, c)
			if r.Receiver.MaxGap > 50*time.Millisecond {
				t.Errorf("the stream stood still for %v, want 50 ms at most", r.Receiver.MaxGap)
			}
			at := func(d time.Duration) uint64 { return (*carried)[int(d/sampleEvery)] }
			if n := at(2800*time.Millisecond) - at(1200*time.Millisecond); n > 0 {
				t.Errorf("%d bytes came over the link while it was down", n)
			}
			if n := at(4*time.Second) - at(3*time.Second); n < 100_000 {
				t.Errorf("%d bytes came over the link in the second after it was back, want some", n)
			}
			checkParts(t, r, "a", "b")
		})
	}
}

// A link that swallows everything, without a sign, stops the stream for less than the
// larger of 100 ms and twice its RTT, which includes its queue, and is used again within
// a second when it is back.
func TestLinkGoesBlack(t *testing.T) {
	for _, black := range []int{0, 1} {
		for _, rtt := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("link %d of %v", black, rtt), func(t *testing.T) {
				c := bond(30e6, shallow(between("a", 1, 30e6, 30*time.Millisecond)), shallow(between("b", 2, 30e6, 30*time.Millisecond)))
				l := &c.Links[black]
				l.Up.Delay, l.Down.Delay = rtt/2, rtt/2
				hole := emulation.Timeline{
					{At: time.Second, Patch: emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true}}},
					{At: 3 * time.Second, Patch: emulation.Patch{Fields: emulation.FieldBlackhole}},
				}
				l.UpTimeline, l.DownTimeline = hole, hole
				sample, carried := deliveredOver(black)
				c.Sample = sample
				r := mustRun(t, c)
				if most := max(100*time.Millisecond, 2*(rtt+l.Down.Queue.Time)); r.Receiver.MaxGap > most {
					t.Errorf("the stream stood still for %v, want %v at most", r.Receiver.MaxGap, most)
				}
				at := func(d time.Duration) uint64 { return (*carried)[int(d/sampleEvery)] }
				if n := at(4*time.Second) - at(3*time.Second); n < 100_000 {
					t.Errorf("%d bytes came over the link in the second after it was back, want some", n)
				}
			})
		}
	}
}

// A path that the peer gives up, while its link is up, is opened again after a second.
func TestClosedPathIsOpenedAgain(t *testing.T) {
	a, b := between("a", 1, 20e6, 20*time.Millisecond), between("b", 2, 20e6, 20*time.Millisecond)
	p, e := &peer{say: make([]byte, 20<<20)}, &echo{}
	l := newLab(t, LabConfig{Links: []Link{a, b}, Seed: 1, Paths: 8}, p, e)
	var first, gone, again engine.PathStats
	over := func() engine.PathStats { return p.conn.Stats().Paths[1] }
	l.At(time.Second, func() {
		first = over()
		if err := e.conns[0].proto.ClosePath(l.network.Now(), 1, wire.ApplicationAbandonPath); err != nil {
			t.Error(err)
		}
		l.Server.touch(e.conns[0])
	})
	l.At(1900*time.Millisecond, func() { gone = over() })
	l.At(2500*time.Millisecond, func() { again = over() })
	p.dial(t, l, "a", "b")
	if first.SentPackets == 0 || gone.SentPackets > first.SentPackets+200 {
		t.Errorf("%d packets over b when its path was closed, %d later; want no more but a few", first.SentPackets, gone.SentPackets)
	}
	if again.SentPackets < gone.SentPackets+100 {
		t.Errorf("%d packets over b, %d when a path was due again; want more", gone.SentPackets, again.SentPackets)
	}
}

// Both sides close paths again and again, at times different ones at once, so that none is
// left: the stream goes on, on paths that are opened instead.
func TestBothSidesClosePaths(t *testing.T) {
	a, b := between("a", 1, 20e6, 20*time.Millisecond), between("b", 2, 20e6, 30*time.Millisecond)
	p, e := &peer{say: make([]byte, 60<<20)}, &echo{}
	l := newLab(t, LabConfig{Links: []Link{a, b}, Seed: 1, Paths: 8}, p, e)
	on := func(c *Conn, k Link) (id wire.PathID, ok bool) {
		for _, q := range c.proto.Stats().Paths {
			if (q.Local.Addr() == k.Client || q.Local.Addr() == k.Server) && q.State == proto.PathActive {
				id, ok = q.ID, true
			}
		}
		return id, ok
	}
	both := 0
	for n, late := range []time.Duration{0, 0, 5 * time.Millisecond, -5 * time.Millisecond, 9 * time.Millisecond, -9 * time.Millisecond} {
		at := time.Duration(1+2*n) * time.Second
		k := [2]Link{a, b}
		if n%2 == 1 {
			k[0], k[1] = b, a
		}
		closes := func(h *Host, c *Conn, k Link) {
			if id, ok := on(c, k); ok && c.proto.ClosePath(h.now(), id, wire.ApplicationAbandonPath) == nil {
				both++
			}
			h.touch(c)
		}
		l.At(at, func() { closes(l.Client, p.conn, k[0]) })
		l.At(at+late, func() { closes(l.Server, e.conns[0], k[1]) })
	}
	p.dial(t, l, "a", "b")
	if both != 12 {
		t.Errorf("%d paths were closed, want one by each side each time", both)
	}
	for _, c := range []*Conn{p.conn, e.conns[0]} {
		if n := len(c.proto.Stats().Paths); n < 8 {
			t.Errorf("%d paths there were, want one more for each that was closed", n)
		}
	}
}

// TestBondSeeds moves data over 2 to 8 links that do what a seed makes up, with
// timelines and outages that leave one link alone. Whatever it is, every byte arrives.
func TestBondSeeds(t *testing.T) {
	const ordinary = 20
	for seed := range seedRange(t, ordinary) {
		runBondSeed(t, seed)
	}
}

// Seeds that found defects: a crash (6, 1529), data that nobody sent again (219, 234,
// 563), acknowledgements whose time came again and again (716, 1488).
func TestBondSeedsThatFoundDefects(t *testing.T) {
	for _, seed := range []uint64{6, 219, 234, 563, 716, 1488, 1529} {
		runBondSeed(t, seed)
	}
}

func runBondSeed(t *testing.T, seed uint64) {
	t.Run(fmt.Sprint(seed), func(t *testing.T) {
		c := seededBond(seed)
		r, err := Run(t.Context(), c)
		if err != nil || r.Err() != nil || r.Receiver.Bytes != c.Bulk.Bytes {
			t.Errorf("%d of %d bytes after %v: %v, %v\nlinks: %+v\n%s",
				r.Receiver.Bytes, c.Bulk.Bytes, r.Elapsed, err, r.Err(), c.Links, replay("TestBondSeeds", seed))
		}
	})
}

// seededBond makes up a transfer over several links. The first always works, so that
// the handshake has a way.
func seededBond(seed uint64) Config {
	c := seededConfig(seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	c.Links = nil
	for i := range 2 + rng.IntN(7) {
		l := seededConfig(rng.Uint64()).Links[0]
		l.Name = fmt.Sprint("l", i)
		l.Client, l.Server = netip.AddrFrom4([4]byte{10, 2, byte(i), 1}), netip.AddrFrom4([4]byte{10, 2, byte(i), 2})
		if i == 0 {
			l.faults = [2]simnet.Faults{}
		} else {
			l.Outages = seededOutages(rng)
			l.UpTimeline, l.DownTimeline = seededTimeline(rng, l.Up), seededTimeline(rng, l.Down)
		}
		c.Links = append(c.Links, l)
	}
	return c
}

func seededOutages(rng *rand.Rand) []Outage {
	if rng.IntN(2) == 0 {
		return nil
	}
	at := time.Duration(rng.Int64N(int64(5 * time.Second)))
	out := []Outage{{At: at, Down: true}}
	if rng.IntN(3) > 0 {
		out = append(out, Outage{At: at + time.Duration(rng.Int64N(int64(4*time.Second)))})
	}
	if len(out) == 2 && rng.IntN(2) == 0 { // a link that flaps
		for i := range out {
			out[i].Every = 5 * time.Second
		}
	}
	return out
}

func seededTimeline(rng *rand.Rand, now emulation.Impairments) emulation.Timeline {
	var t emulation.Timeline
	at := time.Duration(0)
	for range rng.IntN(4) {
		at += time.Duration(1 + rng.Int64N(int64(2*time.Second)))
		p := emulation.Patch{Fields: emulation.FieldRate, Values: emulation.Impairments{Rate: now.Rate/4 + emulation.Rate(rng.Int64N(int64(now.Rate)))}}
		switch rng.IntN(3) {
		case 0:
			p = emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true}}
		case 1:
			p = emulation.Patch{Fields: emulation.FieldBlackhole}
		}
		t = append(t, emulation.Change{At: at, Patch: p})
	}
	return t
}

// One seed gives one result over several links, too.
func TestBondRepeats(t *testing.T) {
	run := func() Report {
		c := seededBond(5)
		c.Bulk = workload.Bulk{Seed: 1, Bytes: 1 << 20, Streams: 2}
		return mustRun(t, c)
	}
	if a, b := run(), run(); a.Elapsed != b.Elapsed || a.Events != b.Events || !slices.Equal(a.Stats[0].Paths, b.Stats[0].Paths) {
		t.Errorf("%v, %d events, %+v; again %v, %d, %+v", a.Elapsed, a.Events, a.Stats[0].Paths, b.Elapsed, b.Events, b.Stats[0].Paths)
	}
}

// What is lost on the near path is sent again there, also while the far one has room: the
// stream never stands still for the far path's round trip.
func TestLostDataTakesTheNearPath(t *testing.T) {
	near, far := between("near", 1, 30e6, 20*time.Millisecond), between("far", 2, 30e6, 300*time.Millisecond)
	near.Down.Loss = 0.002
	if r := mustRun(t, bond(60e6, near, far)); r.Receiver.MaxGap > 200*time.Millisecond {
		t.Errorf("the stream stood still for %v, want 200 ms at most", r.Receiver.MaxGap)
	}
}

// lteAndWiFi are links as lte-wifi has them, but for losses: round trips vary, queues are
// deep, and a full datagram is too big for one of them.
func lteAndWiFi() []Link {
	const ms = time.Millisecond
	lte, wifi := between("lte", 1, 40e6, 70*ms), between("wifi", 2, 60e6, 16*ms)
	lte.MTU = 1400
	lte.Up.Rate, wifi.Up.Rate = 12e6, 30e6
	lte.Up.Jitter, lte.Down.Jitter, wifi.Up.Jitter, wifi.Down.Jitter = 5*ms, 5*ms, 2*ms, 2*ms
	lte.Down.Queue.Time, wifi.Down.Queue.Time = 300*ms, 100*ms
	return []Link{lte, wifi}
}

// Of these links, too, one that swallows everything is found soon, what it owed does not
// wait in the other one's queue, and it is used again within a second.
func TestLTEOrWiFiGoesBlack(t *testing.T) {
	for seed := range uint64(3) {
		for black := range 2 {
			t.Run(fmt.Sprintf("link %d seed %d", black, seed), func(t *testing.T) {
				c := bond(50e6, lteAndWiFi()...)
				c.Seed = seed
				at := 2*time.Second + time.Duration(seed)*170*time.Millisecond // probing, or not
				hole := emulation.Timeline{
					{At: at, Patch: emulation.Patch{Fields: emulation.FieldBlackhole, Values: emulation.Impairments{Blackhole: true}}},
					{At: at + 2*time.Second, Patch: emulation.Patch{Fields: emulation.FieldBlackhole}},
				}
				c.Links[black].UpTimeline, c.Links[black].DownTimeline = hole, hole
				sample, carried := deliveredOver(black)
				c.Sample = sample
				r := mustRun(t, c)
				if r.Receiver.MaxGap > 100*time.Millisecond {
					t.Errorf("the stream stood still for %v, want 100 ms at most", r.Receiver.MaxGap)
				}
				back := int((at + 2*time.Second) / sampleEvery)
				if n := (*carried)[back+9] - (*carried)[back]; n < 500_000 {
					t.Errorf("%d bytes came over the link in the second after it was back, want 500 kB", n)
				}
			})
		}
	}
}

// With its carrier gone, the stream goes on as soon as the other link can bring what is
// missing: usually within 50 ms, and by its queue more where it probes for bandwidth, and
// so has a queue, at the moment.
func TestLTEOrWiFiGoesDown(t *testing.T) {
	const ms = time.Millisecond
	for down := range 2 {
		t.Run(fmt.Sprintf("link %d", down), func(t *testing.T) {
			var longest []time.Duration
			for seed := range uint64(5) {
				c := bond(32e6, lteAndWiFi()...)
				c.Seed = seed
				at := 2*time.Second + time.Duration(seed)*170*ms
				c.Links[down].Outages = []Outage{{At: at, Down: true}, {At: at + 2*time.Second}}
				var most time.Duration
				for _, g := range mustRun(t, c).Receiver.Gaps {
					if g.At > time.Second { // the first byte takes a round trip, too
						most = max(most, g.For)
					}
				}
				longest = append(longest, most)
			}
			slices.Sort(longest)
			if median, most := longest[len(longest)/2], longest[len(longest)-1]; median > 50*ms || most > 70*ms {
				t.Errorf("the stream stood still for %v, want a median of 50 ms and 70 ms at most", longest)
			}
		})
	}
}
