package topologies

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// network makes a topology of a line per node, `name`, `name router` or `name nat
// inside...`, and per link, `name: node node [ipv4|ipv6]`.
func network(lines ...string) Topology {
	var t Topology
	for _, line := range lines {
		name, ends, isLink := strings.Cut(line, ":")
		words := strings.Fields(ends)
		if !isLink {
			words = strings.Fields(line)
			n := Node{Name: words[0]}
			if len(words) > 1 {
				n.Kind, n.Inside = NodeKind(words[1]), words[2:]
			}
			t.Nodes = append(t.Nodes, n)
			continue
		}
		l := Link{Name: name, Endpoints: [2]string{words[0], words[1]}, MTU: 1500 - len(t.Links)}
		for end := range l.Endpoints {
			for f := range families {
				if len(words) < 3 || words[2] == strings.ToLower(f.String()) {
					l.Addresses[end] = append(l.Addresses[end], defaultPrefix(f, len(t.Links), end))
				}
			}
		}
		t.Links = append(t.Links, l)
	}
	return t
}

// text is a path as `name: node link node link node local>remote`.
func text(p Path) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", p.Name, p.Nodes[0])
	for i, l := range p.Links {
		fmt.Fprintf(&b, " %s %s", l.Name, p.Nodes[i+1])
	}
	fmt.Fprintf(&b, " %v>%v", p.Local, p.Remote)
	return b.String()
}

// The addresses are 10.77.i.1 at the first end of the i-th link and .2 at the other.
func TestPaths(t *testing.T) {
	twoWays := network("client", "server", "lte: client server", "wifi: client server")
	bottleneck := network("client", "server", "r router", "a: client r", "b: client r", "wan: r server")
	nat := network("client", "home nat lan", "server", "lan: client home", "wan: home server")
	tests := []struct {
		name     string
		t        Topology
		from, to string
		want     []string
	}{
		{"links that join", twoWays, "client", "server", []string{
			"lte: client lte server 10.77.0.1>10.77.0.2", "wifi: client wifi server 10.77.1.1>10.77.1.2",
		}},
		{"the other way", twoWays, "server", "client", []string{
			"lte: server lte client 10.77.0.2>10.77.0.1", "wifi: server wifi client 10.77.1.2>10.77.1.1",
		}},
		{"a shared bottleneck", bottleneck, "client", "server", []string{
			"a: client a r wan server 10.77.0.1>10.77.2.2", "b: client b r wan server 10.77.1.1>10.77.2.2",
		}},
		{"one path from the side with one link", bottleneck, "server", "client", []string{
			"wan: server wan r a client 10.77.2.2>10.77.0.1",
		}},
		{"out of a NAT", nat, "client", "server", []string{"lan: client lan home wan server 10.77.0.1>10.77.1.2"}},
		{"into a NAT", nat, "server", "client", nil},
		{"to itself", twoWays, "client", "client", nil},
		{"to a router", bottleneck, "client", "r", nil},
		{"to nobody", twoWays, "client", "nobody", nil},
		{"hosts forward nothing", network("a", "b", "c", "x: a b", "y: b c"), "a", "c", nil},
		{
			"each last link once",
			network("c", "s", "r router", "a: c r", "b: c r", "x: r s", "y: r s"), "c", "s",
			[]string{"a: c a r x s 10.77.0.1>10.77.2.2", "b: c b r y s 10.77.1.1>10.77.3.2"},
		},
		{
			"the shortest before the first in the file",
			network("c", "s", "r router", "q router", "long: q r", "a: c q", "x: r s", "y: q s"), "c", "s",
			[]string{"a: c a q y s 10.77.1.1>10.77.3.2"},
		},
		{
			"of two as short, the first in the file",
			network("c", "s", "r router", "q router", "a: c q", "up: q r", "down: r q", "x: r s"), "c", "s",
			[]string{"a: c a q up r x s 10.77.0.1>10.77.3.2"},
		},
		{
			// Not by the first link on the way: the answers would choose another one.
			"the one with the link that comes first in the file",
			network("s", "c", "q router", "r router", "u router", "v router", "e: s q", "b: u r", "d: v q", "a: u q", "g: v r", "f: r c"), "c", "s",
			[]string{"f: c f r b u a q e s 10.77.5.2>10.77.0.1"},
		},
		{
			"around a NAT that hides the other host",
			network("c", "s", "r router", "n nat home", "a: c r", "short: r n", "home: n s"), "c", "s", nil,
		},
		{
			"through two NATs",
			network("c", "n nat lan", "cg nat mid", "s", "lan: c n", "mid: n cg", "wan: cg s"), "c", "s",
			[]string{"lan: c lan n mid cg wan s 10.77.0.1>10.77.2.2"},
		},
		{
			"between two behind one NAT",
			network("c", "s", "n nat a b", "a: c n", "b: s n"), "c", "s",
			[]string{"a: c a n b s 10.77.0.1>10.77.1.1"},
		},
		{
			"IPv6 only", network("c", "s", "r router", "a: c r ipv6", "x: r s"), "c", "s",
			[]string{"a: c a r x s fd74:7171::1>fd74:7171:0:1::2"},
		},
		{
			"one family for all where one can serve all",
			network("c", "s", "a: c s ipv6", "b: c s"), "c", "s",
			[]string{"a: c a s fd74:7171::1>fd74:7171::2", "b: c b s fd74:7171:0:1::1>fd74:7171:0:1::2"},
		},
		{
			"a family for each where none can serve all",
			network("c", "s", "a: c s ipv6", "b: c s ipv4", "d: c s"), "c", "s",
			[]string{"a: c a s fd74:7171::1>fd74:7171::2", "b: c b s 10.77.1.1>10.77.1.2", "d: c d s 10.77.2.1>10.77.2.2"},
		},
		{"no family from end to end", network("c", "s", "r router", "a: c r ipv6", "x: r s ipv4"), "c", "s", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range tt.t.Paths(tt.from, tt.to) {
				got = append(got, text(p))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDialler(t *testing.T) {
	tests := []struct {
		name string
		t    Topology
		want string
	}{
		{"the first end of the first link", network("b", "a", "x: a b", "y: b a"), "a"},
		{"the same, written the other way", network("a", "b", "x: b a", "y: a b"), "b"},
		{"the first link of either", network("a", "b", "r router", "q router", "z: r q", "x: r b", "y: q a"), "b"},
		{"who has more paths", network("b", "a", "r router", "wan: b r", "x: r a", "y: a r"), "a"},
		{"who is behind a NAT", network("a", "b", "n nat y", "x: a n", "y: n b"), "b"},
		{"who is not on a path is not asked", network("a", "b", "c", "q: b c", "x: a b"), "a"},
		{"the first named where there is no path", network("b", "a"), "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dialler, listener := tt.t.Dialler("a", "b")
			if dialler != tt.want || listener == dialler {
				t.Errorf("Dialler = %s, %s; want %s first", dialler, listener, tt.want)
			}
		})
	}
}

func TestEnginesArePinnedToFirstLinks(t *testing.T) {
	top := network("s", "c", "r router", "wan: s r", "a: r c", "b: c r")
	if diff := cmp.Diff([]string{"a", "b"}, top.PathNames("s", "c")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := network("s", "c").PathNames("s", "c"); got == nil || len(got) > 0 {
		t.Errorf("without links: %#v, want none", got)
	}
	if err := top.CheckEngine(EngineRef{Name: "tcp", Links: []string{"b"}}, "s", "c", nil); err != nil {
		t.Error(err)
	}
	err := top.CheckEngine(EngineRef{Name: "tcp", Links: []string{"wan"}}, "s", "c", nil)
	if err == nil || !strings.Contains(err.Error(), "expected one of a, b") {
		t.Errorf("CheckEngine = %v, want it to name the first links", err)
	}
}

func TestPathKnowsItsWays(t *testing.T) {
	top := network("c", "s", "r router", "a: r c", "x: r s")
	top.Links[0].Up.Rate, top.Links[0].Down.Rate = 1, 2
	top.Links[1].Up.Rate, top.Links[1].Down.Rate = 3, 4
	p := top.Paths("c", "s")[0]
	got := fmt.Sprint(p.Way(0), p.BackWay(0), p.Way(1), p.BackWay(1),
		p.Toward(0, "s").Rate, p.Toward(0, "c").Rate, p.Toward(1, "s").Rate, p.Toward(1, "c").Rate, p.MTU())
	if want := fmt.Sprint("down", "up", "up", "down", top.Links[0].Down.Rate, top.Links[0].Up.Rate, top.Links[1].Up.Rate, top.Links[1].Down.Rate, 1499); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// anyNetwork draws a topology of hosts, routers and NATs.
func anyNetwork(t *rapid.T) Topology {
	var lines []string
	nodes := rapid.IntRange(2, 9).Draw(t, "nodes")
	kinds := []string{"", "", "router", "router", "router", "nat"}
	links := rapid.IntRange(1, 14).Draw(t, "links")
	ends := make([][2]int, links)
	for i := range ends {
		a := rapid.IntRange(0, nodes-1).Draw(t, "a")
		b := rapid.IntRange(0, nodes-2).Draw(t, "b")
		if b >= a {
			b++
		}
		ends[i] = [2]int{a, b}
	}
	for n := range nodes {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		line := fmt.Sprintf("n%d %s", n, kind)
		for i, e := range ends {
			if kind == "nat" && (e[0] == n || e[1] == n) && rapid.Bool().Draw(t, "inside") {
				line += fmt.Sprintf(" l%d", i)
			}
		}
		lines = append(lines, line)
	}
	for i, e := range ends {
		lines = append(lines, fmt.Sprintf("l%d: n%d n%d %s", i, e[0], e[1], rapid.SampledFrom([]string{"", "", "ipv4", "ipv6"}).Draw(t, "family")))
	}
	top := network(lines...)
	for i, n := range top.Nodes {
		if n.Kind == NAT && leaks(top, n) {
			top.Nodes[i] = Node{Name: n.Name, Kind: Router}
		}
	}
	return top
}

// leaks reports whether something that forwards joins the NAT's inside and outside
// around it.
func leaks(t Topology, nat Node) bool {
	g := newGraph(t)
	start := g.index[nat.Name]
	for _, l := range g.links[start] {
		if !g.inside(start, l) {
			continue
		}
		seen := map[int]bool{start: true}
		for todo := []int{g.across(l, start)}; len(todo) > 0; todo = todo[1:] {
			n := todo[0]
			if seen[n] || !t.Nodes[n].Forwards() {
				continue
			}
			seen[n] = true
			for _, m := range g.links[n] {
				if g.across(m, n) == start && !g.inside(start, m) {
					return true
				}
				todo = append(todo, g.across(m, n))
			}
		}
	}
	return false
}

// packet is on its way through the nodes' tables.
type packet struct{ source, destination netip.Addr }

// translation is what a NAT remembers of a flow.
type translation struct {
	nat             string
	inside, outside netip.Addr
}

// journey follows a packet by the routes alone, as the kernel would, and returns the
// links that it took; false when it got lost. NATs put their own address in, and turn
// the answers to that back.
func journey(t Topology, routes map[string]NodeRoutes, from string, p *packet, known []translation) (links []string, made []translation, ok bool) {
	node, arrivedOn := from, ""
	for range len(t.Nodes) + 1 {
		n := t.Nodes[slices.IndexFunc(t.Nodes, func(n Node) bool { return n.Name == node })]
		answered := false
		for _, m := range known {
			if arrivedOn != "" && m.nat == node && m.outside == p.destination {
				p.destination, answered = m.inside, true
			}
		}
		if owns(t, node, p.destination) {
			return links, made, true
		}
		if arrivedOn != "" && !n.Forwards() {
			return links, made, false
		}
		out := lookup(t, routes[node], node, *p, arrivedOn == "")
		if out == "" {
			return links, made, false
		}
		if n.Kind == NAT && arrivedOn != "" {
			in, outside := slices.Contains(n.Inside, arrivedOn), !slices.Contains(n.Inside, out)
			switch {
			case in && outside:
				m := translation{nat: node, inside: p.source, outside: addressOn(t, out, node, p.source)}
				p.source, made = m.outside, append(made, m)
			case !in && !outside && !answered:
				return links, made, false
			}
		}
		links = append(links, out)
		node, arrivedOn = otherEnd(t, out, node), out
	}
	return links, made, false
}

// lookup returns the link that the packet leaves on.
func lookup(t Topology, r NodeRoutes, node string, p packet, own bool) string {
	number := MainTable
	if own {
		for _, rule := range r.Rules {
			if rule.From == p.source {
				number = rule.Table
			}
		}
	}
	best, link := -1, ""
	consider := func(to netip.Prefix, out string) {
		if to.Contains(p.destination) && to.Bits() > best {
			best, link = to.Bits(), out
		}
	}
	for _, route := range r.Routes {
		if route.Table == number {
			consider(route.To, route.Link)
		}
	}
	if number == MainTable {
		for _, l := range t.Links {
			if end := l.End(node); end >= 0 {
				for _, prefix := range l.Addresses[end] {
					consider(prefix.Masked(), l.Name)
				}
			}
		}
	}
	return link
}

func owns(t Topology, node string, a netip.Addr) bool {
	for _, l := range t.Links {
		if end := l.End(node); end >= 0 {
			for _, p := range l.Addresses[end] {
				if p.Addr() == a {
					return true
				}
			}
		}
	}
	return false
}

func linkNamed(t Topology, name string) Link {
	return t.Links[slices.IndexFunc(t.Links, func(l Link) bool { return l.Name == name })]
}

func otherEnd(t Topology, link, node string) string {
	l := linkNamed(t, link)
	return l.Endpoints[1-l.End(node)]
}

func addressOn(t Topology, link, node string, like netip.Addr) netip.Addr {
	l := linkNamed(t, link)
	for _, p := range l.Addresses[l.End(node)] {
		if p.Addr().Is4() == like.Is4() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// What Paths says is what packets do under Routes, there and, past the NATs'
// translations, back.
func TestPathsAreWhatRoutesDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		top := anyNetwork(rt)
		routes := map[string]NodeRoutes{}
		for _, r := range top.Routes() {
			routes[r.Node] = r
		}
		for _, from := range top.Nodes {
			for _, to := range top.Nodes {
				for _, path := range top.Paths(from.Name, to.Name) {
					checkPath(rt, top, routes, path)
				}
			}
		}
	})
}

func checkPath(t *rapid.T, top Topology, routes map[string]NodeRoutes, path Path) {
	var want []string
	for _, l := range path.Links {
		want = append(want, l.Name)
	}
	there := packet{path.Local, path.Remote}
	got, made, ok := journey(top, routes, path.Nodes[0], &there, nil)
	if !ok || !slices.Equal(got, want) {
		t.Fatalf("%s: packets take %v (%v)", text(path), got, ok)
	}
	back := packet{path.Remote, there.source}
	got, _, ok = journey(top, routes, path.Nodes[len(path.Nodes)-1], &back, made)
	slices.Reverse(got)
	if !ok || !slices.Equal(got, want) {
		t.Fatalf("%s: the answer to %v takes, from its end, %v (%v)", text(path), there.source, got, ok)
	}
}

// There is a path if and only if the main table, which unbound sockets use, leads to
// an address of the other host, and no socket bound to an address leaves by a link
// that is not its own.
func TestRoutesLeadWherePathsLead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		top := anyNetwork(rt)
		routes := map[string]NodeRoutes{}
		for _, r := range top.Routes() {
			routes[r.Node] = r
		}
		for _, from := range top.Nodes {
			for _, to := range top.Nodes {
				if from.Forwards() || to.Forwards() || from.Name == to.Name {
					continue
				}
				paths := len(top.Paths(from.Name, to.Name))
				if reached := reaches(rt, top, routes, from.Name, to.Name); reached != (paths > 0) {
					rt.Fatalf("%s reaches %s: %v, with %d paths", from.Name, to.Name, reached, paths)
				}
			}
		}
		if first, again := fmt.Sprint(top.Routes()), fmt.Sprint(top.Routes()); first != again {
			rt.Fatalf("two calls give\n%s\nand\n%s", first, again)
		}
	})
}

// reaches reports whether some packet of from arrives at to.
func reaches(t *rapid.T, top Topology, routes map[string]NodeRoutes, from, to string) bool {
	reached := false
	for _, first := range top.Links {
		for _, last := range top.Links {
			if first.End(from) < 0 || last.End(to) < 0 {
				continue
			}
			for _, local := range first.Addresses[first.End(from)] {
				for _, remote := range last.Addresses[last.End(to)] {
					if local.Addr().Is4() != remote.Addr().Is4() {
						continue
					}
					bound := packet{local.Addr(), remote.Addr()}
					links, _, ok := journey(top, routes, from, &bound, nil)
					if len(links) > 0 && links[0] != first.Name && len(routes[from].Rules) > 0 {
						t.Fatalf("a packet from %v leaves %s by %s", local, from, links[0])
					}
					unbound := packet{destination: remote.Addr()}
					_, _, okUnbound := journey(top, routes, from, &unbound, nil)
					if ok && !okUnbound {
						t.Fatalf("%s reaches %v from %v only", from, remote, local)
					}
					reached = reached || ok
				}
			}
		}
	}
	return reached
}
